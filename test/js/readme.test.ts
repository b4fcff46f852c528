/**
 * What README.md shows, run as it stands there.
 */
import {
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { kernelAvailable } from 'bpf';
import { absent, nativeCli, node, root, run, testUnless } from '../support';

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = (language: string): string[] =>
  [
    ...readme.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm')),
  ].map((match) => match[1] ?? '');

describe('README', () => {
  const [program = '', filter = ''] = blocks('js');
  const commands = blocks('sh').find((block) => block.includes('npx bpf'));

  test('its first program runs in the VM', () => {
    const [portable = ''] = program.split('const kernel');
    expect(node(portable)).toEqual({ status: 0, stdout: '1n\n', stderr: '' });
  });

  test('its packet filter passes the packet', () => {
    expect(node(filter)).toEqual({
      status: 0,
      stdout: 'XDP_PASS\n',
      stderr: '',
    });
  });

  const { available, reason } = kernelAvailable();
  testUnless(available ? undefined : reason, 'and in the kernel', () => {
    const { status, stdout, stderr } = node(program);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const [first, second] = stdout.split('\n');
    expect(first).toBe('1n');
    expect(second).toMatch(/^\d+n system calls$/);
  });

  testUnless(absent(nativeCli), 'its commands do what they say', () => {
    const folder = mkdtempSync(join(tmpdir(), 'bpf-readme-'));
    for (const name of ['build', 'dist', 'examples', 'package.json']) {
      symlinkSync(join(root, name), join(folder, name));
    }
    const script = join(folder, 'commands.sh');
    writeFileSync(script, commands ?? 'false');
    const { status, stdout } = run('sh', ['-e', script], { cwd: folder });
    rmSync(folder, { recursive: true });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^count_syscall:$/m);
    expect(stdout).toMatch(/"typeName":"raw_tracepoint"/);
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('0x3');
  });
});
