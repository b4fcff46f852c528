/**
 * Machine: running, maps, inputs, host helpers, faults, lifetime.
 */
import { describe, expect, test } from '@jest/globals';
import {
  array,
  assemble,
  bytes,
  chars,
  ClosedError,
  i32,
  KernelError,
  Machine,
  MachineError,
  struct,
  u16,
  u32,
  u64,
  u8,
} from 'bpf';

const counter = assemble(`
.struct stat
.field count, u64
.field comm, char, 16
.ends
.map counts, type=hash, key=u32, value=stat, max_entries=4
.section "raw_tp/sys_enter","ax",@progbits
.globl count
count:
        call 14
        r0 >>= 32
        *(u32 *)(r10 - 4) = r0
        r1 = counts ll
        r2 = r10
        r2 += -4
        call 1
        if r0 != 0 goto found
        r1 = 0
        *(u64 *)(r10 - 32) = r1
        *(u64 *)(r10 - 24) = r1
        *(u64 *)(r10 - 16) = r1
        r1 = r10
        r1 += -24
        r2 = 16
        call 16
        r1 = counts ll
        r2 = r10
        r2 += -4
        r3 = r10
        r3 += -32
        r4 = 1
        call 2
        r1 = counts ll
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto out
found:
        r1 = 1
        lock *(u64 *)(r0 + 0) += r1
        r0 = *(u64 *)(r0 + 0)
out:
        exit
`);
const stat = struct({ count: u64, comm: chars(16) });

describe('run', () => {
  test('r0, executed instructions, memory as the program left it', () => {
    const machine = new Machine(
      assemble('r0 = r2\n*(u8 *)(r1 + 1) = r2\nexit\n'),
    );
    const mem = new Uint8Array([9, 9, 9]);
    const result = machine.run('', { mem });
    expect(result.r0).toBe(3n);
    expect(result.executed).toBe(3);
    expect([...result.mem]).toEqual([9, 3, 9]);
    expect([...mem]).toEqual([9, 9, 9]);
    const { r0 } = machine.run('', { ctx: mem });
    expect(r0).toBe(0n); // a context's size is not told
  });

  test('64-bit results are unsigned bigints', () => {
    const machine = new Machine(assemble('r0 = -1\nexit\n'));
    expect(machine.run().r0).toBe(0xffffffffffffffffn);
  });

  test('programs by name', () => {
    const machine = new Machine(counter);
    expect(Object.keys(machine.programs)).toEqual(['count']);
    expect(machine.programs['count']?.run().r0).toBe(1n);
    expect(machine.run('raw_tp/sys_enter').r0).toBe(2n);
    expect(() => machine.run('nothing')).toThrow(/'nothing'; there is count/);
  });

  test('an endless program ends with its budget', () => {
    const machine = new Machine(assemble('l: goto l\n'));
    const go = (): unknown => machine.run('', { budget: 1000 });
    expect(go).toThrow(MachineError);
    expect(go).toThrow(/did not end within 1000 instructions/);
  });

  test('faults name the instruction, and the line of source text', () => {
    const source = 'r1 = 0\nr0 = *(u64 *)(r1 + 0)\nexit\n';
    const machine = new Machine({ source, filename: 'null.s' });
    expect(() => machine.run()).toThrow(MachineError);
    try {
      machine.run();
    } catch (error) {
      expect(error).toMatchObject({ code: 'fault', insn: 1 });
    }
    expect(machine.report().text).toMatch(/null\.s:2:/);
  });

  test('printk, and data sections as programs left them', () => {
    const machine = new Machine(
      assemble(`
        r1 = 0x6425206968 ll     # "hi %d"
        *(u64 *)(r10 - 8) = r1
        r1 = r10
        r1 += -8
        r2 = 6
        r3 = total ll
        r3 = *(u64 *)(r3 + 0)
        call 6
        r1 = total ll
        r2 = 1
        lock *(u64 *)(r1 + 0) += r2
        r0 = 0
        exit
.section .data,"aw",@progbits
.globl total
total:  .quad 41
`),
    );
    machine.run();
    machine.run();
    expect(machine.printk().match(/hi \d+/g)).toEqual(['hi 41', 'hi 42']);
    expect(machine.printk()).toBe('');
    expect([...(machine.section('.data') ?? [])]).toEqual([
      43, 0, 0, 0, 0, 0, 0, 0,
    ]);
    expect(machine.section('.bss')).toBeUndefined();
  });

  test('budgets are numbers of 64 bits', () => {
    const machine = new Machine(assemble('exit'));
    for (const budget of [-1, 2n ** 64n, 1.5]) {
      expect(() => machine.run('', { budget })).toThrow(RangeError);
    }
    expect(() => machine.run('', { budget: 2n ** 64n - 1n })).not.toThrow();
  });

  test('many runs take no more memory', () => {
    const machine = new Machine(counter, { memoryLimit: 1 << 20 });
    for (let i = 0; i < 20_000; i++) machine.run('count');
    expect(machine.run().r0).toBe(20_001n);
  });
});

