/**
 * The kernel addon by itself, below the TypeScript API: every method, every kind of misuse, and that
 * nothing stays in the kernel however a handle ends. Objects are assembled by the native bpfc.
 */
import { spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from '@jest/globals';
import type {
  Addon,
  NativeMap,
  NativeObject,
} from '../../bindings/addon/addon';
import {
  absent,
  describeUnless,
  nativeCli,
  root,
  testUnless,
} from '../support';

const addonPath = join(root, 'build/release/bpf_kernel.node');
/** The number of getuid(2), which nothing else here calls. */
const getuid = { x64: 102, arm64: 174 }[process.arch as string];

class KernelError extends Error {
  declare operation: string;
  declare errno: number;
  declare code: string;
  declare subject?: string;
  declare log?: string;
  constructor(message: string, fields: object) {
    super(message);
    Object.assign(this, fields);
  }
}

const counting = `
.map counts, type=hash, key=u32, value=u64, max_entries=4096
.map percpu, type=percpu_array, key=u32, value=u32, max_entries=2
.section raw_tp/sys_enter,"ax",@progbits
.globl count_raw
count_raw:
  r2 = *(u64 *)(r1 + 8)
  if r2 != ${getuid} goto done
  call 14
  r0 >>= 32
  *(u32 *)(r10 - 4) = r0
  r2 = r10
  r2 += -4
  r1 = counts ll
  call 1
  if r0 == 0 goto absent
  r1 = 1
  lock *(u64 *)(r0 + 0) += r1
  goto done
absent:
  r1 = 1
  *(u64 *)(r10 - 16) = r1
  r3 = r10
  r3 += -16
  r2 = r10
  r2 += -4
  r1 = counts ll
  r4 = 0
  call 2
done:
  r0 = 0
  exit
.size count_raw, .-count_raw
.section license
.asciz "GPL"
`;

const refused = (name: string, mark: number) => `
.section raw_tp/sys_enter,"ax",@progbits
.globl ${name}
${name}:
  r2 = ${mark}
  r1 = 4660
  r0 = *(u32 *)(r1 + 0)
  exit
.size ${name}, .-${name}
.section license
.asciz "GPL"
`;

function assemble(text: string): Buffer {
  const { status, stdout, stderr, error } = spawnSync(
    nativeCli,
    ['as', '-', '-o', '-'],
    {
      input: text,
    },
  );
  if (error) throw error;
  if (status !== 0) throw new Error(stderr.toString());
  return stdout;
}

const bytes = assemble(counting);
const wild = assemble(refused('wild', 77));
const addon = require(addonPath) as Addon;

const key = new Uint8Array(4);
new DataView(key.buffer).setUint32(0, process.pid, true);

function caught(body: () => unknown): KernelError {
  try {
    body();
  } catch (error) {
    return error as KernelError;
  }
  throw new Error('nothing was thrown');
}

/** What each descriptor is; what other tests left may be collected at any time. */
const openFiles = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });
const openedSince = (before: string[]): string[] =>
  openFiles().filter((file) => !before.includes(file));

type Kind = 'nextProgId' | 'nextMapId' | 'nextLinkId';
const exists = (kind: Kind, id: number) => addon[kind](id - 1) === id;

/** The kernel frees what its last holder left a little later. */
async function gone(kind: Kind, ids: number[]): Promise<void> {
  for (const id of ids) {
    for (let i = 0; i < 500 && exists(kind, id); i++)
      await new Promise((done) => setTimeout(done, 10));
    expect(`${kind} ${id} ${exists(kind, id) ? 'is there' : 'is gone'}`).toBe(
      `${kind} ${id} is gone`,
    );
  }
}

interface Ids {
  programs: number[];
  maps: number[];
  links: number[];
}

async function allGone(ids: Ids): Promise<void> {
  expect(
    ids.programs.length * ids.maps.length * ids.links.length,
  ).toBeGreaterThan(0);
  await gone('nextLinkId', ids.links);
  await gone('nextProgId', ids.programs);
  await gone('nextMapId', ids.maps);
}

test('nothing but version() and possibleCpus() works before init()', () => {
  const fresh = spawnSync(
    process.execPath,
    [
      '-e',
      `const addon = require(process.argv[1]);
       console.log(typeof addon.version().libbpf, addon.possibleCpus() > 0);
       for (const name of ['openObject', 'probe', 'nextProgId', 'mountTracefs'])
         try { addon[name](); console.log('no error'); } catch (e) { console.log(e.message); }
       for (const wrong of [undefined, {}, { KernelError: 1 }])
         try { addon.init(wrong); console.log('no error'); } catch (e) { console.log(e.name); }`,
      addonPath,
    ],
    { encoding: 'utf8' },
  );
  const first = 'call init({ KernelError }) first\n';
  expect(fresh.stdout).toBe(
    `string true\n${first.repeat(4)}${'TypeError\n'.repeat(3)}`,
  );
  expect(fresh.status).toBe(0);
});

