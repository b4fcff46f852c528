/**
 * Faults: every system call that this package makes is made to fail, each in turn, in every scenario
 * of faults/scenarios.js, by a library that is preloaded (faults/faults.c). What must come of it: a
 * KernelError that says what, why and what to do, or the same result as without; and nothing that
 * stays, be it a descriptor, a mapping, memory of the addon or an id of the kernel.
 *
 * FAULTS=every tries every errno at every call, which takes minutes (npm run test:full).
 */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BPFError } from 'bpf';
import { absent, describeUnless, root, testUnless } from '../support';
import { buildFaults, buildTarget, temporary } from './hooks';
import { noKernel } from './support';

interface Outcome {
  name: string;
  skipped?: string;
  faults?: number;
  errors?: number;
  /** What the scenario asks of the kernel, and how often. */
  calls?: Record<string, number>;
  problems: string[];
}

const CONTROL_BYTES = 1 << 18;
const every = process.env['FAULTS'] === 'every';

const noCompiler = spawnSync('gcc', ['-v']).error
  ? 'there is no gcc to build the library that makes calls fail'
  : undefined;

describeUnless(noKernel ?? noCompiler, 'faults', () => {
  let folder: ReturnType<typeof temporary>;
  let library: string;
  beforeAll(() => {
    folder = temporary();
    library = buildFaults(folder.path);
  });
  afterAll(() => folder.remove());

  /** Runs scenarios in a process of their own; how it ended is a problem, too. */
  function inject(
    args: string[],
    env: Record<string, string>,
    first: string[] = [],
  ): Outcome[] {
    const control = join(folder.path, 'control');
    const fd = openSync(control, 'w+');
    ftruncateSync(fd, CONTROL_BYTES);
    closeSync(fd);
    const target = buildTarget(folder.path);
    const { stdout, stderr, status, signal } = spawnSync(
      process.execPath,
      ['--expose-gc', join(__dirname, 'faults/run.js'), ...args],
      {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
        env: {
          ...process.env,
          FAULTS: control,
          ...(target && { FAULTS_TARGET: target }),
          LD_PRELOAD: [...first, library].join(' '),
          ...env,
        },
      },
    );
    rmSync(control);
    const lines = stdout.split('\n').filter((line) => line !== '');
    const outcomes = lines.map((line) => JSON.parse(line) as Outcome);
    const last = outcomes.at(-1)?.name ?? 'the start';
    if (status !== 0)
      outcomes.push({
        name: last,
        problems: [
          `after ${last}: ended with ${status ?? signal}\n${stderr.slice(-4000)}`,
        ],
      });
    return outcomes;
  }

  /** For what takes longer. */
  const sample = [
    'load an object',
    'attach uprobe',
    'attach xdp by netlink',
    'pin maps, programs and links',
    'batches of maps',
    'read perf buffers',
  ];
  /** As released: dist's addon. */
  const released = {
    FAULTS_MODULE: `${process.platform}-${process.arch}.node`,
  };
  const names = JSON.parse(
    spawnSync(process.execPath, [join(__dirname, 'faults/run.js'), '--list'], {
      encoding: 'utf8',
    }).stdout,
  ) as string[];

  test('all scenarios', () => {
    const outcomes = inject(every ? ['--every'] : [], released);
    for (const { name, skipped } of outcomes)
      if (skipped !== undefined) console.log(`skipped: ${name}: ${skipped}`);
    expect(outcomes.flatMap(({ problems }) => problems)).toEqual([]);
    expect(outcomes.map(({ name }) => name)).toEqual(names);
    const faults = outcomes.reduce(
      (sum, outcome) => sum + (outcome.faults ?? 0),
      0,
    );
    // Older kernels cannot do all.
    if (outcomes.some(({ skipped }) => skipped !== undefined)) {
      expect(faults).toBeGreaterThan(every ? 6_000 : 600);
      return;
    }
    expect(faults).toBeGreaterThan(every ? 10_000 : 900);
    // Every call of the package is in one of them.
    const called = new Set(
      outcomes.flatMap(({ calls = {} }) => Object.keys(calls)),
    );
    expect(commands.filter((name) => !called.has(name))).toEqual([]);
  }, 1_800_000);

  test('memory that the addon and libbpf ask for', () => {
    const outcomes = inject(['--memory', ...(every ? [] : sample)], released);
    expect(outcomes.flatMap(({ problems }) => problems)).toEqual([]);
    const faults = outcomes.reduce((sum, { faults = 0 }) => sum + faults, 0);
    expect(faults).toBeGreaterThan(50);
  }, 600_000);

  test('loading is tried five times while the kernel says EAGAIN', () => {
    const EAGAIN = 11;
    const PROG_LOAD = 0x105; // of faults.c
    const script = `
      const fs = require('fs');
      const bpf = require(${JSON.stringify(join(root, 'dist/bindings/src/index.js'))});
      const control = fs.openSync(process.env.FAULTS, 'r+');
      const put = (...words) => fs.writeSync(control, Uint32Array.from(words), 0, 4 * words.length, 0);
      const insns = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
      const load = (times) => {
        put(1, 1, times, ${EAGAIN}, ${PROG_LOAD}, 0, 0);
        try { bpf.KernelProgram.load({ type: 1, instructions: insns, license: 'GPL' }).close(); return 'loaded'; }
        catch (error) { return error.code + ' ' + error.remedy; }
        finally { put(0); }
      };
      load(0);
      console.log(JSON.stringify([load(1), load(4), load(5)]));`;
    const control = join(folder.path, 'control');
    closeSync(openSync(control, 'w'));
    const fd = openSync(control, 'r+');
    ftruncateSync(fd, CONTROL_BYTES);
    closeSync(fd);
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      env: {
        ...process.env,
        ...released,
        FAULTS: control,
        LD_PRELOAD: library,
      },
    });
    rmSync(control);
    expect(`${stdout}${stderr}`).toBe(
      '["loaded","loaded","EAGAIN try again"]\n',
    );
  });

  test('every errno of Linux has its name', () => {
    const { errno } = constants;
    const aliases = new Set(['EWOULDBLOCK', 'ENOTSUP']);
    for (const [name, number] of Object.entries(errno)) {
      if (!aliases.has(name)) expect(BPFError.getCode(number)).toBe(name);
    }
  });

  const sanitized = join(root, 'build/asan/bpf_kernel.node');
  const libasan =
    noCompiler === undefined
      ? spawnSync('gcc', ['-print-file-name=libasan.so'], {
          encoding: 'utf8',
        }).stdout.trim()
      : '';
  testUnless(
    absent(sanitized),
    'under AddressSanitizer',
    () => {
      // ASan comes first, so what it intercepts itself (mmap, send, memory) is not made to fail.
      const env = {
        BPF_ADDON: sanitized,
        FAULTS_MODULE: 'asan/bpf_kernel.node',
        ASAN_OPTIONS: 'detect_leaks=0',
      };
      const outcomes = inject(every ? [] : sample, env, [libasan]);
      expect(outcomes.flatMap(({ problems }) => problems)).toEqual([]);
      expect(outcomes.length).toBe(every ? names.length : sample.length);
    },
    1_800_000,
  );
});

