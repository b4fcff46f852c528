/**
 * Objects between open and load, runs of single programs, what the kernel tells about them, links
 * and pins.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  bpffsMounted,
  ClosedError,
  compile,
  enableStats,
  features,
  type KernelError,
  KernelMap,
  KernelProgram,
  Link,
  linkIds,
  load,
  mountBpffs,
  openPinned,
  pins,
  programIds,
  query,
  u32,
  u64,
  unpin,
  type KernelObject,
} from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  before,
  counting,
  lacks,
  leaveNothing,
  loadC,
  olderThan,
  openFiles,
  programOf,
  slot,
  temporary,
} from './hooks';
import { bpfDescriptors, errorOf, noKernel, remaining } from './support';

const PIN = `/sys/fs/bpf/test_${process.pid}`;
const PASS = '2';

const number = (value: number): Uint8Array =>
  new Uint8Array(Uint32Array.of(value).buffer);
const numberOf = (bytes: Uint8Array | undefined): number =>
  new Uint32Array((bytes ?? new Uint8Array(4)).slice().buffer)[0] ?? -1;
const getuid = (): void => {
  for (let i = 0; i < 10; i++) process.getuid?.();
};

describeUnless(noKernel, 'objects', () => {
  leaveNothing();

  describe('changes before the load', () => {
    const three = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16);
         __type(key, u32); __type(value, u64); } table SEC(".maps");
const volatile u32 limit = 7;
u32 start = 11;
u32 zero;
SEC("xdp") int first(void *ctx) { return limit; }
SEC("xdp") int second(void *ctx) { u32 k = start + zero; u64 v = 1;
    bpf_map_update_elem(&table, &k, &v, 0); return start; }
SEC("?xdp") int third(void *ctx) { return 3; }
char LICENSE[] SEC("license") = "GPL";
`;
    const packet = new Uint8Array(64);
    const names = (object: { programs: object }): string[] =>
      Object.keys(object.programs);
    const result = (object: ReturnType<typeof loadC>, name: string): number =>
      programOf(object, name).run({ data: packet }).returnValue;

    test('a subset of the programs', () => {
      expect(names(loadC(three))).toEqual(['first', 'second']);
      expect(names(loadC(three, { only: ['third'] }))).toEqual(['third']);
      expect(
        names(
          loadC(three, {
            programs: { first: { load: false }, third: { load: true } },
          }),
        ),
      ).toEqual(['second', 'third']);
      expect(() => loadC(three, { only: ['fourth'] })).toThrow(
        "the object has no program 'fourth'; it has first, second, third",
      );
    });

    test('variables and data sections', () => {
      const object = loadC(three, {
        globals: { limit: number(40), start: number(50) },
      });
      expect([result(object, 'first'), result(object, 'second')]).toEqual([
        40, 50,
      ]);
      const sections = loadC(three, {
        maps: { '.data': { initial: number(60) } },
      });
      expect(result(sections, 'second')).toBe(60);
      expect(result(sections, 'first')).toBe(7);
      expect(() =>
        loadC(three, { globals: { limit: new Uint8Array(2) } }),
      ).toThrow('variable limit has 4 bytes, not 2');
      expect(() => loadC(three, { globals: { nothing: number(1) } })).toThrow(
        "the object has no variable 'nothing'",
      );
      expect(
        errorOf(() =>
          loadC(three, { maps: { '.data': { initial: new Uint8Array(5) } } }),
        ),
      ).toMatchObject({ code: 'ERANGE', operation: 'set initial value' });
      expect(
        errorOf(() =>
          loadC(three, { maps: { table: { initial: new Uint8Array(1) } } }),
        ).message,
      ).toContain('only maps of global variables');
    });

    test('sizes, type and flags of a map', () => {
      const changed = loadC(three, {
        maps: { table: { type: 9, maxEntries: 100, valueSize: 8 } },
      });
      expect(changed.maps['table']?.info).toMatchObject({
        type: 9,
        maxEntries: 100,
      });
      const flagged = loadC(three, { maps: { table: { flags: 1 } } });
      expect(flagged.maps['table']?.info.flags).toBe(1);
      expect(() => loadC(three, { maps: { chair: {} } })).toThrow(
        "the object has no map 'chair'; it has ",
      );
    });

    test('names and options that there are not', () => {
      const object = loadC(three, { only: ['first'] });
      expect(object.program('first')).toBe(object.programs['first']);
      expect(object.map('table')).toBe(object.maps['table']);
      expect(object.map('.bss')).toBe(
        Object.values(object.maps).find(({ name }) => name.endsWith('.bss')),
      );
      const said = (call: () => unknown): string => {
        try {
          call();
        } catch (error) {
          if (error instanceof TypeError) return error.message;
        }
        throw new Error('no TypeError');
      };
      expect(said(() => object.program('frist'))).toBe(
        "the object has no program 'frist'; did you mean 'first'?",
      );
      expect(said(() => object.program('second'))).toBe(
        "program 'second' was not loaded",
      );
      expect(said(() => object.map('tabel'))).toContain(
        "did you mean 'table'?",
      );
      // As ever, and for ?. and in:
      expect(object.maps['tabel']).toBeUndefined();
      expect('tabel' in object.maps).toBe(false);

      const loading: [object, string][] = [
        [
          { maps: { table: { maxEntires: 1 } } },
          "load(): map table has no option 'maxEntires'; did you mean 'maxEntries'?",
        ],
        [
          { programs: { first: { lod: false } } },
          "load(): program first has no option 'lod'; did you mean 'load'?",
        ],
        [
          { global: {} },
          "load() has no option 'global'; did you mean 'globals'?",
        ],
      ];
      for (const [options, text] of loading)
        expect(said(() => loadC(three, options))).toBe(text);
      const program = object.program('first');
      const attaching: [object, string][] = [
        [
          { kind: 'xdp', interfase: 'lo' },
          "attach(): xdp has no option 'interfase'; did you mean 'interface'?",
        ],
        [
          { kind: 'kretprobe', name: 'f', cokie: 1 },
          "attach(): kretprobe has no option 'cokie'; did you mean 'cookie'?",
        ],
        [
          { kind: 'uprobe_multi', path: 'x', refCtrOffset: 1n },
          "attach(): uprobe_multi has no option 'refCtrOffset'; did you mean 'refCtrOffsets'?",
        ],
        [
          { kind: 'tcx', interface: 1, place: 'first', prio: 2 },
          "attach(): tcx has no option 'prio'; it has kind, attachType, interface, direction, place, revision",
        ],
      ];
      for (const [target, text] of attaching)
        expect(said(() => program.attach(target as never))).toBe(text);
      expect(() => program.attach({ kind: 'trasepoint' } as never)).toThrow(
        "not 'trasepoint'; did you mean 'tracepoint'?",
      );
      const sizes = { keySize: 4, valueSize: 4, maxEntries: 1 };
      const rest: [() => unknown, string][] = [
        [
          () => KernelMap.create({ type: 1, ...sizes, flag: 1 } as never),
          "KernelMap.create() has no option 'flag'; did you mean 'flags'?",
        ],
        [
          () => KernelProgram.load({ typ: 1 } as never),
          "KernelProgram.load() has no option 'typ'; did you mean 'type'?",
        ],
        [
          () => program.run({ repaet: 2 } as never),
          "run() has no option 'repaet'; did you mean 'repeat'?",
        ],
        [
          () => object.map('table').stream({ byte: 1 } as never),
          "stream() has no option 'byte'; did you mean 'bytes'?",
        ],
        [
          () => query({ kind: 'cgroup', path: '/', efective: true } as never),
          "query(): cgroup has no option 'efective'; did you mean 'effective'?",
        ],
      ];
      for (const [call, text] of rest) expect(said(call)).toBe(text);
    });

    test('a map instead of a new one', () => {
      const first = loadC(three);
      const table = first.maps['table'];
      if (!table) throw new Error('no map');
      const second = loadC(three, { maps: { table: { reuse: table } } });
      expect(second.maps['table']?.info.id).toBe(table.info.id);
      result(second, 'second');
      expect([...table.as(u32, u64).keys()]).toEqual([11]);
      const other = loadC(three, { maps: { table: { maxEntries: 17 } } });
      // libbpf takes the definition of the map that is reused.
      expect(other.maps['table']?.info.id).not.toBe(table.info.id);
    });

    test('a map pinned at a path, and found there again', () => {
      const path = `${PIN}_table`;
      const options = { maps: { table: { pin: path } } };
      const first = loadC(three, options);
      try {
        expect(existsSync(path)).toBe(true);
        const second = loadC(three, options);
        expect(second.maps['table']?.info.id).toBe(
          first.maps['table']?.info.id,
        );
      } finally {
        unpin(path);
      }
    });

    test('a type, an attach type and a target', () => {
      const text = counting('xdp', { result: '0' });
      const socket = loadC(text, {
        programs: { prog: { type: 1, attachType: 0 } },
      });
      expect(programOf(socket).info.type).toBe(1);
      const traced = loadC(counting('tp_btf'), {
        programs: { prog: { target: 'sys_enter' } },
      });
      const link = programOf(traced).attach();
      getuid();
      expect(slot(traced)).toBeGreaterThanOrEqual(10n);
      link.close();
      expect(
        errorOf(() =>
          loadC(counting('tp_btf'), {
            programs: { prog: { target: 'no_such_tracepoint' } },
          }),
        ).message,
      ).toContain("there is no 'no_such_tracepoint' for it to attach to");
    });

    test('maps inside of maps', () => {
      const text = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2);
         __type(key, u32); __type(value, u32); } outer SEC(".maps");
SEC("xdp") int prog(void *ctx) { u32 k = 0; return bpf_map_lookup_elem(&outer, &k) ? 1 : 2; }
char LICENSE[] SEC("license") = "GPL";
`;
      using inner = KernelMap.create({
        type: 2,
        keySize: 4,
        valueSize: 8,
        maxEntries: 3,
      });
      const object = loadC(text, { maps: { outer: { inner } } });
      object.maps['outer']?.set(number(0), number(inner.fd));
      expect(programOf(object).run({ data: packet }).returnValue).toBe(1);
    });

    test('kconfig and BTF from elsewhere', () => {
      const text = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
extern int CONFIG_HZ __kconfig;
SEC("xdp") int prog(void *ctx) { return CONFIG_HZ; }
SEC("xdp") int core(void *ctx) { return bpf_core_type_exists(struct task_struct); }
char LICENSE[] SEC("license") = "GPL";
`;
      const object = loadC(text, { kconfig: 'CONFIG_HZ=4321\n' });
      expect(result(object, 'prog')).toBe(4321);
      expect(result(object, 'core')).toBe(1);
      const folder = temporary();
      try {
        // BTF with one type, an int: no task_struct.
        const path = join(folder.path, 'btf');
        const btf = Buffer.alloc(24 + 16 + 5);
        btf.writeUInt16LE(0xeb9f, 0);
        btf.writeUInt8(1, 2);
        btf.writeUInt32LE(24, 4);
        btf.writeUInt32LE(16, 12);
        btf.writeUInt32LE(16, 16);
        btf.writeUInt32LE(5, 20);
        btf.writeUInt32LE(1, 24);
        btf.writeUInt32LE(1 << 24, 28);
        btf.writeUInt32LE(4, 32);
        btf.writeUInt32LE(32, 36);
        btf.write('int', 41);
        writeFileSync(path, btf);
        const other = loadC(text, { btfPath: path, kconfig: 'CONFIG_HZ=1\n' });
        expect(result(other, 'core')).toBe(0);
      } finally {
        folder.remove();
      }
    });

    test('attach() attaches what says where, or nothing', () => {
      const text = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("raw_tp/sys_enter") int one(void *ctx) { return 0; }
SEC("tp/syscalls/sys_enter_getuid") int two(void *ctx) { return 0; }
SEC("xdp") int three(void *ctx) { return 2; }
char LICENSE[] SEC("license") = "GPL";
`;
      const object = loadC(text);
      expect(object.attach().map((link) => link.program?.name)).toEqual([
        'one',
        'two',
      ]);
      const some = loadC(text, { programs: { two: { attach: false } } });
      expect(some.attach().map((link) => link.program?.name)).toEqual(['one']);
      const wrong = loadC(text.replace('enter_getuid', 'enter_nothing'));
      const before = bpfDescriptors().length;
      expect(errorOf(() => wrong.attach()).code).toBe('ENOENT');
      expect(bpfDescriptors().length).toBe(before);
    });
  });

  describe('runs by themselves', () => {
    test('xdp: packet, context, repeat', () => {
      const object = loadC(
        counting('xdp', {
          ctx: 'struct xdp_md *ctx',
          body: `void *end = (void *)(long)ctx->data_end;
    unsigned char *data = (void *)(long)ctx->data;
    if ((void *)(data + 14) > end) return 1;
    data[0] = 0xaa;
    put(1, ctx->ingress_ifindex);
    if (bpf_xdp_adjust_head(ctx, -8)) return 1;`,
          result: PASS,
        }),
      );
      const program = programOf(object);
      const data = new Uint8Array(60).fill(7);
      const run = program.run({ data });
      expect(run).toMatchObject({
        returnValue: 2,
        duration: expect.any(Number),
      });
      expect(run.data.length).toBe(68);
      expect([...run.data.subarray(8, 10)]).toEqual([0xaa, 7]);
      expect(data[0]).toBe(7);
      const before = slot(object);
      program.run({ data: new Uint8Array(600), repeat: 1 });
      expect(slot(object) - before).toBe(1n);
      // Before 5.18 the kernel ran it on less than a header.
      if (!olderThan('5.18'))
        expect(
          errorOf(() => program.run({ data: new Uint8Array(4) })),
        ).toMatchObject({
          code: 'EINVAL',
          operation: 'run program',
          message: expect.stringContaining('packets have at least 14 bytes'),
        });
      expect(errorOf(() => program.run({ data, room: 0 }))).toMatchObject({
        code: 'ENOSPC',
        message: expect.stringContaining('it did run'),
      });
    });

    /** A context of a packet of 64 bytes that came from lo. */
    const fromLo = (): Uint8Array => {
      const ctx = new Uint8Array(24);
      new DataView(ctx.buffer).setUint32(4, 64, true); // data_end
      new DataView(ctx.buffer).setUint32(12, 1, true); // ingress_ifindex
      return ctx;
    };
    const runsXdp = (options: object): KernelObject => {
      const object = loadC(
        counting('xdp', {
          ctx: 'struct xdp_md *ctx',
          body: 'put(1, ctx->ingress_ifindex);',
          result: '1', // XDP_DROP
        }),
      );
      const data = new Uint8Array(64);
      const { ctx } = programOf(object).run({
        data,
        ctx: fromLo(),
        ...options,
      });
      expect(slot(object, 1)).toBe(1n);
      if (!('liveFrames' in options)) expect(ctx?.length).toBe(24);
      return object;
    };
    const noContext = before('5.15', 'a context for XDP', () => runsXdp({}));
    testUnless(noContext, 'xdp: the context', () => {
      expect(slot(runsXdp({}))).toBe(1n);
    });

    const frames = { liveFrames: true, repeat: 100, batchSize: 16 };
    const noFrames = before('5.18', 'live frames', () => runsXdp(frames));
    testUnless(noFrames, 'xdp: live frames', () => {
      expect(slot(runsXdp(frames))).toBe(100n);
    });

    test('tc: the context comes back', () => {
      const object = loadC(
        counting('tc', {
          ctx: 'struct __sk_buff *ctx',
          body: 'ctx->mark += 5; put(1, ctx->priority);',
        }),
      );
      const ctx = new Uint8Array(192);
      new DataView(ctx.buffer).setUint32(8, 37, true); // mark
      new DataView(ctx.buffer).setUint32(32, 6, true); // priority
      const run = programOf(object).run({
        data: new Uint8Array(64),
        ctx,
        repeat: 1,
      });
      expect(
        new DataView((run.ctx ?? ctx).slice().buffer).getUint32(8, true),
      ).toBe(42);
      expect(slot(object, 1)).toBe(6n);
    });

    test('raw_tp on a CPU', () => {
      const object = loadC(
        counting('raw_tp', {
          ctx: 'struct bpf_raw_tracepoint_args *ctx',
          body: 'put(1, ctx->args[1]); put(2, bpf_get_smp_processor_id());',
          result: '5',
        }),
      );
      const ctx = new Uint8Array(BigUint64Array.of(1n, 99n).buffer);
      expect(programOf(object).run({ ctx, cpu: 0 }).returnValue).toBe(5);
      expect([slot(object, 1), slot(object, 2)]).toEqual([99n, 0n]);
      expect(
        errorOf(() => programOf(object).run({ ctx, cpu: 100_000 })).code,
      ).toBe('ENXIO');
    });

    const noSyscall = lacks(features.programType('syscall'));
    testUnless(noSyscall, 'syscall: the context is written', () => {
      const object = loadC(
        counting('syscall', {
          ctx: 'u32 *ctx',
          body: 'ctx[1] = ctx[0] * 2;',
          result: '9',
        }),
      );
      const ctx = new Uint8Array(Uint32Array.of(21, 0).buffer);
      const run = programOf(object).run({ ctx });
      expect(run.returnValue).toBe(9);
      expect(numberOf(run.ctx?.subarray(4))).toBe(42);
      expect(numberOf(ctx.subarray(4))).toBe(0);
    });

    const ipv4 = new Uint8Array(64);
    ipv4[12] = 8; // ETH_P_IP
    ipv4[14] = 0x45;
    const runOn = (section: string, result: string): number =>
      programOf(loadC(counting(section, { result }))).run({ data: ipv4 })
        .returnValue;
    const noNetfilter = lacks(features.programType('netfilter'));
    testUnless(noNetfilter, 'netfilter', () => {
      expect(runOn('netfilter', '1')).toBe(1);
    });

    test('flow_dissector', () => {
      // Before 6.1 the kernel told only whether it was BPF_OK.
      const result = runOn('flow_dissector', '0');
      expect(result).toBe(olderThan('6.1') ? 1 : 0);
      if (!olderThan('6.1')) expect(runOn('flow_dissector', '129')).toBe(129);
    });

    const sockets = new Uint8Array(72);
    new DataView(sockets.buffer).setUint32(8, 2, true); // AF_INET
    new DataView(sockets.buffer).setUint32(12, 6, true); // IPPROTO_TCP
    const lookUp = (): KernelObject => {
      const object = loadC(counting('sk_lookup', { result: '1' }));
      const { returnValue } = programOf(object).run({ ctx: sockets });
      expect(returnValue).toBe(1);
      return object;
    };
    const noLookUp = before('5.13', 'a run of sk_lookup', lookUp);
    testUnless(noLookUp, 'sk_lookup', () => {
      expect(slot(lookUp())).toBe(1n);
    });

    test('types that cannot are told', () => {
      const program = programOf(loadC(counting('sockops')));
      expect(
        errorOf(() => program.run({ data: new Uint8Array(64) })).message,
      ).toContain('the kernel cannot run programs of this type by themselves');
    });
  });

  describe('what the kernel tells', () => {
    test('details', () => {
      const object = loadC(counting('xdp', { result: PASS }));
      const details = programOf(object).details();
      expect(details).toMatchObject({
        name: 'prog',
        id: programOf(object).info.id,
        type: 6,
        uid: process.getuid?.(),
        gplCompatible: true,
        tag: expect.stringMatching(/^[0-9a-f]{16}$/),
        mapIds: [object.maps['slots']?.info.id],
        btfId: expect.any(Number),
      });
      // It is told since 5.16.
      expect(details.verifiedInstructions).toBeGreaterThan(
        olderThan('5.16') ? -1 : 3,
      );
      expect(details.loadTime).toBeGreaterThan(0n);
      expect(details.xlated.length % 8).toBe(0);
      expect(details.xlated.at(-8)).toBe(0x95); // exit
      expect(details.lines.length).toBeGreaterThan(2);
      expect(details.lines.map((line) => line.text.trim())).toContain(
        'if (value)',
      );
      expect(details.lines[0]).toMatchObject({ file: '<source>', insn: 0 });
      if (
        readFileSync('/proc/sys/net/core/bpf_jit_enable', 'utf8').trim() !== '0'
      ) {
        expect(details.jited.length).toBeGreaterThan(10);
        expect(details.jitedFunctions[0]?.size).toBe(details.jited.length);
        expect(details.lines[0]?.address).toBe(
          details.jitedFunctions[0]?.address,
        );
      }
    });

    test('statistics, while they are on', () => {
      const object = loadC(counting('xdp', { result: PASS }));
      const program = programOf(object);
      const run = (): unknown => program.run({ data: new Uint8Array(64) });
      run();
      expect(program.stats).toEqual({ runs: 0n, time: 0n, misses: 0n });
      const statistics = enableStats();
      run();
      run();
      statistics.close();
      statistics.close();
      run();
      const { runs, time } = program.stats;
      expect(runs).toBe(2n);
      expect(time).toBeGreaterThan(0n);
    });

    test('programs and links by their ids', () => {
      const object = loadC(counting('raw_tp/sys_enter'));
      const program = programOf(object);
      const link = program.attach();
      const { id } = link.info();
      expect([...programIds()]).toContain(program.info.id);
      expect([...linkIds()]).toContain(id);
      using again = KernelProgram.fromId(program.info.id);
      expect(again.info).toMatchObject({ name: 'prog', type: 17, section: '' });
      expect(again.object).toBeUndefined();
      using same = Link.fromId(id);
      expect(same.info()).toEqual(link.info());
      link.close();
      getuid();
      const before = slot(object);
      getuid();
      expect(slot(object)).toBeGreaterThan(before); // the other handle holds it
      expect(errorOf(() => KernelProgram.fromId(2 ** 31)).code).toBe('ENOENT');
      expect(errorOf(() => Link.fromId(2 ** 31)).message).toContain(
        'the kernel has no link of this id',
      );
    });
  });

  describe('pins', () => {
    const root = `${PIN}_folder`;
    afterAll(() => {
      if (existsSync(root)) rmdirSync(root);
    });

    test('programs, maps and links, found again as what they are', () => {
      mkdirSync(root);
      const object = loadC(counting('raw_tp/sys_enter'));
      const link = programOf(object).attach();
      const paths = ['link', 'map', 'program'].map((name) => join(root, name));
      const [linkPath, mapPath, programPath] = paths as [
        string,
        string,
        string,
      ];
      link.pin(linkPath);
      object.maps['slots']?.pin(mapPath);
      programOf(object).pin(programPath);
      expect(
        [...pins(root)].sort((a, b) => (a.path < b.path ? -1 : 1)),
      ).toEqual([
        { path: linkPath, kind: 'link' },
        { path: mapPath, kind: 'map' },
        { path: programPath, kind: 'program' },
      ]);
      const { id } = link.info();
      object.close();
      const map = openPinned(mapPath);
      const program = openPinned(programPath);
      const again = openPinned(linkPath);
      expect([map, program, again].map((handle) => handle.constructor)).toEqual(
        [KernelMap, KernelProgram, Link],
      );
      expect((again as Link).info().id).toBe(id);
      const count = (): bigint => (map as KernelMap).as(u32, u64).get(0) ?? 0n;
      const before = count();
      getuid();
      expect(count()).toBeGreaterThanOrEqual(before + 10n);
      expect(() => Link.fromPin(programPath)).toThrow(
        'is a program, not a link',
      );
      for (const path of paths) unpin(path);
      for (const handle of [again, program, map]) handle.close();
      expect([...pins(root)]).toEqual([]);
    });

    test('what is wrong is said', () => {
      const program = programOf(loadC(counting('xdp', { result: PASS })));
      const pin = (path: string): KernelError =>
        errorOf(() => program.pin(path));
      expect(pin('/tmp/not_there')).toMatchObject({
        code: 'EINVAL',
        message: expect.stringContaining('/tmp is not in a BPF file system'),
      });
      expect(pin('/sys/fs/bpf/no/such/folder').message).toContain(
        'there is no folder /sys/fs/bpf/no/such',
      );
      expect(pin('/sys/fs/bpf/a.b').message).toContain(
        'names of pins have no dots',
      );
      program.pin(PIN);
      expect(pin(PIN)).toMatchObject({
        code: 'EEXIST',
        message: expect.stringContaining('something is pinned there already'),
      });
      unpin(PIN);
      expect(errorOf(() => unpin(PIN)).code).toBe('ENOENT');
      expect(errorOf(() => unpin('/etc/passwd')).code).toBe('EINVAL');
      expect(existsSync('/etc/passwd')).toBe(true);
      expect(errorOf(() => KernelProgram.fromPin(PIN)).code).toBe('ENOENT');
      expect(errorOf(() => openPinned('/etc/passwd')).message).toContain(
        'not in a BPF file system',
      );
    });

    test('a file system of its own', () => {
      const folder = temporary();
      const path = join(folder.path, 'bpf');
      expect(bpffsMounted(path)).toBe(false);
      mountBpffs(path);
      mountBpffs(path);
      try {
        expect(bpffsMounted(path)).toBe(true);
        const object = loadC(counting('xdp', { result: PASS }));
        programOf(object).pin(join(path, 'here'));
        expect([...pins(path)]).toEqual([
          { path: join(path, 'here'), kind: 'program' },
        ]);
      } finally {
        expect(spawnSync('umount', [path]).status).toBe(0);
        folder.remove();
      }
      expect(bpffsMounted('/proc')).toBe(false);
    });
  });

  test('use after close throws, whatever the method', () => {
    const object = loadC(counting('raw_tp/sys_enter'));
    const program = programOf(object);
    const link = program.attach();
    const statistics = enableStats();
    object.close();
    statistics.close();
    expect([object, program, link, statistics].map((h) => h.closed)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    const uses: (() => unknown)[] = [
      () => object.attach(),
      () => object.attachStructOps('slots'),
      () => program.fd,
      () => program.info,
      () => program.details(),
      () => program.stats,
      () => program.log(),
      () => program.attach(),
      () => program.run(),
      () => program.pin(PIN),
      () => link.fd,
      () => link.info(),
      () => link.update(program),
      () => link.detach(),
      () => link.pin(PIN),
      () => link.read(),
      () => link.stream(),
    ];
    for (const use of uses) expect(use).toThrow(ClosedError);
    object.close();
    link.close();
  });

  test('many loads and attachments leave nothing', async () => {
    const elf = compile(counting('raw_tp/sys_enter'), { warnings: ['none'] });
    const round = (): { programs: number; maps: number; links: number } => {
      const object = load(elf);
      const link = programOf(object).attach();
      const ids = {
        programs: programOf(object).info.id,
        maps: object.maps['slots']?.info.id ?? 0,
        links: link.info().id,
      };
      programOf(object).details();
      object.close();
      return ids;
    };
    round();
    const files = openFiles();
    const rounds = Array.from({ length: 100 }, round);
    expect(openFiles()).toBe(files);
    expect(
      await remaining({
        programs: new Set(rounds.map((ids) => ids.programs)),
        maps: new Set(rounds.map((ids) => ids.maps)),
        links: new Set(rounds.map((ids) => ids.links)),
      }),
    ).toEqual({ programs: [], maps: [], links: [] });
  });
});