describe('without the kernel', () => {
  beforeAll(() => addon.init({ KernelError }));

  test('versions', () => {
    expect(addon.version()).toEqual({
      libbpf: expect.stringMatching(/^\d+\.\d+/),
      libelf: expect.stringMatching(/^(0\.\d+)?$/),
      kernel: expect.stringMatching(/^\d+\.\d+/),
    });
  });

  test('describes an object that is not loaded', () => {
    const object = addon.openObject(bytes, { name: 'describe' });
    expect(object.programs()).toEqual([
      {
        name: 'count_raw',
        section: 'raw_tp/sys_enter',
        type: 17,
        expectedAttachType: 0,
        instructionCount: 26,
        id: 0,
        fd: -1,
        autoload: true,
        autoattach: true,
      },
    ]);
    const [counts, percpu] = object.maps();
    expect(counts).toMatchObject({
      name: 'counts',
      type: 1,
      keySize: 4,
      valueSize: 8,
      userValueSize: 8,
      maxEntries: 4096,
      flags: 0,
      id: 0,
      fd: -1,
      btfId: 0,
    });
    expect(percpu?.userValueSize).toBe(8 * addon.possibleCpus());
    expect(caught(() => object.map(0))).toMatchObject({
      code: 'EBADF',
      subject: 'counts',
    });
    expect(caught(() => object.program(0).attach())).toMatchObject({
      code: 'EBADF',
    });
    object.close();
  });

  test('says what is wrong with bytes that are no object', () => {
    const error = caught(() => addon.openObject(Buffer.from('hello')));
    expect(error).toBeInstanceOf(KernelError);
    expect(error).toMatchObject({
      operation: 'open object',
      errno: 22,
      code: 'EINVAL',
    });
    expect(error.message).toContain('no 64-bit ELF file');
    expect(
      caught(() => addon.openObject(bytes.subarray(0, 200))),
    ).toBeInstanceOf(KernelError);
  });

  test.each([
    ['no bytes', () => addon.openObject(undefined as unknown as Uint8Array)],
    ['an array', () => addon.openObject([1, 2] as unknown as Uint8Array)],
    [
      'other elements',
      () => addon.openObject(new Uint16Array(64) as unknown as Uint8Array),
    ],
    [
      'options that are none',
      () => addon.openObject(bytes, 'x' as unknown as object),
    ],
    [
      'a name that is none',
      () => addon.openObject(bytes, { name: 1 as unknown as string }),
    ],
    [
      'an index that is none',
      () => addon.openObject(bytes).program('0' as unknown as number),
    ],
    [
      'a constructor',
      () => new (addon.openObject(bytes).constructor as new () => void)(),
    ],
    [
      'another receiver',
      () => addon.openObject(bytes).maps.call({} as NativeObject),
    ],
  ])('TypeError for %s', (_, body) => {
    expect(caught(body).name).toBe('TypeError');
  });

  test.each([
    ['a name with NUL', () => addon.openObject(bytes, { name: 'a\0b' })],
    ['an index too big', () => addon.openObject(bytes).program(1)],
    ['a negative index', () => addon.openObject(bytes).map(-1)],
    ['half an index', () => addon.openObject(bytes).map(0.5)],
    ['a log level', () => addon.openObject(bytes).load({ logLevel: 8 })],
  ])('RangeError for %s', (_, body) => {
    expect(caught(body).name).toBe('RangeError');
  });

  test('every method of a closed object and program throws', () => {
    const object = addon.openObject(bytes, { name: 'shut' });
    const program = object.program(0);
    object.close();
    object.close();
    expect(object.closed).toBe(true);
    expect(program.closed).toBe(false);
    expect(program.info().name).toBe('count_raw');
    program.close();
    program.close();
    const uses: [() => unknown, string][] = [
      [() => object.load(), 'shut'],
      [() => object.programs(), 'shut'],
      [() => object.maps(), 'shut'],
      [() => object.program(0), 'shut'],
      [() => object.map(0), 'shut'],
      [() => program.fd, 'count_raw'],
      [() => program.info(), 'count_raw'],
      [() => program.log(), 'count_raw'],
      [() => program.attach(), 'count_raw'],
    ];
    for (const [use, subject] of uses) {
      const error = caught(use);
      expect(error).toBeInstanceOf(KernelError);
      expect(error).toMatchObject({ code: 'ERR_CLOSED', errno: 9, subject });
    }
  });

  const notRoot =
    process.getuid?.() === 0 ? undefined : 'it needs root, to stop being it';
  testUnless(notRoot, 'an unprivileged process is told what it lacks', () => {
    const script = `const addon = require(process.argv[1]);
      addon.init({ KernelError: Error });
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      console.log(JSON.stringify(addon.probe()));`;
    const { stdout } = spawnSync(process.execPath, ['-e', script, addonPath], {
      encoding: 'utf8',
    });
    expect(JSON.parse(stdout)).toMatchObject({
      bpf: false,
      code: 'EPERM',
      reason: expect.stringContaining('lacks CAP_BPF and CAP_PERFMON'),
    });
  });
});

