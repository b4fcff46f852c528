/**
 * Machine: contexts and packets by program type, debugging, coverage, externs, CO-RE, new map kinds.
 */
import { describe, expect, test } from '@jest/globals';
import { assemble, BpfSyntaxError, Machine, MachineError, u32, u64 } from 'bpf';

/** An Ethernet frame to the loopback device: IPv4, UDP. */
const frame = new Uint8Array(60);
frame.set([8, 0, 0x45], 12);
frame[23] = 17;

const in_ = (section: string, body: string): Machine =>
  new Machine(
    assemble(
      `.section "${section}","ax",@progbits\n.globl prog\nprog:\n${body}\n`,
    ),
  );

describe('xdp', () => {
  const drop = `
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r0 = 2
    r4 = r2
    r4 += 34
    if r4 > r3 goto out
    r5 = *(u8 *)(r2 + 23)
    if r5 != 17 goto out
    *(u8 *)(r2 + 22) = 9
    r0 = 1
out: exit`;

  test('packets in and out, the action by name', () => {
    const machine = in_('xdp', drop);
    const { action, r0, packet, ctx } = machine.run('', { packet: frame });
    expect(r0).toBe(1n);
    expect(action).toBe('XDP_DROP');
    expect(packet?.[22]).toBe(9);
    expect(packet?.length).toBe(60);
    expect(ctx).toMatchObject({ data: 0, data_end: 60, ingress_ifindex: 1 });
    expect(machine.run('', { packet: new Uint8Array(20) }).action).toBe(
      'XDP_PASS',
    );
    expect(frame[22]).toBe(0);
  });

  test('metadata, moving the head, old pointers die', () => {
    const machine = in_(
      'xdp',
      `r6 = r1\nr7 = *(u32 *)(r1 + 8)\nr8 = *(u32 *)(r7 + 0)\nr2 = 14\ncall 44\nr0 = r8\nexit`,
    );
    const metadata = new Uint8Array([1, 2, 3, 4]);
    const result = machine.run('', { packet: frame, metadata });
    expect(result.r0).toBe(0x04030201n);
    expect([...(result.packet?.subarray(0, 6) ?? [])]).toEqual([
      1, 2, 3, 4, 0x45, 0,
    ]);
    const stale = in_(
      'xdp',
      'r6 = r1\nr7 = *(u32 *)(r1 + 0)\nr2 = 14\ncall 44\nr0 = *(u8 *)(r7 + 0)\nexit',
    );
    expect(() => stale.run('', { packet: frame })).toThrow(
      /older than the last xdp_adjust_head/,
    );
  });

  test('faults name the packet; a packet is needed', () => {
    const machine = in_(
      'xdp',
      'r2 = *(u32 *)(r1 + 0)\nr0 = *(u32 *)(r2 + 58)\nexit',
    );
    expect(() => machine.run('', { packet: frame })).toThrow(
      /ends 2 bytes behind the packet \(60 bytes\)/,
    );
    expect(() => machine.run()).toThrow(BpfSyntaxError);
    try {
      machine.run();
    } catch (error) {
      expect((error as BpfSyntaxError).text).toMatch(/Ethernet header/);
    }
  });

  test('redirects are told', () => {
    const machine = in_('xdp', 'r1 = 7\nr2 = 0\ncall 23\nexit');
    const { action, redirect } = machine.run('', { packet: frame });
    expect(action).toBe('XDP_REDIRECT');
    expect(redirect).toEqual({ target: 7n, flags: 0n });
  });
});

