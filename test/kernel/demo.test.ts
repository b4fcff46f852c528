/**
 * The demo on the running kernel: `npm run demo` as its users run it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { describeUnless, testUnless, root } from '../support';
import { noFetch } from './hooks';
import { callSystem, CALLS, kernelIds, noKernel } from './support';

const demo = join(root, 'examples/syscalls/main.js');

interface Row {
  pid: number;
  comm: string;
  count: number;
}

/** Runs the demo, and `during` once it counts; resolves to what it printed. */
async function runDemo(
  args: string[],
  during: (kill: (signal: NodeJS.Signals) => void) => Promise<unknown>,
): Promise<{ stdout: string; stderr: string; code: number | null }> {
  const child = spawn(process.execPath, [demo, ...args], { cwd: root });
  let [stdout, stderr] = ['', ''];
  let started = (): void => undefined;
  const isRunning = new Promise<void>((resolve) => (started = resolve));
  const read = (text: string): void => {
    if (/^backend: /m.test(text)) started();
  };
  child.stdout.on('data', (data: Buffer) => read((stdout += data.toString())));
  child.stderr.on('data', (data: Buffer) => read((stderr += data.toString())));
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', resolve),
  );
  await Promise.race([isRunning, ended]);
  await during((signal) => child.kill(signal));
  return { code: await ended, stdout, stderr };
}

describeUnless(noKernel, 'the recorder', () => {
  testUnless(
    noFetch,
    'records calls in their order, of the names asked for',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'bpf-record-'));
      const out = join(folder, 'events.json');
      const recorder = join(root, 'examples/syscalls/record.js');
      const child = spawn(
        process.execPath,
        [recorder, '--seconds', '1', '--names', 'bpf-recorded', '--out', out],
        { cwd: root, stdio: 'inherit' },
      );
      const ended = new Promise((resolve) => child.once('close', resolve));
      let running = true;
      void ended.then(() => (running = false));
      while (running) await callSystem('bpf-recorded', 100);
      expect(await ended).toBe(0);
      const events = JSON.parse(readFileSync(out, 'utf8')) as {
        ts: number;
        tgid: number;
        comm: string;
        nr: number;
      }[];
      rmSync(folder, { recursive: true });
      expect(events.length).toBeGreaterThan(100);
      expect(events[0]?.ts).toBe(0);
      expect(new Set(events.map(({ comm }) => comm))).toEqual(
        new Set(['bpf-recorded']),
      );
      const times = events.map(({ ts }) => ts);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(events.every(({ nr }) => nr >= 0 && nr < 1000)).toBe(true);
    },
  );
});

describeUnless(noKernel, 'the demo on the kernel', () => {
  test('its rows hold a process that ran beside it and has ended', async () => {
    const { code, stdout, stderr } = await runDemo(
      ['--seconds', '2', '--json'],
      () => callSystem('bpf-beside'),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'backend: kernel\n' });
    const { backend, rows } = JSON.parse(stdout) as {
      backend: string;
      rows: Row[];
    };
    expect(backend).toBe('kernel');
    const [row] = rows.filter(({ comm }) => comm === 'bpf-beside');
    expect(row?.count).toBeGreaterThanOrEqual(CALLS);
  });

  test('its table does, and nothing is left when it is interrupted', async () => {
    const before = kernelIds();
    const { code, stdout, stderr } = await runDemo(
      ['--seconds', '60'],
      async (kill) => {
        await callSystem('bpf-beside-too');
        kill('SIGINT');
      },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('backend: kernel');
    const cells = lines
      .find((line) => line.includes('bpf-beside-too'))
      ?.trim()
      .split(/\s+/);
    expect(Number(cells?.[2])).toBeGreaterThanOrEqual(CALLS);
    expect(kernelIds().links.size).toBeLessThanOrEqual(before.links.size + 2);
  });
});
