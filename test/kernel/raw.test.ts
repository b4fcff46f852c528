/**
 * Programs of bare instructions, what programs print into their streams, and what is attached where.
 * Instructions are assembled here, and taken out of their section.
 */
import { rmdirSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  assemble,
  AttachType,
  compile,
  features,
  KernelMap,
  KernelProgram,
  Link,
  load,
  MapType,
  ProgramType,
  query,
  u32,
  u64,
  type RawProgram,
} from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  before,
  cgroupRoot,
  leaveNothing,
  loadC,
  makeWire,
  noWire,
  olderThan,
  programOf,
  type Wire,
} from './hooks';
import { errorOf, noKernel } from './support';

/** BPF_PSEUDO_MAP_IDX: the map's place in fds */
const MAP_BY_PLACE = 5;
const TCX_INGRESS = 46;
const TCX_EGRESS = 47;

const instructions = (text: string): Uint8Array => {
  const bytes = assemble(`.section .text,"ax",@progbits\n${text}`).section(
    '.text',
  );
  if (bytes === undefined) throw new Error('no .text');
  return bytes;
};

const returns = (value: number): Uint8Array =>
  instructions(`r0 = ${value}\nexit\n`);

/** Adds one to slot 0 of the map at place 0 and returns the sum. */
function counting(): Uint8Array {
  const bytes = instructions(`
    r1 = 0 ll
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    call 1
    if r0 == 0 goto +4
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
    r0 = r1
    exit
  `);
  bytes[1] = (MAP_BY_PLACE << 4) | 1;
  return bytes;
}

leaveNothing();

describeUnless(noKernel, 'KernelProgram.load', () => {
  const simple = (more: Partial<RawProgram> = {}): RawProgram => ({
    name: 'two',
    type: ProgramType.SOCKET_FILTER,
    instructions: returns(2),
    ...more,
  });

  test('runs', () => {
    using program = KernelProgram.load(simple());
    const { returnValue } = program.run({ data: new Uint8Array(14) });
    expect(returnValue).toBe(2);
    expect(program.info).toMatchObject({
      name: 'two',
      section: '',
      type: ProgramType.SOCKET_FILTER,
      instructionCount: 2,
    });
    expect(program.details().gplCompatible).toBe(false);
  });

  test('a licence', () => {
    using program = KernelProgram.load(simple({ license: 'Dual BSD/GPL' }));
    expect(program.details().gplCompatible).toBe(true);
  });

  /** A map of one number. */
  const makeNumber = (): KernelMap =>
    KernelMap.create({
      type: MapType.ARRAY,
      keySize: 4,
      valueSize: 8,
      maxEntries: 1,
    });

  // In an array of descriptors, which the kernel does not know before.
  const noPlaces = before('5.14', 'maps by their place', () => {
    const map = makeNumber();
    try {
      return KernelProgram.load(
        simple({ instructions: counting(), fds: [map] }),
      );
    } finally {
      map.close();
    }
  });
  testUnless(noPlaces, 'maps by place', () => {
    using map = makeNumber();
    using program = KernelProgram.load(
      simple({ instructions: counting(), fds: [map] }),
    );
    program.run({ data: new Uint8Array(14), repeat: 5 });
    expect(map.as(u32, u64).get(0)).toBe(5n);
    expect(program.details().mapIds).toEqual([map.info.id]);
  });

  test('what is refused is explained', () => {
    const wild = instructions('r1 = 4660\nr0 = *(u32 *)(r1 + 0)\nexit\n');
    const error = errorOf(() =>
      KernelProgram.load(simple({ instructions: wild })),
    );
    expect(error.code).toBe('EACCES');
    expect(error.subject).toBe('two');
    // Scalars were called 'inv' until 5.18.
    expect(error.log).toMatch(/R1 invalid mem access '(scalar|inv)'/);
    expect(error.explanation?.refused).toBe(true);
    expect(error.message).toContain(error.explanation?.text.trimEnd() ?? '-');
  });

  test('a log on request', () => {
    using program = KernelProgram.load(simple({ logLevel: 2 }));
    expect(program.log()).toContain('processed 2 insns');
  });

  test('a target by name: an iterator', () => {
    const iterator = simple({
      type: ProgramType.TRACING,
      attachType: 28, // BPF_TRACE_ITER
      license: 'GPL',
      instructions: returns(0),
      target: 'task',
    });
    using program = KernelProgram.load(iterator);
    using link = program.attach({ kind: 'iter' });
    expect(link.read()).toHaveLength(0);
    const error = errorOf(() =>
      KernelProgram.load({ ...iterator, target: 'no_such_name' }),
    );
    expect(error.code).toBe('ESRCH');
    expect(error.message).toContain("'no_such_name'");
  });

  test('types of functions and lines', () => {
    // int f(void), and the strings of its file and line
    const strings = '\0int\0f\0a.c\0return 2;\0';
    const types = [
      ...[1, 1 << 24, 4, (1 << 24) | 32],
      ...[0, 13 << 24, 1],
      ...[5, (12 << 24) | 1, 2],
    ];
    const header = [0x1_eb9f, 24, 0, 4 * types.length, 4 * types.length];
    const numbers = Uint32Array.from([...header, strings.length, ...types]);
    const btf = Buffer.concat([
      Buffer.from(numbers.buffer),
      Buffer.from(strings),
    ]);
    using program = KernelProgram.load(
      simple({
        btf,
        functions: [{ insn: 0, typeId: 3 }],
        lines: [{ insn: 0, file: 7, text: 11, line: 42, column: 5 }],
      }),
    );
    const { functions, lines } = program.details();
    expect(functions).toEqual([{ insn: 0, typeId: 3 }]);
    expect(lines).toMatchObject([{ file: 'a.c', text: 'return 2;', line: 42 }]);
  });

  test('wrong arguments', () => {
    const load = (more: object): KernelProgram =>
      KernelProgram.load({ ...simple(), ...more } as RawProgram);
    expect(() => load({ instructions: new Uint8Array(7) })).toThrow('8 bytes');
    expect(() => load({ instructions: 'r0 = 0' })).toThrow('a Uint8Array');
    expect(() => load({ name: 7 })).toThrow('name must be a string');
    expect(() => load({ type: -1 })).toThrow('type must be an integer');
    expect(errorOf(() => load({ instructions: new Uint8Array(0) })).code).toBe(
      'EINVAL',
    );
    expect(errorOf(() => load({ type: 9999 })).code).toBe('EINVAL');
  });
});