/** What libbpf and kernel-backend ask of the kernel on one that has it all. */
const commands = [
  'MAP_CREATE',
  'MAP_LOOKUP_ELEM',
  'MAP_UPDATE_ELEM',
  'MAP_DELETE_ELEM',
  'MAP_GET_NEXT_KEY',
  'PROG_LOAD',
  'OBJ_PIN',
  'OBJ_GET',
  'PROG_ATTACH',
  'PROG_DETACH',
  'PROG_TEST_RUN',
  'PROG_QUERY',
  'PROG_GET_NEXT_ID',
  'MAP_GET_NEXT_ID',
  'PROG_GET_FD_BY_ID',
  'MAP_GET_FD_BY_ID',
  'OBJ_GET_INFO_BY_FD',
  'RAW_TRACEPOINT_OPEN',
  'BTF_LOAD',
  'BTF_GET_FD_BY_ID',
  'MAP_LOOKUP_AND_DELETE_ELEM',
  'MAP_FREEZE',
  'BTF_GET_NEXT_ID',
  'MAP_LOOKUP_BATCH',
  'MAP_LOOKUP_AND_DELETE_BATCH',
  'MAP_UPDATE_BATCH',
  'MAP_DELETE_BATCH',
  'LINK_CREATE',
  'LINK_UPDATE',
  'LINK_GET_FD_BY_ID',
  'LINK_GET_NEXT_ID',
  'ENABLE_STATS',
  'ITER_CREATE',
  'LINK_DETACH',
  'PROG_BIND_MAP',
  'TOKEN_CREATE',
]
  .map((name) => `BPF_${name}`)
  .concat(
    'perf_event_open',
    'mmap',
    'ioctl',
    'socket',
    'bind',
    'send',
    'recv',
    'recvmsg',
    'setsockopt',
    'epoll_create1',
    'epoll_ctl',
    'fcntl',
    'open',
    'fopen',
    'mount',
  );
