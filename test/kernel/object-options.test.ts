/**
 * What a load or an opening can be told, beyond object.test.ts: maps that pin themselves, maps that are
 * not made, memory of a node, pins for one direction, symbols of the kernel, sizes that are filled in,
 * when a perf buffer wakes, sums of packets, tokens. Each shows in what the kernel then does.
 */
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { KernelMap, load, pins, possibleCpus, unpin, u32, u64 } from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  compileC,
  counting,
  leaveNothing,
  loadC,
  noFetch,
  olderThan,
  programOf,
  sectionBefore,
  slot,
  unbuilt,
} from './hooks';
import { errorOf, noKernel, within } from './support';

const word = (value: number): Uint8Array =>
  new Uint8Array(Uint32Array.of(value).buffer);
const long = (value: number): Uint8Array =>
  new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const table = (name: string, more: string): string =>
  `struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, u32); __type(value, u64); ${more} } ${name} SEC(".maps");`;

describeUnless(noKernel, 'what can be told', () => {
  leaveNothing();

  describe('maps', () => {
    const folder = `/sys/fs/bpf/options_${process.pid}`;
    const shared = (entries: number): string =>
      counting('xdp', {
        head: table(
          'shared',
          `__uint(max_entries, ${entries}); __uint(pinning, LIBBPF_PIN_BY_NAME);`,
        ),
        body: 'u32 key = 1; u64 *value = bpf_map_lookup_elem(&shared, &key); if (value) put(1, *value);',
      });

    test('that pin themselves, where it is said, and are found again', () => {
      mkdirSync(folder);
      try {
        const first = loadC(shared(8), { pinRoot: folder });
        expect([...pins(folder)]).toEqual([
          { path: join(folder, 'shared'), kind: 'map' },
        ]);
        first.map('shared').as(u32, u64).set(1, 42n);
        const { id } = first.map('shared').info;
        first.close();
        const second = loadC(shared(8), { pinRoot: folder });
        expect(second.map('shared').info.id).toBe(id);
        programOf(second).run({ data: new Uint8Array(64) });
        expect(slot(second, 1)).toBe(42n);
        // What is there is of another size.
        const error = errorOf(() => loadC(shared(9), { pinRoot: folder }));
        expect(error.code).toBe('EINVAL');
        expect(error.message).toContain('shared');
        // Where it must not pin itself, or elsewhere.
        const own = loadC(shared(9), { maps: { shared: { pin: false } } });
        expect(own.map('shared').info.id).not.toBe(id);
      } finally {
        for (const { path } of [...pins(folder)]) unpin(path);
        rmdirSync(folder);
      }
    });

    test('that are not made', () => {
      const text = counting('xdp', {
        head: table('idle', '__uint(max_entries, 4);'),
      });
      expect('idle' in loadC(text).maps).toBe(true);
      const object = loadC(text, { maps: { idle: { create: false } } });
      expect('idle' in object.maps).toBe(false);
      expect(() => object.map('idle')).toThrow("map 'idle' was not made");
      programOf(object).run({ data: new Uint8Array(64) });
      expect(slot(object)).toBe(1n);
    });

    test('in the memory of a node', () => {
      const NUMA_NODE = 4;
      const sizes = { type: 1, keySize: 4, valueSize: 8, maxEntries: 4 };
      const on = (numaNode: number) =>
        KernelMap.create({ ...sizes, flags: NUMA_NODE, numaNode });
      using map = on(0);
      expect(map.info.flags & NUMA_NODE).toBe(NUMA_NODE);
      expect(errorOf(() => on(999).close()).code).toBe('EINVAL');
      const text = counting('xdp', {
        head: table('there', '__uint(max_entries, 4);'),
        body: 'u32 key = 1; bpf_map_lookup_elem(&there, &key);',
      });
      const put = (numaNode: number) =>
        loadC(text, { maps: { there: { flags: NUMA_NODE, numaNode } } });
      expect(put(0).map('there').info.flags).toBe(NUMA_NODE);
      expect(errorOf(() => put(999)).code).toBe('EINVAL');
    });

    test('of a pin, for one direction', () => {
      const path = `/sys/fs/bpf/direction_${process.pid}`;
      using map = KernelMap.create({
        type: 1,
        keySize: 4,
        valueSize: 8,
        maxEntries: 4,
        contents: [[word(1), long(7)]],
      });
      map.pin(path);
      try {
        using reader = KernelMap.fromPin(path, { readOnly: true });
        expect(reader.get(word(1))).toEqual(long(7));
        expect(errorOf(() => reader.update(word(1), long(8)))).toMatchObject({
          code: 'EPERM',
          message: expect.stringContaining('its descriptor is read-only'),
        });
        using writer = KernelMap.fromPin(path, { writeOnly: true });
        writer.update(word(1), long(9));
        expect(errorOf(() => writer.lookup(word(1))).code).toBe('EPERM');
        expect(map.get(word(1))).toEqual(long(9));
        expect(() =>
          KernelMap.fromPin(path, { readOnly: true, writeOnly: true }),
        ).toThrow(RangeError);
      } finally {
        unpin(path);
      }
    });

    test('whose sizes follow from the machine', () => {
      const object = loadC(
        counting('xdp', {
          head: `struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } each SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 5000); } ring SEC(".maps");`,
        }),
      );
      expect(object.map('each').info.maxEntries).toBe(possibleCpus());
      // A power of two, and whole pages.
      expect(object.map('ring').info.maxEntries).toBe(8192);
    });
  });

  describe('symbols of the kernel', () => {
    test('by address, and those that may be missing', () => {
      const object = loadC(
        counting('raw_tp', {
          head: `extern const void bpf_prog_put __ksym;
extern const void no_such_symbol __ksym __weak;
extern void no_such_function(void) __ksym __weak;`,
          body: `put(1, (u64)&bpf_prog_put);
    put(2, (u64)&no_such_symbol);
    if (no_such_function) put(3, 1); else put(3, 2);`,
        }),
      );
      programOf(object).run();
      const line = /^([0-9a-f]+) T bpf_prog_put$/m.exec(
        readFileSync('/proc/kallsyms', 'utf8'),
      );
      expect([1, 2, 3].map((i) => slot(object, i))).toEqual([
        BigInt(`0x${line?.[1] ?? ''}`),
        0n,
        2n,
      ]);
    });

    const ofCpu = {
      head: 'extern const struct rq runqueues __ksym;',
      body: 'struct rq *own = bpf_per_cpu_ptr(&runqueues, 0); if (own) put(1, own->cpu + 1);',
    };
    const noVariables =
      unbuilt('KALLSYMS_ALL') ??
      (sectionBefore('5.11', 'raw_tp', ofCpu) &&
        "this kernel's BTF has no variables");
    testUnless(noVariables, 'variables of a CPU', () => {
      const object = loadC(counting('raw_tp', ofCpu));
      programOf(object).run();
      expect(slot(object, 1)).toBe(1n);
    });

    test('one that must be there is named', () => {
      const text = (name: string): string =>
        counting('raw_tp', {
          head: `extern const void ${name} __ksym;`,
          body: `put(1, (u64)&${name});`,
        });
      expect(errorOf(() => loadC(text('bpf_prog_putt'))).message).toContain(
        'bpf_prog_putt',
      );
    });

    const kfunc = {
      head: `extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;`,
      body: `struct task_struct *task = bpf_task_from_pid(${process.pid});
    if (task) { put(1, task->tgid); bpf_task_release(task); }`,
    };
    const noKfunc = sectionBefore('6.2', 'tp_btf/sys_enter', kfunc);
    testUnless(noKfunc, 'functions of the kernel', () => {
      const object = loadC(counting('tp_btf/sys_enter', kfunc));
      const link = programOf(object).attach();
      process.getuid?.();
      link.close();
      expect(slot(object, 1)).toBe(BigInt(process.pid));
    });
  });

  test('a perf buffer wakes once in so many records', async () => {
    const object = loadC(
      counting('raw_tp', {
        head: 'struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");',
        body: 'u64 number = 5; bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &number, 8);',
      }),
    );
    const stream = object.map('events').stream({ wakeupEvents: 3 });
    const woken = async (): Promise<boolean> => {
      const signal = AbortSignal.timeout(within(100));
      return stream.wait(signal).then(
        () => true,
        () => false,
      );
    };
    const write = (): unknown => programOf(object).run({ cpu: 0 });
    write();
    write();
    expect(await woken()).toBe(false);
    write();
    expect(await woken()).toBe(true);
    expect(stream.drain().length).toBe(3);
    expect(await woken()).toBe(false);
    stream.close();
    // What came while nobody watched is not missed, again and again.
    using each = object.map('events').stream();
    for (let i = 0; i < 20; i++) {
      write();
      const signal = AbortSignal.timeout(within(5000));
      await each.wait(signal);
      expect(each.drain().length).toBe(1);
    }
  });

  const noSums = olderThan('6.15')
    ? 'sums of test packets came with Linux 6.15'
    : undefined;
  testUnless(noSums ?? noFetch, 'the sum of a packet is looked at', () => {
    const object = loadC(
      counting('tc', {
        ctx: 'struct __sk_buff *ctx',
        body: `u8 byte = 0x5a;
    bpf_skb_store_bytes(ctx, 20, &byte, 1, 0);`,
      }),
    );
    const data = new Uint8Array(64);
    const run = (checksumComplete: boolean) =>
      programOf(object).run({ data, checksumComplete });
    expect(run(false).data[20]).toBe(0x5a);
    // The program changed the packet, and not its sum.
    expect(errorOf(() => run(true)).code).toBe('EBADMSG');
  });

  test('a token: none, or of a file system that gives them', () => {
    const object = compileC(counting('xdp'));
    load(object, { tokenPath: '' }).close();
    const error = errorOf(() => load(object, { tokenPath: '/proc' }).close());
    expect(error.operation).toBe('load object');
    expect(error.message).toMatch(/token/);
  });
});