interface Printer {
  name: string;
  /** Whether its last argument is written: since 7.0 the verifier adds it. */
  aux: boolean;
}
/** Of 6.17, since 6.18, since 7.0. */
const PRINTERS: Printer[] = [
  { name: 'bpf_stream_vprintk_impl', aux: true },
  { name: 'bpf_stream_vprintk', aux: true },
  { name: 'bpf_stream_vprintk', aux: false },
];
const printing = ({ name, aux }: Printer): string => `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
extern int ${name}(int stream, const char *format, const void *values, __u32 size
                   ${aux ? ', void *aux' : ''}) __ksym;
#define print(stream, format) \
    ${name}(stream, format, number, sizeof(number) ${aux ? ', (void *)0' : ''})
SEC("syscall") int prog(void *ctx) {
    static const char out[] = "out %d\\n", err[] = "err %d\\n";
    __u64 number[] = { 7 };
    print(2, err);
    return print(1, out);
}
char LICENSE[] SEC("license") = "GPL";
`;

function canLoad(printer: Printer): boolean {
  try {
    load(compile(printing(printer))).close();
    return true;
  } catch {
    return false;
  }
}

/** What prints, or why nothing can be printed here. */
function findPrinter(): { printer: Printer } | { reason: string } {
  if (noKernel !== undefined) return { reason: noKernel };
  const printer = PRINTERS.find(
    (one) => features.kfunc(one.name).answer === 'yes' && canLoad(one),
  );
  if (printer === undefined) {
    return olderThan('6.17')
      ? { reason: 'bpf_stream_vprintk() came with Linux 6.17' }
      : { printer: PRINTERS[2] as Printer };
  }
  const object = loadC(printing(printer));
  const result = programOf(object).run().returnValue | 0;
  object.close();
  // The first kernels with streams may have no memory to give without taking locks.
  return result === -12 && olderThan('7.0')
    ? { reason: `${printer.name}() says ENOMEM here` }
    : { printer };
}
const found = findPrinter();

