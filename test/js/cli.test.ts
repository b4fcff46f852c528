/**
 * The command `bpf` as a child process: what it prints and how it ends, alone and beside bpfc.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { absent, bpf, bpfc, describeUnless, nativeCli, run } from '../support';
import { cliPath } from '../support';

const source = 'r0 = r2\nr0 += 40\nexit\n';
let folder = '';
const at = (name: string): string => join(folder, name);
const put = (name: string, text: string | Uint8Array): string => {
  writeFileSync(at(name), text);
  return at(name);
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpf-cli-'));
  put('good.s', source);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('verbs', () => {
  test('as writes beside its input, or where -o says', () => {
    expect(bpf('as', at('good.s'))).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    const elf = readFileSync(at('good.o'));
    expect(elf.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    expect(bpf('as', at('good.s'), '-o', at('other.o')).status).toBe(0);
    expect(readFileSync(at('other.o'))).toEqual(elf);
  });

  test('as reads standard input and writes standard output', () => {
    const { stdout } = run(
      'sh',
      ['-c', '"$0" "$1" as - | "$0" "$1" dis -', process.execPath, cliPath],
      { input: source },
    );
    expect(stdout).toContain('r0 += 40');
  });

  test('dis prints text that assembles to the same bytes', () => {
    bpf('as', at('good.s'), '-o', at('a.o'));
    for (const dialect of ['llvm', 'ubpf']) {
      const args = ['--dialect', dialect];
      const text = bpf('dis', at('a.o'), ...args);
      expect(text.status).toBe(0);
      put('again.s', text.stdout);
      bpf('as', at('again.s'), ...args, '-o', at('again.o'));
      expect(bpf('dis', at('again.o'), ...args).stdout).toBe(text.stdout);
    }
    expect(bpf('dis', at('a.o'), '--bytes').stdout).toMatch(/bf 20 00 00/);
  });

  test('sim: the last word on stdout is r0', () => {
    expect(bpf('sim', at('good.s'), '--mem', 'aa bb')).toEqual({
      status: 0,
      stdout: '0x2a\n',
      stderr: '',
    });
    put('mem', new Uint8Array(3));
    bpf('as', at('good.s'), '-o', at('b.o'));
    expect(bpf('sim', at('b.o'), '--mem', `@${at('mem')}`).stdout).toBe(
      '0x2b\n',
    );
    expect(bpf('sim', at('b.o'), '--ctx', 'aabb').stdout).toBe('0x28\n');
  });

  test('sim: a fault names the line, an endless program its budget', () => {
    const fault = bpf('sim', put('f.s', 'r1 = 0\nr0 = *(u8 *)(r1 + 0)\nexit'));
    expect(fault.status).toBe(1);
    expect(fault.stdout).toBe('');
    expect(fault.stderr).toMatch(/f\.s:2:\d+: /);
    const endless = bpf('sim', put('e.s', 'l: goto l'), '--budget', '1000');
    expect(endless.status).toBe(1);
    expect(endless.stderr).toMatch(/stopped after 1000 instructions/);
  });

  test('info is JSON', () => {
    const { stdout, status } = bpf('info', at('good.s'));
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      endian: 'little',
      programs: [],
      maps: [],
    });
  });

  test('info as text, strip in place and elsewhere', () => {
    bpf('as', put('all.s', huge), '-o', at('all.o'));
    const { stdout } = bpf('info', at('all.o'), '--text');
    expect(stdout).toMatch(
      /\n\nMaps\n {2}m {2}hash {2}u32 \(4\) -> u32 \(4\) {2}1/,
    );
    expect(bpf('strip', at('all.o'), '--no-btf', '-o', at('bare.o'))).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect(bpf('info', at('all.o'), '--json').stdout).toMatch(/"btf":\{/);
    const bare = bpf('info', at('bare.o')).stdout;
    expect(JSON.parse(bare)).toMatchObject({ btf: null });
    expect(bpf('strip', at('bare.o')).status).toBe(0);
    expect(bpf('info', at('bare.o')).stdout).toBe(bare);
    expect(bpf('dis', at('all.o'), '--objdump').stdout).toBe(
      `\n${at('all.o')}:\tfile format elf64-bpf\n`,
    );
  });

  test('help and version', () => {
    expect(bpf('--version').stdout).toMatch(/^2\.\d+\.\d+/);
    const help = bpf('--help');
    expect(help.status).toBe(0);
    for (const verb of ['as', 'dis', 'sim', 'info', 'strip']) {
      expect(help.stdout).toContain(`  ${verb} `);
      expect(bpf(verb, '--help').stdout).toMatch(/^usage: bpf /);
    }
  });
});

const huge = '.map m, type=hash, key=u32, value=u32, max_entries=1\n';

describe('bad input: file, line, column, caret, status 1', () => {
  test.each([
    ['unknown mnemonic', 'r0 = 1\nfrobnicate r1\nexit\n', 2],
    ['register r11', 'r0 = 1\nr11 = 0\nexit\n', 2],
    ['immediate overflow', 'r0 = 0x1ffffffff\nexit\n', 1],
    ['missing label', 'r0 = 1\ngoto nowhere\nexit\n', 2],
    ['duplicate map', huge + huge, 2],
  ])('%s', (_, text, line) => {
    const file = put('bad.s', text);
    for (const verb of [['as'], ['sim'], ['info']]) {
      const { status, stdout, stderr } = bpf(...verb, file);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      const lines = stderr.split('\n');
      expect(lines[0]).toMatch(
        new RegExp(`^${file}:${line}:[1-9]\\d*: error: .`),
      );
      expect(lines[1]).toContain(text.split('\n')[line - 1]);
      expect(lines[2]).toMatch(/^ *\| *\^~*$/);
      expect(stderr).not.toContain('\x1b');
    }
  });

  test('a truncated object', () => {
    bpf('as', at('good.s'), '-o', at('whole.o'));
    const whole = readFileSync(at('whole.o'));
    const file = put('cut.o', whole.subarray(0, whole.length - 100));
    for (const verb of ['dis', 'info', 'sim']) {
      const { status, stdout, stderr } = bpf(verb, file);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr.startsWith(`${file}: error: damaged ELF file`)).toBe(true);
    }
  });

  test('10 MB of random bytes, as text and behind an ELF header', () => {
    const noise = randomBytes(10 << 20);
    const text = put('noise.s', noise);
    const asText = bpf('as', text, '-o', at('noise.o'));
    expect(asText.status).toBe(1);
    expect(asText.stderr).toMatch(/noise\.s:\d+:\d+: error: .*\n.*\n.*\^/);
    bpf('as', at('good.s'), '-o', at('head.o'));
    const header = readFileSync(at('head.o')).subarray(0, 64);
    const object = put('noise.o', Buffer.concat([header, noise]));
    for (const verb of ['dis', 'info', 'sim']) {
      const { status, stderr } = bpf(verb, object);
      expect(status).toBe(1);
      expect(stderr).toMatch(/noise\.o: error: /);
    }
    expect(bpf('dis', text).stderr).toMatch(/noise\.s: error: not an ELF/);
  });

  test('diagnostics as JSON', () => {
    const { status, stdout, stderr } = bpf(
      'as',
      put('j.s', 'r11 = 0\n'),
      '--json',
    );
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject([
      { severity: 'error', code: 'bad-register', line: 1, column: 1 },
    ]);
  });
});

describe('wrong command lines: status 2', () => {
  test.each([
    [[], /^bpf .*\n\nusage/],
    [['frobnicate'], /unknown verb 'frobnicate'\nTry/],
    [['chekc', 'a'], /unknown verb 'chekc'; did you mean 'check'\?/],
    [['btf', 'a'], /behind btf stands dump, not 'a'/],
    [['btf'], /behind btf stands dump; it is missing/],
    [['as'], /a FILE is missing/],
    [['as', 'a', 'b'], /one FILE at a time, not also 'b'/],
    [['as', '--frob', 'a'], /unknown option '--frob'\nTry/],
    [
      ['dis', '--sorce', 'a'],
      /unknown option '--sorce'; did you mean '--source'\?/,
    ],
    [['as', 'a', '-o'], /an argument is missing behind '-o'/],
    [['as', 'a', '--dialect', 'gas'], /--dialect does not take 'gas'/],
    [['sim', 'a', '--mem', '1', '--ctx', '2'], /exclude each other/],
  ])('%j', (args, message) => {
    const { status, stdout, stderr } = bpf(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('odd or wrong hex is told', () => {
    expect(bpf('sim', at('good.s'), '--mem', '123')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/odd number/),
    });
    expect(bpf('sim', at('good.s'), '--mem', 'xy')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/'x' in the memory/),
    });
  });

  test('a file that is not there has status 1', () => {
    const { status, stderr } = bpf('as', at('nothing.s'));
    expect(status).toBe(1);
    expect(stderr).toBe(`bpf: ${at('nothing.s')}: No such file or directory\n`);
  });
});

describeUnless(absent(nativeCli), 'beside bpfc', () => {
  const same = (...args: string[]): void => {
    const ours = bpf(...args);
    const native = bpfc(...args);
    const plain = (text: string): string => text.replace(/\bbpfc\b/g, 'bpf');
    expect({
      status: ours.status,
      stdout: ours.stdout,
      stderr: ours.stderr,
    }).toEqual({
      status: native.status,
      stdout: plain(native.stdout),
      stderr: plain(native.stderr),
    });
  };

  test('help, version and complaints are the same', () => {
    same();
    // What needs the kernel comes behind.
    const help = bpfc('--help').stdout.replace(/\bbpfc\b/g, 'bpf');
    expect(bpf('--help').stdout.startsWith(help)).toBe(true);
    expect(bpf('--help').stdout.slice(help.length)).toMatch(/ {2}doctor /);
    same('--version');
    for (const verb of ['as', 'dis', 'sim', 'info', 'strip']) {
      same(verb, '--help');
    }
    same('frob');
    same('as');
    same('as', 'a', 'b');
    same('dis', '--mem', 'a');
    same('as', 'x', '--endian', 'middle');
    same('sim', 'x', '--budget', 'many');
    same('as', at('nothing.s'));
    same('as', folder);
  });

  test('sim on packets, at breakpoints, with trace and coverage is the same', () => {
    const file = put(
      'x.s',
      `.section xdp,"ax",@progbits
.globl prog
prog:
r2 = *(u32 *)(r1 + 0)
r3 = *(u32 *)(r1 + 4)
r4 = r2
r4 += 14
r0 = 1
if r4 > r3 goto out
*(u8 *)(r2 + 0) = 7
r0 = 2
call next
out: exit
.globl next
next:
exit
`,
    );
    const packet = ['--packet', '00'.repeat(15)];
    const all = ['--trace', '--coverage', '--break'];
    same('sim', file, ...packet, ...all, 'next');
    same('sim', file, ...packet, ...all, 'x.s:9');
    const { stdout } = bpf('sim', file, ...packet, '--break', '6');
    expect(stdout).toMatch(/^at prog\+6, .*x\.s:10: /);
    expect(stdout).toMatch(/\npacket 07(00){14}\nXDP_PASS 0x2\n$/);
    same('sim', file);
    same('sim', file, '--ctx', '00'.repeat(25), ...packet);
    same('sim', file, '--type', 'tc', ...packet, '--trace');
    same('sim', file, '--type', 'nope');
    same('sim', file, '--break', 'nope');
    same('sim', file, '--kconfig', at('nothing'));
    same('sim', file, '--btf', at('nothing'));
    same('sim', file, '--mem', '00', ...packet);
    same('sim', put('k.s', 'r1 = CONFIG_HZ ll\nexit'));
    put('config', 'CONFIG_HZ=250\n');
    same('sim', at('k.s'), '--kconfig', at('config'));
  });

  test('output is the same', () => {
    const map = put('map.s', huge);
    const noise = put('noise2.s', randomBytes(4096));
    for (const json of [[], ['--json']]) {
      same('as', put('bad2.s', 'r11 = 0\nfrob\n"\n'), ...json);
      same('as', noise, ...json);
      same('sim', at('good.s'), '--mem', '0102', ...json);
      same('sim', put('f.s', 'r0 = *(u8 *)(r2 + 0)\nexit\n'), ...json);
    }
    same('sim', put('e.s', 'l: goto l'), '--budget', '0x10');
    same('sim', at('good.s'), '--prog', 'nothing');
    same('sim', put('h.s', 'call 999\nexit\n'));
    same('info', map);
    same('info', map, '--endian', 'big');
    bpfc('as', map, '-o', at('map.o'));
    same('info', map, '--text');
    for (const option of ['--bytes', '--numeric', '--hex', '--raw']) {
      same('dis', at('map.o'), option);
    }
    for (const option of ['--source', '--objdump', '--relocs', '--alu32']) {
      same('dis', at('map.o'), '--objdump', option);
      same('dis', at('map.o'), option);
    }
    for (const option of ['--labels', '--no-btf', '--json']) {
      same('strip', at('map.o'), '-o', '-', option);
    }
    same('dis', at('map.o'), '--dialect', 'ubpf');
    same('info', at('good.s'), '--raw');
  });
});