addon.init({ KernelError });
const state = addon.probe();
describeUnless(state.bpf ? undefined : state.reason, 'on the kernel', () => {
  let folder: string;
  let file: string;
  let wildFile: string;
  let open: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(handle: T): T => {
    open.push(handle);
    return handle;
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpf-addon-'));
    file = join(folder, 'counting.o');
    wildFile = join(folder, 'wild.o');
    writeFileSync(file, bytes);
    writeFileSync(wildFile, wild);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  afterEach(() => {
    for (const handle of open) handle.close();
    open = [];
  });

  function loaded(): NativeObject {
    const object = keep(addon.openObject(bytes));
    object.load();
    return object;
  }

  test('counts what this process does', () => {
    const object = loaded();
    const program = keep(object.program(0));
    const map = keep(object.map(0));
    const value = new Uint8Array(8);
    const link = keep(program.attach());
    expect(link.info()).toEqual({
      id: expect.any(Number),
      type: 1,
      typeName: 'raw_tracepoint',
      programId: program.info().id,
      name: 'sys_enter',
      cookie: 0n,
    });
    for (let i = 0; i < 500; i++) process.getuid?.();
    link.close();
    process.getuid?.();
    expect(map.lookup(key, value)).toBe(true);
    expect(new DataView(value.buffer).getBigUint64(0, true)).toBe(500n);
    expect(caught(() => link.info())).toMatchObject({
      code: 'ERR_CLOSED',
      subject: 'count_raw',
    });
    expect(caught(() => link.fd)).toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('attaches to explicit targets, with a cookie', () => {
    const program = keep(loaded().program(0));
    keep(program.attach({ kind: 'raw_tracepoint', name: 'sys_exit' })).close();
    keep(program.attach({ kind: 'section' })).close();
    expect(
      caught(() =>
        program.attach({ kind: 'raw_tracepoint', name: 'not_there' }),
      ),
    ).toMatchObject({
      code: 'ENOENT',
      operation: 'attach raw_tracepoint',
      subject: 'count_raw',
    });
    expect(
      caught(() =>
        program.attach({
          kind: 'tracepoint',
          category: 'sched',
          name: 'sched_switch',
        }),
      ),
    ).toMatchObject({ code: 'EINVAL' });
    for (const wrong of [{}, { kind: 'section', cookie: 'x' }])
      expect(caught(() => program.attach(wrong as never))).toHaveProperty(
        'name',
        'TypeError',
      );
    for (const wrong of [{ kind: 'moon' }, { kind: 'section', cookie: -1 }])
      expect(caught(() => program.attach(wrong as never))).toHaveProperty(
        'name',
        'RangeError',
      );
  });

  test("a refused program throws with the verifier's log", () => {
    const object = keep(addon.openObject(wild));
    const error = caught(() => object.load());
    expect(error).toMatchObject({
      operation: 'load program',
      code: 'EACCES',
      subject: 'wild',
    });
    // Scalars were called 'inv' until 5.18.
    expect(error.message).toMatch(/R1 invalid mem access '(scalar|inv)'/);
    expect(error.log).toMatch(/^0: \(b7\) r2 = 77[^]*^processed 3 insns/m);
    expect(caught(() => object.load())).toMatchObject({ code: 'EALREADY' });
  });

  test('the log of an accepted program on request', () => {
    const object = keep(addon.openObject(bytes));
    const program = keep(object.program(0));
    object.load({ logLevel: 2 });
    expect(program.log()).toContain('call bpf_map_lookup_elem#1');
    expect(keep(loaded().program(0)).log()).toBeUndefined();
  });

  describe('maps', () => {
    let map: NativeMap;
    const value = new Uint8Array(8);
    beforeEach(() => {
      map = keep(loaded().map(0));
    });

    test('lookup, update, delete, next key', () => {
      const next = new Uint8Array(4);
      expect(map.lookup(key, value)).toBe(false);
      expect(map.nextKey(undefined, next)).toBe(false);
      map.update(key, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 1);
      expect(caught(() => map.update(key, value, 1n))).toMatchObject({
        code: 'EEXIST',
        operation: 'map update',
        subject: 'counts',
      });
      expect(map.lookup(key, value, 0n)).toBe(true);
      expect([...value]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(map.nextKey(undefined, next)).toBe(true);
      expect(next).toEqual(key);
      expect(map.nextKey(next, next)).toBe(false);
      expect(map.delete(key)).toBe(true);
      expect(map.delete(key)).toBe(false);
      expect(map.info()).toMatchObject({
        name: 'counts',
        maxEntries: 4096,
        fd: map.fd,
      });
    });

    test('batches give every entry once', () => {
      const entry = new DataView(new ArrayBuffer(12));
      for (let i = 0; i < 1000; i++) {
        entry.setUint32(0, i, true);
        entry.setBigUint64(4, BigInt(i * i), true);
        map.update(
          new Uint8Array(entry.buffer, 0, 4),
          new Uint8Array(entry.buffer, 4),
        );
      }
      const cursor = new Uint8Array(4);
      const keys = new Uint32Array(100);
      const values = new BigUint64Array(100);
      const seen = new Map<number, bigint>();
      for (let first = true, done = false; !done; first = false) {
        const batch = map.lookupBatch(
          cursor,
          first,
          new Uint8Array(keys.buffer),
          new Uint8Array(values.buffer),
          100,
        );
        for (let i = 0; i < batch.count; i++) {
          expect(seen.has(keys[i]!)).toBe(false);
          seen.set(keys[i]!, values[i]!);
        }
        done = batch.done;
      }
      expect(seen.size).toBe(1000);
      for (const [index, square] of seen)
        expect(square).toBe(BigInt(index * index));
    });

    test('sizes, flags and shared memory', () => {
      const shared = new Uint8Array(new SharedArrayBuffer(4));
      shared.set(key);
      expect(map.lookup(shared, value)).toBe(false);
      const wrong = new Uint8Array(5);
      const ranges: (() => unknown)[] = [
        () => map.lookup(wrong, value),
        () => map.lookup(key, wrong),
        () => map.update(key, wrong),
        () => map.delete(wrong),
        () => map.nextKey(wrong, new Uint8Array(4)),
        () => map.nextKey(undefined, wrong),
        () => map.lookupBatch(wrong, true, value, value, 1),
        () => map.lookupBatch(key, true, value, value, 2),
        () => map.lookupBatch(key, true, value, value, 0),
        () => map.update(key, value, -1),
        () => map.update(key, value, 1.5),
        () => map.update(key, value, NaN),
        () => map.update(key, value, 2 ** 53),
        () => map.update(key, value, -1n),
        () => map.update(key, value, 1n << 64n),
      ];
      for (const use of ranges) expect(caught(use).name).toBe('RangeError');
      const types: (() => unknown)[] = [
        () => map.lookup(key, undefined as never),
        () => map.lookup('1234' as never, value),
        () => map.update(key, [1] as never),
        () => map.update(key, value, '1' as never),
        () => map.lookupBatch(key, 1 as never, value, value, 1),
        () => map.lookupBatch(key, true, value, value, {} as never),
      ];
      for (const use of types) expect(caught(use).name).toBe('TypeError');
      expect(caught(() => map.update(key, value, 1n << 63n))).toMatchObject({
        code: 'EINVAL',
      });
    });

    test('a frozen map takes no more', () => {
      map.freeze();
      expect(caught(() => map.update(key, value))).toMatchObject({
        code: 'EPERM',
      });
    });

    test('every method of a closed map throws', () => {
      map.close();
      map.close();
      expect(map.closed).toBe(true);
      const uses: (() => unknown)[] = [
        () => map.fd,
        () => map.info(),
        () => map.lookup(key, value),
        () => map.update(key, value),
        () => map.delete(key),
        () => map.nextKey(undefined, key),
        () => map.lookupBatch(key, true, value, value, 1),
        () => map.freeze(),
      ];
      for (const use of uses)
        expect(caught(use)).toMatchObject({
          code: 'ERR_CLOSED',
          subject: 'counts',
        });
    });
  });

  test('a getter among the options may close the handle', () => {
    const program = keep(loaded().program(0));
    const target = {
      get kind(): 'section' {
        program.close();
        return 'section';
      },
    };
    expect(caught(() => program.attach(target))).toMatchObject({
      code: 'ERR_CLOSED',
    });
  });

  test('handles close in any order and leave nothing', async () => {
    const before = openFiles();
    const ids: Ids = { programs: [], maps: [], links: [] };
    for (let i = 0; i < 20; i++) {
      const object = addon.openObject(bytes);
      object.load();
      const program = object.program(0);
      const map = object.map(0);
      const link = program.attach();
      ids.programs.push(program.info().id);
      ids.maps.push(...object.maps().map((info) => info.id));
      ids.links.push(link.info().id);
      expect(exists('nextProgId', program.info().id)).toBe(true);
      const handles = [object, program, map, link];
      for (const turn of [3, 1, 4, 2].slice(0, 1 + (i % 4)))
        handles.push(...handles.splice(0, turn % handles.length));
      for (const handle of handles) handle.close();
    }
    expect(openedSince(before)).toEqual([]);
    await allGone(ids);
  });

  function exercise(
    options: string[],
    path: string,
    env: Record<string, string> = {},
  ) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [...options, join(__dirname, 'addon-exercise.js'), path, file, wildFile],
      { encoding: 'utf8', env: { ...process.env, ...env } },
    );
    expect(`${stderr}${status}`).toBe('0');
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({
      found: true,
      count: 100,
      first: true,
      deleted: true,
    });
    expect(result.entries).toBeGreaterThan(0);
    expect(result.codes).toEqual([
      'LIBBPF_ERRNO__FORMAT',
      'EINVAL',
      'ERR_INVALID_ARG_TYPE',
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
      'ERR_INVALID_ARG_TYPE',
      'TypeError',
      'ENOENT',
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
      'ERR_CLOSED',
      'EACCES',
      'ERR_OUT_OF_RANGE',
    ]);
    return result;
  }

  test('a process that ends leaves nothing', async () => {
    const result = exercise([], addonPath);
    expect(result.left).toBe(5); // without the collector
    await allGone(result.ids);
  });

  test('the collector closes what was forgotten, and nothing that is used', async () => {
    const result = exercise(['--expose-gc'], addonPath);
    expect(result).toMatchObject({ files: 0, left: 0 });
    await allGone(result.ids);
  });

  const sanitized = join(root, 'build/asan/bpf_kernel.node');
  const libasan = spawnSync('gcc', ['-print-file-name=libasan.so'], {
    encoding: 'utf8',
  });
  testUnless(
    libasan.status === 0 ? absent(sanitized) : 'there is no gcc',
    'under AddressSanitizer',
    () => {
      exercise(['--expose-gc'], sanitized, {
        LD_PRELOAD: libasan.stdout.trim(),
        ASAN_OPTIONS: 'detect_leaks=0',
      });
    },
  );

  test('worker threads get their own logs, and end with everything closed', async () => {
    const before = openFiles();
    const workers = [1111, 2222].map((mark) => {
      const subject = `thread${mark}`;
      return new Worker(join(__dirname, 'addon-worker.js'), {
        workerData: {
          addon: addonPath,
          bytes,
          refused: assemble(refused(subject, mark)),
          refusals: 20,
          subject,
          mark,
        },
      });
    });
    const report = (worker: Worker) =>
      new Promise<Ids & { refusals: number; closed: boolean }>((done, fail) => {
        worker.once('message', done);
        worker.once('error', fail);
      });
    let reports;
    try {
      reports = await Promise.all(workers.map(report));
      for (const { links } of reports)
        expect(exists('nextLinkId', links[0]!)).toBe(true);
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    for (const { refusals, closed } of reports)
      expect({ refusals, closed }).toEqual({ refusals: 20, closed: false });
    for (const report of reports) await allGone(report);
    expect(openedSince(before)).toEqual([]);
  });

  test('a worker thread that is killed in the middle leaves nothing', async () => {
    const before = openFiles();
    const worker = new Worker(join(__dirname, 'addon-worker.js'), {
      workerData: {
        addon: addonPath,
        bytes,
        refused: wild,
        refusals: 0,
        endless: true,
      },
    });
    try {
      const ids = await new Promise<Ids>((done, fail) => {
        worker.once('message', () => worker.once('message', done));
        worker.once('error', fail);
      });
      expect(exists('nextLinkId', ids.links[0]!)).toBe(true);
      await worker.terminate();
      await allGone(ids);
      expect(openedSince(before)).toEqual([]);
    } finally {
      await worker.terminate();
    }
  });
});