describe('inputs', () => {
  test('process and name', () => {
    const machine = new Machine(counter);
    machine.set({ pid: 7, tgid: 5, comm: 'a-very-long-process-name' }).run();
    machine.set({ tgid: 6, comm: 'short' }).run();
    const counts = machine.maps['counts']?.as(u32, stat);
    expect([...(counts ?? [])].sort()).toEqual([
      [5, { count: 1n, comm: 'a-very-long-pro' }],
      [6, { count: 1n, comm: 'short' }],
    ]);
  });

  test('clock and random numbers repeat', () => {
    const clock = new Machine(assemble('call 5\nexit\n'));
    clock.set({ clock: 1000n, clockStep: 10 });
    expect([clock.run().r0, clock.run().r0]).toEqual([1000n, 1010n]);
    const random = (): bigint[] => {
      const machine = new Machine(assemble('call 7\nexit\n'));
      machine.set({ random: 1 });
      return [machine.run().r0, machine.run().r0];
    };
    const [first, second] = random();
    expect(first).not.toBe(second);
    expect(random()).toEqual([first, second]);
  });

  test('helpers of the host', () => {
    const machine = new Machine(assemble('r1 = 20\nr2 = 22\ncall 4\nexit\n'), {
      helpers: { probe_read: (a, b) => a + b },
    });
    expect(machine.run().r0).toBe(42n);
    const again: Machine = new Machine(assemble('call 4\nexit\n'), {
      helpers: { probe_read: () => again.run().r0 },
    });
    expect(() => again.run()).toThrow(/cannot run it again/);
    expect(
      () => new Machine(counter, { helpers: { no_such: () => 0 } }),
    ).toThrow(/no helper is called no_such/);
  });
});