describeUnless(noKernel, 'output', () => {
  testUnless(
    'reason' in found ? found.reason : undefined,
    'a program prints into its streams',
    () => {
      if (!('printer' in found)) throw new Error('no printer');
      const program = programOf(loadC(printing(found.printer)));
      expect(program.output()).toBe('');
      program.run();
      program.run();
      expect(program.output()).toBe('out 7\nout 7\n');
      expect(program.output('stderr')).toBe('err 7\nerr 7\n');
      expect(program.output()).toBe('');
    },
  );

  testUnless(
    'reason' in found ? found.reason : undefined,
    'as it comes',
    async () => {
      if (!('printer' in found)) throw new Error('no printer');
      const program = programOf(loadC(printing(found.printer)));
      const timer = setTimeout(() => program.run(), 20);
      for await (const text of program.outputs({ interval: 5 })) {
        expect(text).toBe('out 7\n');
        break;
      }
      clearTimeout(timer);
    },
  );

  test('waiting for output ends by a signal, or with the program', async () => {
    const load = (): KernelProgram =>
      KernelProgram.load({
        type: ProgramType.SOCKET_FILTER,
        instructions: returns(0),
      });
    const stop = new AbortController();
    using program = load();
    const other = load();
    if ('reason' in found && !found.reason.includes('ENOMEM')) {
      await expect(program.outputs().next()).rejects.toThrow('6.17');
      other.close();
      return;
    }
    setTimeout(() => stop.abort(), 20);
    setTimeout(() => other.close(), 20);
    const { signal } = stop;
    expect(await program.outputs({ signal }).next()).toMatchObject({
      done: true,
    });
    expect(await other.outputs({ interval: 5 }).next()).toMatchObject({
      done: true,
    });
  });

  test('use after close throws', async () => {
    const program = KernelProgram.load({
      type: ProgramType.SOCKET_FILTER,
      instructions: returns(0),
    });
    program.close();
    expect(() => program.output()).toThrow('closed');
    await expect(program.outputs().next()).rejects.toThrow('closed');
  });

  test('nothing printed, or no streams', () => {
    using program = KernelProgram.load({
      type: ProgramType.SOCKET_FILTER,
      instructions: returns(0),
    });
    if ('reason' in found && !found.reason.includes('ENOMEM')) {
      expect(errorOf(() => program.output()).code).toBe('EINVAL');
    } else {
      expect(program.output()).toBe('');
      expect(program.output('stderr')).toBe('');
    }
  });
});

describeUnless(noWire(), 'query, interfaces', () => {
  let wire: Wire;
  beforeAll(() => {
    wire = makeWire();
  });
  afterAll(() => wire.remove());
  const classifier = (attachType?: number): KernelProgram =>
    KernelProgram.load({
      type: ProgramType.SCHED_CLS,
      instructions: returns(-1),
      ...(attachType && { attachType }),
    });
  const noTcx = (): string | undefined =>
    features.attachType('tcx_ingress').answer === 'yes'
      ? undefined
      : 'this kernel has no tcx (6.6 has)';

  testUnless(noTcx(), 'tcx: links in their order', () => {
    using program = classifier(TCX_INGRESS);
    using other = classifier(TCX_INGRESS);
    const target = {
      kind: 'tcx',
      interface: wire.near,
      direction: 'ingress',
    } as const;
    using last = program.attach(target);
    using first = other.attach({ ...target, place: 'first' });
    using out = program.attach({ ...target, direction: 'egress' });
    const { programs } = query({ kind: 'tcx', interface: wire.near });
    const { id } = program.info;
    expect(programs).toMatchObject([
      {
        programId: other.info.id,
        linkId: first.info().id,
        attachType: TCX_INGRESS,
      },
      { programId: id, linkId: last.info().id, attachType: TCX_INGRESS },
      { programId: id, linkId: out.info().id, attachType: TCX_EGRESS },
    ]);
    using again = Link.fromId(programs[0]?.linkId ?? 0);
    expect(again.info().programId).toBe(other.info.id);
    // The revision is what attaching compares.
    const { revision } = query(target);
    expect(revision).toBeGreaterThan(0n);
    using third = classifier(TCX_INGRESS);
    const stale = errorOf(() =>
      third.attach({ ...target, revision: (revision ?? 0n) - 1n }),
    );
    expect(stale.code).toBe('ESTALE');
    third.attach({ ...target, ...(revision && { revision }) }).close();
  });

  test('tc', () => {
    using program = classifier();
    using link = program.attach({
      kind: 'tc',
      interface: wire.near,
      direction: 'egress',
      priority: 3,
      handle: 9,
    });
    expect(link.fd).toBe(-1);
    expect(query({ kind: 'tc', interface: wire.near })).toEqual({
      programs: [
        {
          programId: program.info.id,
          flags: 0,
          direction: 'egress',
          priority: 3,
          handle: 9,
        },
      ],
    });
    const other = { kind: 'tc', interface: wire.near } as const;
    expect(query({ ...other, direction: 'ingress' }).programs).toEqual([]);
  });

  test('xdp', () => {
    using program = KernelProgram.load({
      type: ProgramType.XDP,
      instructions: returns(2),
    });
    const place = { kind: 'xdp', interface: wire.near } as const;
    expect(query(place).programs).toEqual([]);
    using link = program.attach({ ...place, mode: 'generic' });
    expect(link.closed).toBe(false);
    expect(query(place).programs).toMatchObject([
      { programId: program.info.id, mode: 'generic' },
    ]);
  });

  test('an interface that is not there', () => {
    const error = errorOf(() => query({ kind: 'xdp', interface: 'no_such' }));
    expect(error.code).toBe('ENODEV');
    expect(error.operation).toBe('query');
  });
});