describe('contexts', () => {
  test('fields of struct __sk_buff by name, in and out', () => {
    const machine = in_(
      'tc',
      `r2 = *(u32 *)(r1 + 8)
       r2 += 1
       *(u32 *)(r1 + 8) = r2
       r0 = *(u32 *)(r1 + 56)
       exit`,
    );
    const result = machine.run('', {
      packet: frame,
      ctx: { mark: 41, cb: [1, 2, 3] },
    });
    expect(result.r0).toBe(3n);
    expect(result.ctx).toMatchObject({
      mark: 42,
      len: 60,
      protocol: 8,
      cb: [1, 2, 3, 0, 0],
    });
    expect(() => machine.run('', { packet: frame, ctx: { nope: 1 } })).toThrow(
      /no 'nope'; it has len, /,
    );
  });

  test.each([
    ['xdp', 'r0 = *(u16 *)(r1 + 0)\nexit', /'data' is accessed as a whole/],
    ['xdp', '*(u32 *)(r1 + 12) = 1\nr0 = 0\nexit', /cannot be written/],
    ['xdp', 'r0 = *(u32 *)(r1 + 20)\nexit', /'egress_ifindex' is not there/],
    ['tc', 'r0 = *(u64 *)(r1 + 8)\nexit', /smaller than the bytes read/],
    ['tc', 'r0 = *(u8 *)(r1 + 182)\nexit', /no field is there/],
    ['tc', '*(u16 *)(r1 + 8) = 1\nr0 = 0\nexit', /'mark' is accessed as a/],
    ['socket', 'r0 = *(u32 *)(r1 + 76)\nexit', /'data' is not there for/],
    ['xdp', 'r0 = *(u32 *)(r1 + 24)\nexit', /behind the context \(24 bytes/],
  ])('%s: %s faults', (section, body, words) => {
    const machine = in_(section, body);
    expect(() => machine.run('', { packet: frame })).toThrow(words);
  });

  test('arguments: numbers, bytes and strings that lie in memory', () => {
    // probe_read_kernel(r10 - 8, 8, args[1]) + args[0] + retval
    const machine = in_(
      'fexit/f',
      `r6 = r1
       r1 = r10
       r1 += -8
       r2 = 8
       r3 = *(u64 *)(r6 + 8)
       call 113
       r0 = *(u64 *)(r10 - 8)
       r1 = *(u64 *)(r6 + 0)
       r0 += r1
       r1 = *(u64 *)(r6 + 16)
       r0 += r1
       exit`,
    );
    const bytes = new Uint8Array([0, 1, 0, 0, 0, 0, 0, 0]);
    const args = [-5, bytes];
    expect(machine.run('', { args, retval: 7 }).r0).toBe(0x100n + 2n);
    expect(machine.run('', { args: [1, 'a\0\0\0\0\0\0'], retval: 0 }).r0).toBe(
      0x62n,
    );
    expect(() => machine.run('', { args: [1] })).toThrow(MachineError);
  });

  test('kprobes see arguments in registers, on both architectures', () => {
    const body = (at: number): string => `r0 = *(u64 *)(r1 + ${at})\nexit`;
    const x86 = in_('kprobe/f', body(104));
    expect(x86.run('', { args: [1, 22n] }).r0).toBe(22n);
    expect(x86.run('', { ctx: { si: 5 } }).r0).toBe(5n);
    expect(x86.run().r0).toBe(0n);
    const arm = new Machine(
      assemble(
        `.section "kprobe/f","ax",@progbits\n.globl prog\nprog: ${body(8)}\n`,
      ),
      { arch: 'arm64' },
    );
    expect(arm.run('', { args: [1, 22n] }).r0).toBe(22n);
  });

  test('syscall programs write to their context', () => {
    const machine = in_('syscall', '*(u32 *)(r1 + 4) = 9\nr0 = 0\nexit');
    const { mem } = machine.run('', { ctx: new Uint8Array(8) });
    expect([...mem]).toEqual([0, 0, 0, 0, 9, 0, 0, 0]);
  });

  test('a type can be set; layouts tell the fields', () => {
    const machine = in_('.text', 'r0 = *(u32 *)(r1 + 12)\nexit');
    machine.setType('', 'xdp');
    expect(machine.run('', { packet: frame }).r0).toBe(1n);
    expect(machine.layout().name).toBe('struct xdp_md');
    expect(machine.layout().fields[0]).toEqual({
      name: 'data',
      offset: 0,
      size: 4,
      count: 1,
      read: true,
      write: false,
    });
    expect(() => machine.setType('', 'nonsense')).toThrow(RangeError);
  });
});

describe('debugging', () => {
  const source = `r6 = 3
r0 = 0
loop:
r1 = r0
call add
r6 += -1
if r6 != 0 goto loop
exit
.globl add
.type add,@function
add:
r0 = r1
r0 += 2
exit
`;
  const make = (): Machine =>
    new Machine({ source, filename: 'sum.s' }, { coverage: true, trace: 4 });

  test('steps, registers, frames, finish', () => {
    const run = make().start();
    expect(run.place).toMatchObject({ insn: 0, file: 'sum.s', line: 1 });
    run.step().step().step();
    expect(run.registers[6]).toBe(3n);
    run.step();
    expect(run.frames.map(({ line }) => line)).toEqual([12, 5]);
    expect(run.frames[0]).toMatchObject({ function: 'add', text: 'r0 = r1' });
    run.finish();
    expect(run.frames.map(({ line }) => line)).toEqual([6]);
    expect(run.registers[0]).toBe(2n);
    run.setRegister(0, 100);
    run.continue();
    expect(run.done).toBe(true);
    expect(run.result.r0).toBe(104n);
    expect(() => run.step()).toThrow(/ended/);
  });

  test('breakpoints at functions, lines and instructions', () => {
    const machine = make();
    machine.breakpoints.add('add').add('sum.s:8');
    const run = machine.start();
    const at = [];
    while (!run.continue().done) at.push(run.place.line);
    expect(at).toEqual([12, 12, 12, 8]);
    expect(machine.breakpoints.delete('add')).toBe(true);
    expect(machine.breakpoints.delete('add')).toBe(false);
    const again = machine.start();
    expect(again.continue().place.line).toBe(8);
    expect(() => run.continue()).toThrow(/another one/);
    machine.breakpoints.clear();
    machine.breakpoints.add(1);
    expect(machine.start().continue().place.line).toBe(2);
    expect(() => machine.breakpoints.add('nowhere')).toThrow(RangeError);
    expect(machine.run().r0).toBe(6n); // run() does not stop
  });

  test('coverage by function and line, trace', () => {
    const machine = make();
    const { r0, executed } = machine.run();
    expect(r0).toBe(6n);
    const { functions, lines, instructions } = machine.coverage();
    expect(functions).toContainEqual({
      name: 'add',
      insns: 3,
      run: 3,
      calls: 3,
    });
    expect(lines.find(({ line }) => line === 6)?.count).toBe(3);
    const counted = instructions.reduce((sum, { count }) => sum + count, 0);
    expect(counted).toBe(executed);
    const trace = machine.trace();
    expect(trace.map(({ place }) => place.line)).toEqual([14, 6, 7, 8]);
    expect(trace[1]).toMatchObject({ register: 'r6', value: 0n, depth: 0 });
    machine.observe({});
    expect(machine.trace()).toEqual([]);
  });

  test('memory at addresses of the program', () => {
    const machine = in_(
      '.text',
      'r2 = *(u64 *)(r1 + 0)\nr0 = *(u32 *)(r2 + 0)\nexit',
    );
    const address = machine.place(new Uint8Array([1, 2, 3, 4]));
    const mem = new Uint8Array(8);
    new DataView(mem.buffer).setBigUint64(0, address, true);
    expect(machine.run('', { mem }).r0).toBe(0x04030201n);
    expect([...(machine.read(address, 4) ?? [])]).toEqual([1, 2, 3, 4]);
    expect(machine.read(address, 5)).toBeUndefined();
    expect(machine.write(address, new Uint8Array(1))).toBe(false);
    const open = machine.place(new Uint8Array(2), { writable: true });
    expect(machine.write(open, new Uint8Array([5, 6]))).toBe(true);
    expect([...(machine.read(open, 2) ?? [])]).toEqual([5, 6]);
  });

  test('helpers that nobody has are asked for', () => {
    const machine = new Machine(assemble('r1 = 5\ncall 69\nexit'), {
      onHelper: (name, [r1]) => (name === 'fib_lookup' ? r1! + 1n : undefined),
    });
    expect(machine.run().r0).toBe(6n);
    const none = new Machine(assemble('call 69\nexit'), {
      onHelper: () => undefined,
    });
    expect(() => none.run()).toThrow(/fib_lookup.*not available/);
  });
});

describe('maps', () => {
  const object = assemble(`
.map fifo, type=queue, value=u32, max_entries=2
.map lifo, type=stack, value=u32, max_entries=2
.map ring, type=ringbuf, max_entries=4096
.map hash, type=hash, key=u32, value=u64, max_entries=4
  r1 = ring ll
  *(u64 *)(r10 - 8) = 77
  r2 = r10
  r2 += -8
  r3 = 8
  r4 = 0
  call 130
  exit
`);

  test('queues and stacks push, peek and pop', () => {
    const { maps } = new Machine(object);
    const none = maps['fifo']!;
    const value = (n: number): Uint8Array => new Uint8Array([n, 0, 0, 0]);
    none.push(value(1)).push(value(2));
    expect(() => none.push(value(3))).toThrow(/E2BIG/);
    expect(none.peek()?.[0]).toBe(1);
    expect([none.pop()?.[0], none.pop()?.[0], none.pop()]).toEqual([
      1,
      2,
      undefined,
    ]);
    const lifo = maps['lifo']!.push(value(1)).push(value(2));
    expect(lifo.pop()?.[0]).toBe(2);
    expect([...lifo]).toEqual([]);
  });

  test('rings are drained, keys taken', () => {
    const machine = new Machine(object);
    machine.run();
    machine.run();
    const events = [...machine.maps['ring']!.events()];
    expect(events.map(({ data }) => data[0])).toEqual([77, 77]);
    expect([...machine.maps['ring']!.events()]).toEqual([]);
    expect(machine.maps['ring']!.lost).toBe(0);
    const hash = machine.maps['hash']!.as(u32, u64);
    hash.set(1, 10n);
    expect(hash.take(1)).toBe(10n);
    expect(hash.take(1)).toBeUndefined();
  });
});

test('a first long run gets fast code, too', () => {
  const machine = new Machine(
    assemble('r1 = 0\nl: r1 += 1\nif r1 != 9000000 goto l\nr0 = r1\nexit'),
  );
  expect(machine.run()).toMatchObject({ r0: 9000000n, executed: 18000003 });
  expect(() => machine.run('', { budget: 18000002 })).toThrow(/18000002/);
});