describe('maps', () => {
  test('keys may be longer than values', () => {
    const source = `
      .map m, type=hash, key_size=64, value_size=1, max_entries=8, map_flags=64
      r1 = m ll
      r0 = 0
      exit`;
    const machine = new Machine({ source });
    const map = machine.maps['m'];
    const keys = [0, 1, 2, 3].map((n) => new Uint8Array(64).fill(n));
    for (const key of keys) map?.set(key, Uint8Array.of(key[0] ?? 0));
    for (let round = 0; round < 2; round++) {
      const found = [...(map?.entries() ?? [])];
      expect(found.map(([key]) => key[63]).sort()).toEqual([0, 1, 2, 3]);
      for (const [key, value] of found) expect(value[0]).toBe(key[0]);
    }
    for (const key of keys) expect(map?.has(key)).toBe(true);
  });

  const open = () => new Machine(counter).maps['counts']?.as(u32, stat);

  test('behave as a Map', () => {
    const map = open();
    expect(map).toBeDefined();
    if (!map) return;
    expect(map.size).toBe(0);
    expect(map.get(1)).toBeUndefined();
    expect(map.has(1)).toBe(false);
    map.set(1, { count: 2n ** 64n - 1n, comm: 'one' });
    map.set(2, { count: 0n, comm: '' });
    expect(map.get(1)).toEqual({ count: 2n ** 64n - 1n, comm: 'one' });
    expect(map.size).toBe(2);
    expect([...map.keys()].sort()).toEqual([1, 2]);
    expect([...map.values()].map((v) => v.comm).sort()).toEqual(['', 'one']);
    expect(map.delete(1)).toBe(true);
    expect(map.delete(1)).toBe(false);
    map.clear();
    expect([...map]).toEqual([]);
  });

  test('the entry at hand may be deleted while iterating', () => {
    const map = open();
    for (let key = 0; key < 4; key++) map?.set(key, { count: 1n, comm: '' });
    const seen = [];
    for (const [key] of map ?? []) {
      seen.push(key);
      map?.delete(key);
    }
    expect(seen.sort()).toEqual([0, 1, 2, 3]);
    expect(map?.size).toBe(0);
  });

  test('update modes, a full map and wrong sizes', () => {
    const map = open();
    const value = { count: 1n, comm: '' };
    map?.set(0, value, 'noexist');
    expect(() => map?.set(0, value, 'noexist')).toThrow(
      expect.objectContaining({ code: 'EEXIST', errno: 17 }),
    );
    expect(() => map?.set(1, value, 'exist')).toThrow(KernelError);
    for (let key = 1; key < 4; key++) map?.set(key, value);
    expect(() => map?.set(4, value)).toThrow(/E2BIG/);
    expect(() => map?.as(u64, stat)).toThrow(/its key has 4 bytes/);
    const raw = new Machine(counter).maps['counts'];
    expect(() => raw?.set(new Uint8Array(3), new Uint8Array(24))).toThrow(
      RangeError,
    );
  });
});

describe('codecs', () => {
  test('struct lays out as C does and clears padding', () => {
    const codec = struct({ a: u8, b: u32, c: u16, d: array(u8, 3), e: u64 });
    expect([codec.size, codec.align]).toEqual([24, 8]);
    const view = new DataView(new Uint8Array(24).fill(0xff).buffer);
    const value = { a: 1, b: 2, c: 3, d: [4, 5, 6], e: 7n };
    codec.format(view, 0, value, true);
    expect([...new Uint8Array(view.buffer)]).toEqual([
      1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 5, 6, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
    ]);
    expect(codec.parse(view, 0, true)).toEqual(value);
    codec.format(view, 0, value, false);
    expect(codec.parse(view, 0, false)).toEqual(value);
    expect(view.getUint8(7)).toBe(2);
  });

  test('values that do not fit are refused', () => {
    const view = new DataView(new ArrayBuffer(16));
    const go = (put: () => void) => expect(put).toThrow(RangeError);
    go(() => u8.format(view, 0, 256, true));
    go(() => u8.format(view, 0, 1.5, true));
    go(() => i32.format(view, 0, 2 ** 31, true));
    go(() => u64.format(view, 0, -1n, true));
    go(() => chars(4).format(view, 0, 'four', true));
    go(() => bytes(4).format(view, 0, new Uint8Array(5), true));
  });

  test('a field may be called __proto__', () => {
    const codec = struct(Object.fromEntries([['__proto__', u8]]));
    const value = codec.parse(
      new DataView(new Uint8Array([5]).buffer),
      0,
      true,
    );
    expect(Object.entries(value)).toEqual([['__proto__', 5]]);
  });
});

describe('lifetime', () => {
  test('close is idempotent and ends everything', () => {
    const machine = new Machine(counter);
    const map = machine.maps['counts'];
    machine.close();
    machine.close();
    machine[Symbol.dispose]();
    expect(machine.closed).toBe(true);
    expect(() => machine.run()).toThrow(ClosedError);
    expect(() => machine.set({ pid: 1 })).toThrow(ClosedError);
    expect(() => map?.size).toThrow(ClosedError);
    expect(() => map?.get(new Uint8Array(4))).toThrow(/machine is closed/);
  });

  test('machines do not share state', () => {
    const first = new Machine(counter);
    const second = new Machine(counter);
    first.run();
    expect(first.maps['counts']?.size).toBe(1);
    expect(second.maps['counts']?.size).toBe(0);
  });
});