describeUnless(noKernel, 'query, other places', () => {
  testUnless(
    cgroupRoot() ? undefined : 'no cgroup2 is mounted',
    'a control group: own programs and inherited ones',
    () => {
      const path = join(cgroupRoot() ?? '', `bpf-query-${process.pid}`);
      mkdirSync(path);
      mkdirSync(join(path, 'below'));
      try {
        const attachType = AttachType.CGROUP_INET_EGRESS;
        using program = KernelProgram.load({
          type: ProgramType.CGROUP_SKB,
          attachType,
          instructions: returns(1),
        });
        using link = program.attach({ kind: 'cgroup', path });
        expect(link.info().typeName).toBe('cgroup');
        const programId = program.info.id;
        expect(query({ kind: 'cgroup', path }).programs).toEqual([
          { programId, attachType, flags: 2 }, // BPF_F_ALLOW_MULTI
        ]);
        const below = { kind: 'cgroup', path: join(path, 'below') } as const;
        expect(query(below).programs).toEqual([]);
        const { programs } = query({ ...below, attachType, effective: true });
        expect(programs.map((one) => one.programId)).toContain(programId);
      } finally {
        rmdirSync(join(path, 'below'));
        rmdirSync(path);
      }
    },
  );

  const makeSockets = (): KernelMap =>
    KernelMap.create({
      type: MapType.SOCKMAP,
      keySize: 4,
      valueSize: 4,
      maxEntries: 1,
    });
  const noQuery = before('5.18', 'a query of what a sock map has', () => {
    const map = makeSockets();
    try {
      query({ kind: 'sockmap', map });
    } finally {
      map.close();
    }
    return map;
  });
  testUnless(noQuery, 'a sock map', () => {
    using map = makeSockets();
    using program = KernelProgram.load({
      type: ProgramType.SK_MSG,
      attachType: AttachType.SK_MSG_VERDICT,
      instructions: returns(1),
    });
    using link = program.attach({ kind: 'sockmap', map, legacy: true });
    expect(link.closed).toBe(false);
    expect(query({ kind: 'sockmap', map }).programs).toMatchObject([
      { programId: program.info.id, attachType: AttachType.SK_MSG_VERDICT },
    ]);
  });

  test('wrong places', () => {
    const code = (place: object): string =>
      errorOf(() => query(place as never)).code;
    expect(code({ kind: 'cgroup', path: '/no/such/group' })).toBe('ENOENT');
    expect(code({ kind: 'kprobe' })).toBe('EINVAL');
    expect(code({ kind: 'nonsense' })).toBe('EINVAL');
    expect(() => query({ kind: 'netns', path: 7 } as never)).toThrow(
      'path must be a string',
    );
  });
});
