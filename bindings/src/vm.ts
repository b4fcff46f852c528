/**
 * vm.ts - run the programs of an object on any machine, without privileges.
 *
 * A Machine is one VM in an engine instance of its own (ebpf_vm.h): the object's maps and data are
 * its state and stay from run to run; clock, random numbers, CPU and process are inputs that the
 * host sets, so the same inputs give the same run. Programs run on what their type runs on in the
 * kernel - packets, socket buffers, registers, arguments - under the rules of BPF_PROG_TEST_RUN.
 * After a trap of the engine (out of memory) the Machine and its maps throw EngineError; make a new
 * one.
 */
import { Context, Status } from '../../wasm/loader';
import { assembleInto, type Dialect } from './asm';
import { bytes } from './codec';
import {
  decodeContext,
  encodeContext,
  registersOf,
  type Arch,
  type Fields,
  type Layout,
} from './context';
import { expectOk, expectSpan, newEngine, report } from './engine';
import { EngineError, MachineError, type Report } from './errors';
import { Handle } from './handle';
import { BpfMap } from './map';
import { BpfObject, readElf, type Endian } from './object';
import { checkNames, named, namesOf } from './options';
import { targetsIn, type RelocationTarget } from './relocate';
import { VmMap } from './vm_map';
import {
  Breakpoints,
  Run,
  type Advance,
  type Coverage,
  type LineCoverage,
  type Place,
  type Redirect,
  type RunResult,
  type TraceEntry,
} from './vm_run';

/** Instructions that a run may take unless it says otherwise. */
export const DEFAULT_BUDGET = 100_000_000;

/** Assembly text, assembled in the Machine itself: its faults then name file and line. */
export interface SourceText {
  source: string | Uint8Array;
  filename?: string;
  dialect?: Dialect;
  endian?: Endian;
}

/** A helper that the host implements: r1 to r5 in, r0 out. */
export type HostHelper = (
  r1: bigint,
  r2: bigint,
  r3: bigint,
  r4: bigint,
  r5: bigint,
) => bigint | number;

export interface MachineOptions {
  /** CPUs that per-CPU maps have values for; default 1. */
  cpus?: number;
  /** Bytes that the VM may take. */
  memoryLimit?: number;
  /** Helpers by name without `bpf_` (kernel functions by whole name), instead of the VM's own. */
  helpers?: Record<string, HostHelper>;
  /**
   * Called for a helper that neither the VM nor `helpers` has: its result, or undefined to stop the
   * run.
   */
  onHelper?: (
    name: string,
    args: readonly bigint[],
  ) => bigint | number | undefined;
  /**
   * The kernel that CO-RE relocations are answered for: its BTF, then that of modules. Without it
   * programs run on the types that their compiler saw.
   */
  btf?: RelocationTarget | readonly RelocationTarget[];
  /**
   * What `extern ... __kconfig` and `__ksym` variables have: values by name, or the text of a
   * kernel's .config. LINUX_KERNEL_VERSION is 6.12's otherwise.
   */
  externs?:
    string | Readonly<Record<string, string | number | bigint | boolean>>;
  /** Registers that contexts of kprobe and perf_event programs have; default 'x86_64'. */
  arch?: Arch;
  /** Count how often each instruction runs; see coverage(). */
  coverage?: boolean;
  /** Keep the last so many instructions of a run; see trace(). */
  trace?: number;
}

/** What programs learn about the world. */
export interface Inputs {
  /** What ktime_get_ns returns next, in ns. */
  clock?: bigint | number;
  /** Added to the clock at each reading. */
  clockStep?: bigint | number;
  /** Seed of the random numbers. */
  random?: bigint | number;
  cpu?: number;
  /** The thread. */
  pid?: number;
  /** The process. */
  tgid?: number;
  uid?: number;
  gid?: number;
  /** Name of the thread, at most 15 bytes. */
  comm?: string;
}

/**
 * An argument of a traced function: a number, or something that the Machine places in memory and
 * whose address it passes: bytes, or a string that ends in NUL.
 */
export type Argument = number | bigint | Uint8Array | string;

export interface RunOptions {
  /** Memory that r1 points to and the program may change; its size goes to r2. */
  mem?: Uint8Array;
  /**
   * The program's context: the struct that programs of its type see, as bytes, or fields by name
   * ({ mark: 7 } of struct __sk_buff, { di: 1n } of struct pt_regs); the record of a tracepoint.
   */
  ctx?: Uint8Array | Fields;
  /** The packet of xdp and socket buffer programs: an Ethernet frame. */
  packet?: Uint8Array;
  /** Bytes of metadata in front of the packet, for xdp. */
  metadata?: Uint8Array;
  /** Arguments of a traced function: fentry, raw tracepoints, kprobes, LSM. */
  args?: readonly Argument[];
  /** Its result, for fexit and kretprobe. */
  retval?: bigint | number;
  /** Instructions that the run may take. */
  budget?: number | bigint;
}

const machineNames = namesOf<MachineOptions>()(
  'cpus memoryLimit helpers onHelper btf externs arch coverage trace',
);
const runNames = namesOf<RunOptions>()(
  'mem ctx packet metadata args retval budget',
);

/** enum ebpf_stop */
const Stop = { EXIT: 1, FAULT: 2, BUDGET: 3, HELPER: 4, BREAK: 5 } as const;
/** struct ebpf_vm_state */
const State = {
  reg: 0,
  executed: 88,
  budget: 96,
  helper: 108,
  section: 112,
  slot: 116,
  depth: 120,
};
/** struct ebpf_vm_effects */
const Effects = { key: 8, flags: 16, map: 24, redirects: 33 };
/** struct ebpf_vm_trace_entry */
const Entry = {
  number: 0,
  value: 8,
  section: 16,
  slot: 20,
  reg: 24,
  depth: 28,
  size: 40,
};
const NO_REG = 255;
/** enum ebpf_vm_watch */
const Watch = { COVERAGE: 1, TRACE: 2 };
/** struct ebpf_vm_inputs: offset and size of each field */
const inputFields = {
  clock: [0, 8],
  clockStep: [8, 8],
  random: [24, 8],
  cpu: [32, 4],
  pid: [36, 4],
  tgid: [40, 4],
  uid: [44, 4],
  gid: [48, 4],
} as const;
const COMM = { at: 64, size: 16 };
const SIZE_IN_R2 = 1;
const FAULT_SLOT = 16;
/** Helper ids of the kernel, and the numbers behind them of kernel functions, end well below. */
const HELPER_IDS = 4096;
/** enum bpf_prog_type */
const Type = { KPROBE: 2, XDP: 6, PERF_EVENT: 7 } as const;
/** enum bpf_attach_type */
const TRACE_FEXIT = 25;
const MODIFY_RETURN = 26;
/**
 * Instructions of the first slice of a run. V8 makes fast code of a wasm function while it runs, but
 * only the next call gets it.
 */
const FIRST_SLICE = 1n << 20n;
const SLICE_GROWTH = 8n;
const POINTER = 4;

/** enum ebpf_vm_show */
const shows = { state: 1, trace: 2, coverage: 3, result: 4 } as const;

export class Machine extends Handle {
  readonly #context: Context;
  readonly #vm: number;
  readonly #helpers: Record<string, HostHelper>;
  readonly #onHelper: MachineOptions['onHelper'];
  readonly #arch: Arch;
  readonly #littleEndian: boolean;
  readonly #indexes = new Map<string, number>();
  readonly #layouts = new Map<string, Layout>();
  /** Regions of arguments that lie in memory, used again by each run. */
  readonly #argumentRegions: number[] = [];
  #scratch = { at: 0, size: 0 };
  /** What a program runs on in place. */
  #mem = { at: 0, size: 0 };
  #current: Run | undefined;
  #running = false;
  /** By name, null-prototype. */
  readonly programs: Readonly<Record<string, MachineProgram>>;
  readonly maps: Readonly<Record<string, MachineMap>>;
  /** Places where runs stop; only start() lets anyone see it. */
  readonly breakpoints: Breakpoints;

  /** Throws BpfSyntaxError for an object that cannot be run. */
  constructor(
    object: BpfObject | Uint8Array | SourceText,
    options: MachineOptions = {},
  ) {
    super('machine');
    checkNames('Machine', options, machineNames);
    const context = new Context(newEngine(), options.memoryLimit);
    this.#context = context;
    const out = context.pointer();
    const at = openInput(context, object);
    relocateFor(context, at, options.btf);
    const externs = context.textIn(externLines(options.externs));
    expectOk(
      context,
      context.engine.call(
        'ebpf_vm_new_with',
        context.at,
        at,
        options.cpus ?? 1,
        externs.at,
        externs.size,
        out,
      ),
      'cannot run this object',
    );
    this.#vm = context.engine.u32(out);
    this.#helpers = options.helpers ?? {};
    this.#onHelper = options.onHelper;
    this.#arch = options.arch ?? 'x86_64';
    this.#littleEndian = isLittle(object);
    this.#claimHelpers();
    this.programs = this.#listPrograms();
    this.maps = this.#listMaps();
    this.breakpoints = new Breakpoints((place, on) =>
      this.#setBreakpoint(place, on),
    );
    this.observe(options);
  }

  /** programs[name], which must be there: TypeError says what may have been meant. */
  program(name: string): MachineProgram {
    this.#use();
    return named(this.programs, name, 'program');
  }

  /** maps[name], which must be there. */
  map(name: string): MachineMap {
    this.#use();
    return named(this.maps, name, 'map');
  }

  /**
   * Start a program (default: the first entry point) and run it to its end; breakpoints do not stop
   * it. Throws MachineError for what the kernel would not have allowed, BpfSyntaxError for a
   * context or packet that programs of its type do not take.
   */
  run(program = '', options: RunOptions = {}): RunResult {
    const run = this.start(program, options);
    while (!run.done) run.continue();
    return run.result;
  }

  /** Stand before a program's first instruction, to step through it. Ends a run before. */
  start(program = '', options: RunOptions = {}): Run {
    const { engine } = this.#use();
    if (this.#running) {
      throw new Error('this machine is running: a helper cannot run it again');
    }
    checkNames('run()', options, runNames);
    const budget = budgetOf(options);
    const index = this.#find(program);
    if (index < 0) throw this.#noProgram(program);
    const before = this.#printkSpan().size;
    const finish =
      options.mem === undefined
        ? this.#startTyped(index, options)
        : this.#startOn(index, options.mem);
    const state = this.#state();
    engine.view.setBigUint64(state + State.budget, 0n, true);
    this.#current = new Run(
      {
        advance: (how, left) => this.#advance(how, left),
        check: (run) => this.#isCurrent(run),
        frames: () => this.#json('ebpf_vm_frames') as Place[],
        register: (n, value) => this.#register(n, value),
        executed: () => Number(engine.u64(this.#state() + State.executed)),
        result: (): RunResult => ({
          ...finish(),
          printk: this.#printkSince(before),
        }),
      },
      budget,
    );
    return this.#current;
  }

  /** `program` if there is one so called (a function or a section; '' is the first). */
  find(program: string): string | undefined {
    this.#use();
    return this.#find(program) >= 0 ? program : undefined;
  }

  /**
   * Take the program for one of this type: a program type's name ('xdp', 'sched_cls') or what its
   * section could be called ('tc', 'fexit/do_unlinkat').
   */
  setType(program: string, type: string): this {
    const { engine } = this.#use();
    const index = this.#find(program);
    if (index < 0) throw this.#noProgram(program);
    const out = this.#pair();
    const name = this.#nameIn(type);
    const status = engine.call(
      'ebpf_program_type_find',
      name.at,
      name.size,
      out,
      out + POINTER,
    );
    if (status !== Status.OK) {
      throw new RangeError(`no program type or section is called '${type}'`);
    }
    const [number, attach] = [engine.u32(out), engine.u32(out + POINTER)];
    this.#expect(
      engine.call('ebpf_vm_set_program_type', this.#vm, index, number, attach),
      'cannot set the type',
    );
    return this;
  }

  /** What r1 of a program points to: the fields that it sees. */
  layout(program = ''): Layout {
    const index = this.#find(program);
    if (index < 0) throw this.#noProgram(program);
    return this.#layoutOf(index);
  }

  /** Set what programs learn from helpers; what is not named stays. */
  set(inputs: Inputs): this {
    const { engine } = this.#use();
    const at = engine.call('ebpf_vm_inputs_of', this.#vm) >>> 0;
    const { view } = engine;
    for (const [name, [offset, size]] of Object.entries(inputFields)) {
      const value = inputs[name as keyof typeof inputFields];
      if (value === undefined) continue;
      if (size === 8) view.setBigUint64(at + offset, BigInt(value), true);
      else view.setUint32(at + offset, Number(value), true);
    }
    if (inputs.comm !== undefined) {
      const name = new TextEncoder().encode(inputs.comm);
      const room = engine.bytes.subarray(
        at + COMM.at,
        at + COMM.at + COMM.size,
      );
      room.fill(0);
      room.set(name.subarray(0, COMM.size - 1));
    }
    return this;
  }

  /** What trace_printk wrote since the last call. */
  printk(): string {
    const { engine } = this.#use();
    const text = engine.textOut(this.#printkSpan());
    engine.call('ebpf_vm_printk_clear', this.#vm);
    return text;
  }

  /** A copy of a data section (.bss, .data, ...) as programs left it. */
  section(name: string): Uint8Array | undefined {
    const found = this.#sectionSpan(name);
    return found && this.#context.engine.copyOut(found);
  }

  /** Write to a data section, read-only ones too: globals before a run. Throws RangeError. */
  setSection(name: string, offset: number, data: Uint8Array): this {
    const found = this.#sectionSpan(name);
    if (!found || offset < 0 || offset + data.length > found.size) {
      throw new RangeError(
        found
          ? `${name} has ${found.size} bytes`
          : `there is no section ${name}`,
      );
    }
    this.#context.engine.bytes.set(data, found.at + offset);
    return this;
  }

  /**
   * Place bytes in the programs' memory for as long as the Machine: the address to put into
   * contexts, maps or other buffers. Programs may only read them, unless `writable`.
   */
  place(
    data: Uint8Array | string,
    options: { writable?: boolean } = {},
  ): bigint {
    return this.#place(data, 0, options.writable === true).address;
  }

  /** A copy of the programs' memory at an address; undefined where they cannot read that much. */
  read(address: bigint, size: number): Uint8Array | undefined {
    const found = this.#memory(address, size, false);
    return found && this.#context.engine.copyOut(found);
  }

  /** Write to the programs' memory; false where they cannot write themselves. */
  write(address: bigint, data: Uint8Array): boolean {
    const found = this.#memory(address, data.length, true);
    if (found) this.#context.engine.bytes.set(data, found.at);
    return found !== undefined;
  }

  /** Begin anew to count instructions, or to keep the last ones; {} ends both. */
  observe(what: { coverage?: boolean; trace?: number }): this {
    const { engine } = this.#use();
    const room = what.trace ?? 0;
    const bits =
      (what.coverage ? Watch.COVERAGE : 0) | (room > 0 ? Watch.TRACE : 0);
    const status = engine.call('ebpf_vm_observe', this.#vm, bits, room);
    if (status === Status.ARG) {
      throw new RangeError(`a trace has at most 2^20 entries, not ${room}`);
    }
    this.#expect(status, 'cannot observe');
    return this;
  }

  /** How often each instruction, line and function ran since observe({ coverage: true }). */
  coverage(): Coverage {
    const counted = this.#json('ebpf_vm_coverage') as Omit<Coverage, 'lines'>;
    const lines = new Map<string, LineCoverage>();
    for (const { file, line, count } of counted.instructions) {
      if (file === undefined || line === undefined) continue;
      const key = `${file}:${line}`;
      const known = lines.get(key);
      if (known) known.count = Math.max(known.count, count);
      else lines.set(key, { file, line, count });
    }
    return { ...counted, lines: [...lines.values()] };
  }

  /** The last instructions of the runs since observe({ trace }), the oldest first. */
  trace(): TraceEntry[] {
    const { engine } = this.#use();
    const all = this.#span((out) =>
      engine.call('ebpf_vm_trace', this.#vm, out),
    );
    const copy = engine.copyOut(all);
    const view = new DataView(copy.buffer);
    const places = new Map<string, Place>();
    return Array.from({ length: copy.length / Entry.size }, (_, i) => {
      const at = i * Entry.size;
      const reg = view.getUint32(at + Entry.reg, true);
      const section = view.getUint32(at + Entry.section, true);
      const slot = view.getUint32(at + Entry.slot, true);
      const key = `${section}:${slot}`;
      const place = places.get(key) ?? this.#where(section, slot);
      places.set(key, place);
      return {
        number: Number(view.getBigUint64(at + Entry.number, true)),
        place,
        depth: view.getUint32(at + Entry.depth, true),
        ...(reg !== NO_REG && {
          register: `r${reg}`,
          value: view.getBigUint64(at + Entry.value, true),
        }),
      };
    });
  }

  /**
   * Text for people: where the run at hand stands, with registers; the trace; coverage by line; what
   * the last run gave, without r0.
   */
  show(what: keyof typeof shows): string {
    const { engine } = this.#use();
    return engine.textOut(
      this.#span((out) =>
        engine.call('ebpf_vm_show', this.#vm, shows[what], out),
      ),
    );
  }

  /** A new map for a map of maps to hold: set its `id` as the value. */
  newInner(mapOfMaps: string): MachineMap {
    const { engine } = this.#use();
    const outer = Object.keys(this.maps).indexOf(mapOfMaps);
    if (outer < 0) throw new RangeError(`no map is called '${mapOfMaps}'`);
    const index = engine.call('ebpf_vm_map_new_inner', this.#vm, outer);
    if (index < 0) throw new RangeError(`${mapOfMaps} holds no maps`);
    return this.#mapAt(index);
  }

  /** Diagnostics of all runs so far, for people: faults with the line where they happened. */
  report(): Report {
    return report(this.#use());
  }

  protected override release(): void {
    this.#context.free();
  }

  #use(): Context {
    this.ensureOpen();
    this.#context.engine.check();
    return this.#context;
  }

  #noProgram(program: string): RangeError {
    const names = Object.keys(this.programs).join(', ') || 'no program';
    return new RangeError(
      program === ''
        ? 'the object has no program'
        : `no program is called '${program}'; there is ${names}`,
    );
  }

  #state(): number {
    return this.#context.engine.call('ebpf_vm_state_of', this.#vm) >>> 0;
  }

  #isCurrent(run: Run): void {
    this.#use();
    if (this.#current !== run) {
      throw new Error('this run is over: the machine has started another one');
    }
  }

  // ---- starting ----

  /** Returns what makes the result when the run has ended. */
  #startOn(index: number, mem: Uint8Array): () => Omit<RunResult, 'printk'> {
    const { engine } = this.#context;
    if (mem.length > this.#mem.size) {
      this.#mem = { at: this.#context.alloc(mem.length), size: mem.length };
    }
    const { at } = this.#mem;
    engine.bytes.set(mem, at);
    this.#expect(
      engine.call('ebpf_vm_start', this.#vm, index, at, mem.length, SIZE_IN_R2),
      'cannot start the program',
    );
    return () => ({
      ...this.#plainResult(),
      mem: engine.copyOut({ at, size: mem.length }),
    });
  }

  #startTyped(
    index: number,
    options: RunOptions,
  ): () => Omit<RunResult, 'printk'> {
    const { engine } = this.#context;
    const type = this.#typeOf(index);
    const ctx = this.#contextBytes(index, type, options);
    const packet = concat(options.metadata, options.packet);
    const at = this.#room(ctx.length + packet.length);
    engine.bytes.set(ctx, at);
    engine.bytes.set(packet, at + ctx.length);
    this.#expect(
      engine.call(
        'ebpf_vm_start_typed',
        this.#vm,
        index,
        at,
        ctx.length,
        at + ctx.length,
        packet.length,
      ),
      'cannot start the program',
    );
    return () => this.#typedResult(index, type.type, packet.length > 0);
  }

  #contextBytes(
    index: number,
    { type, attach }: ProgramType,
    options: RunOptions,
  ): Uint8Array {
    const { ctx, packet, metadata } = options;
    if (ctx instanceof Uint8Array) return ctx;
    const layout = this.#layoutOf(index);
    let fields: Fields = ctx ?? {};
    if (options.args !== undefined || options.retval !== undefined) {
      fields = { ...fields, ...this.#argumentFields(type, attach, options) };
    }
    if (type === Type.XDP && packet && (metadata || ctx)) {
      const data = metadata?.length ?? 0;
      fields = { ...fields, data, data_end: data + packet.length };
    }
    const empty = Object.keys(fields).length === 0;
    return empty
      ? new Uint8Array(0)
      : encodeContext(layout, fields, this.#littleEndian);
  }

  #argumentFields(type: number, attach: number, options: RunOptions): Fields {
    const args = (options.args ?? []).map((arg, i) => this.#argument(arg, i));
    const { retval } = options;
    const result = retval === undefined ? undefined : BigInt(retval);
    if (type === Type.KPROBE) return registersOf(this.#arch, args, result);
    const exit = attach === TRACE_FEXIT || attach === MODIFY_RETURN;
    if (exit) return { args: [...args, result ?? 0n] };
    if (result !== undefined) {
      throw new RangeError('programs of this type see no result');
    }
    return { args };
  }

  #argument(arg: Argument, index: number): bigint {
    if (typeof arg === 'number' || typeof arg === 'bigint') return BigInt(arg);
    const known = this.#argumentRegions[index] ?? 0;
    const { address, region } = this.#place(arg, known, true);
    this.#argumentRegions[index] = region;
    return address;
  }

  // ---- running ----

  #advance(how: 'run' | 'step' | 'finish', left: bigint): Advance {
    if (this.#running) {
      throw new Error('this machine is running: a helper cannot run it again');
    }
    this.#running = true;
    try {
      return this.#finish(this.#state(), how, left);
    } finally {
      this.#running = false;
    }
  }

  #finish(
    state: number,
    how: 'run' | 'step' | 'finish',
    budget: bigint,
  ): Advance {
    const { engine } = this.#context;
    const depth = engine.u32(state + State.depth);
    const advance = (): number =>
      how === 'finish'
        ? engine.call('ebpf_vm_finish', this.#vm, depth)
        : engine.call(`ebpf_vm_${how}`, this.#vm);
    let left = how === 'step' ? 1n : budget;
    let slice = FIRST_SLICE;
    const used = (): bigint => engine.u64(state + State.executed);
    const start = used();
    while (left > 0n || how !== 'step') {
      const now = left < slice ? left : slice;
      engine.view.setBigUint64(state + State.budget, now, true);
      const stop = advance();
      left = (how === 'step' ? 1n : budget) - (used() - start);
      if (stop === Stop.EXIT || stop === Stop.BREAK) {
        return { ended: stop === Stop.EXIT, left };
      }
      if (stop === Stop.HELPER) this.#callHelper(state);
      else if (stop === Stop.BUDGET && left > 0n) slice *= SLICE_GROWTH;
      else if (stop !== Stop.BUDGET || how !== 'step') {
        throw this.#stopped(stop, state);
      }
    }
    return { ended: false, left };
  }

  #stopped(stop: number, state: number): Error {
    const { engine } = this.#context;
    if (stop === Stop.FAULT) {
      const text = this.#span((out) =>
        engine.call('ebpf_vm_fault_text', this.#vm, out),
      );
      const fault = engine.call('ebpf_vm_fault_of', this.#vm) >>> 0;
      const insn = engine.u32(fault + FAULT_SLOT);
      return this.#machineError(engine.textOut(text), 'fault', state, insn);
    }
    if (stop === Stop.BUDGET) {
      const done = engine.u64(state + State.executed);
      const text = `the program did not end within ${done} instructions; allow more with budget`;
      return this.#machineError(text, 'budget', state);
    }
    return new EngineError(`the VM stopped with status ${stop}`);
  }

  #machineError(
    message: string,
    code: string,
    state: number,
    insn?: number,
  ): MachineError {
    const { engine } = this.#context;
    return new MachineError(message, {
      code,
      insn: insn ?? engine.u32(state + State.slot),
      executed: engine.u64(state + State.executed),
    });
  }

  #register(n: number, value?: bigint): bigint {
    const { engine } = this.#context;
    const at = this.#state() + State.reg + 8 * n;
    if (value !== undefined) {
      engine.view.setBigUint64(at, BigInt.asUintN(64, value), true);
    }
    return engine.u64(at);
  }

  // ---- results ----

  #plainResult(): Pick<RunResult, 'r0' | 'executed'> {
    const { engine } = this.#context;
    const state = this.#state();
    return {
      r0: engine.u64(state + State.reg),
      executed: Number(engine.u64(state + State.executed)),
    };
  }

  #typedResult(
    index: number,
    type: number,
    withPacket: boolean,
  ): Omit<RunResult, 'printk'> {
    const { engine } = this.#context;
    const plain = this.#plainResult();
    const value = Number(BigInt.asUintN(32, plain.r0));
    const action = engine.call('ebpf_return_name', type, value) >>> 0;
    const mem = engine.copyOut(
      this.#span((out) => engine.call('ebpf_vm_context', this.#vm, out)),
    );
    const layout = this.#layoutOf(index);
    const redirect = this.#redirect();
    return {
      ...plain,
      ...(action !== 0 && { action: engine.cString(action) }),
      mem,
      ...(withPacket && {
        packet: engine.copyOut(
          this.#span((out) => engine.call('ebpf_vm_packet', this.#vm, out)),
        ),
      }),
      ...(layout.size > 0 && {
        ctx: decodeContext(layout, mem, this.#littleEndian),
      }),
      ...(redirect && { redirect }),
    };
  }

  #redirect(): Redirect | undefined {
    const { engine } = this.#context;
    const at = engine.call('ebpf_vm_effects_of', this.#vm) >>> 0;
    if (engine.bytes[at + Effects.redirects] === 0) return undefined;
    const map = engine.u32(at + Effects.map);
    return {
      target: engine.u64(at + Effects.key),
      flags: engine.u64(at + Effects.flags),
      ...(map !== 0 && { map: Object.keys(this.maps)[map - 1] ?? '' }),
    };
  }

  #printkSpan(): ReturnType<typeof expectSpan> {
    const { engine } = this.#use();
    return this.#span((out) => engine.call('ebpf_vm_printk', this.#vm, out));
  }

  /** The VM drops old lines when there are too many: then all that is left is given. */
  #printkSince(before: number): string {
    const { at, size } = this.#printkSpan();
    const skip = size >= before ? before : 0;
    return this.#context.engine.textOut({ at: at + skip, size: size - skip });
  }

  // ---- helpers ----

  #helperName(id: number): string {
    const { engine } = this.#context;
    const at = engine.call('ebpf_vm_helper_name', this.#vm, id) >>> 0;
    return at === 0 ? '' : engine.cString(at);
  }

  /** Helpers that the host gives take the place of the VM's. */
  #claimHelpers(): void {
    const wanted = new Set(Object.keys(this.#helpers));
    for (let id = 1; wanted.size > 0 && id < HELPER_IDS; id++) {
      if (wanted.delete(this.#helperName(id))) {
        this.#context.engine.call('ebpf_vm_host_helper', this.#vm, id, 1);
      }
    }
    if (wanted.size > 0) {
      throw new RangeError(`no helper is called ${[...wanted].join(', ')}`);
    }
  }

  #callHelper(state: number): void {
    const { engine } = this.#context;
    const id = engine.u32(state + State.helper);
    const name = this.#helperName(id);
    const reg = (n: number): bigint => engine.u64(state + State.reg + 8 * n);
    const args = [reg(1), reg(2), reg(3), reg(4), reg(5)] as const;
    const r0 = Object.hasOwn(this.#helpers, name)
      ? this.#helpers[name]?.(...args)
      : this.#onHelper?.(name, args);
    if (r0 === undefined) {
      const text = `helper ${id} (${name}) is not available in the VM`;
      throw this.#machineError(text, 'helper', state);
    }
    engine.view.setBigUint64(
      state + State.reg,
      BigInt.asUintN(64, BigInt(r0)),
      true,
    );
  }

  // ---- programs and maps ----

  #find(program: string): number {
    const known = this.#indexes.get(program);
    if (known !== undefined) return known;
    const name = this.#nameIn(program);
    const index = this.#context.engine.call(
      'ebpf_vm_program_find',
      this.#vm,
      name.at,
      name.size,
    );
    if (index >= 0) this.#indexes.set(program, index);
    return index;
  }

  #typeOf(index: number): ProgramType {
    const { engine } = this.#context;
    const out = this.#pair();
    this.#expect(
      engine.call('ebpf_vm_program_type', this.#vm, index, out, out + POINTER),
      'the VM failed',
    );
    return { type: engine.u32(out), attach: engine.u32(out + POINTER) };
  }

  #layoutOf(index: number): Layout {
    const { engine, at } = this.#use();
    const { type, attach } = this.#typeOf(index);
    const key = `${type}:${attach}`;
    const known = this.#layouts.get(key);
    if (known) return known;
    const arm64 = this.#arch === 'arm64' ? 1 : 0;
    const json = this.#span((out) =>
      engine.call('ebpf_vm_layout', at, type, attach, arm64, out),
    );
    const layout = JSON.parse(engine.textOut(json)) as Layout;
    this.#layouts.set(key, layout);
    return layout;
  }

  #listPrograms(): Record<string, MachineProgram> {
    const { engine } = this.#context;
    const programs = dictionary<MachineProgram>();
    const count = engine.call('ebpf_vm_program_count', this.#vm);
    for (let i = 0; i < count; i++) {
      const name = engine.textOut(
        this.#span((out) =>
          engine.call('ebpf_vm_program_name', this.#vm, i, out),
        ),
      );
      programs[name] ??= {
        name,
        run: (options) => this.run(name, options),
        start: (options) => this.start(name, options),
      };
    }
    return programs;
  }

  #listMaps(): Record<string, MachineMap> {
    const { engine } = this.#context;
    const maps = dictionary<MachineMap>();
    const count = engine.call('ebpf_vm_map_count', this.#vm);
    for (let i = 0; i < count; i++) {
      const map = this.#mapAt(i);
      maps[map.name] = map;
    }
    return maps;
  }

  #mapAt(index: number): MachineMap {
    const raw = new VmMap(
      () => this.#use(),
      this.#vm,
      index,
      this.#littleEndian,
    );
    return new BpfMap(raw, bytes(raw.keySize), bytes(raw.valueSize));
  }

  // ---- places and memory ----

  #setBreakpoint(place: string, on: boolean): void {
    const { engine } = this.#use();
    const name = this.#nameIn(place);
    const found = engine.call(
      'ebpf_vm_break_at',
      this.#vm,
      name.at,
      name.size,
      on ? 1 : 0,
    );
    if (found === Status.ARG) {
      throw new RangeError(
        `there is no code at '${place}': a breakpoint is at a function, file:line or instruction`,
      );
    }
    if (found < 0) this.#expect(found, 'cannot set a breakpoint');
  }

  #json(entry: 'ebpf_vm_frames' | 'ebpf_vm_coverage'): unknown {
    const { engine } = this.#use();
    const { status, span } = this.#out((out) =>
      engine.call(entry, this.#vm, out),
    );
    if (status === Status.ARG) {
      throw new Error('nothing was counted: observe({ coverage: true }) first');
    }
    this.#expect(status, 'the VM failed');
    return JSON.parse(engine.textOut(span));
  }

  #where(section: number, slot: number): Place {
    const { engine } = this.#context;
    const json = this.#span((out) =>
      engine.call('ebpf_vm_where', this.#vm, section, slot, out),
    );
    return JSON.parse(engine.textOut(json)) as Place;
  }

  #sectionSpan(name: string): { at: number; size: number } | undefined {
    const { engine } = this.#use();
    const at = this.#nameIn(name);
    const { status, span } = this.#out((out) =>
      engine.call('ebpf_vm_section', this.#vm, at.at, at.size, out),
    );
    return status === Status.OK ? span : undefined;
  }

  #place(
    data: Uint8Array | string,
    known: number,
    writable: boolean,
  ): { address: bigint; region: number } {
    const { engine } = this.#use();
    const raw =
      typeof data === 'string' ? new TextEncoder().encode(`${data}\0`) : data;
    const out = this.#pair();
    engine.view.setUint32(out, known, true);
    this.#expect(
      engine.call(
        'ebpf_vm_buffer',
        this.#vm,
        out,
        raw.length,
        writable ? 1 : 0,
      ),
      'cannot place a buffer',
    );
    const region = engine.u32(out);
    const address = BigInt(region) << 32n;
    const found =
      raw.length > 0 ? this.#memory(address, raw.length, false) : undefined;
    if (found) this.#context.engine.bytes.set(raw, found.at);
    return { address, region };
  }

  #memory(
    address: bigint,
    size: number,
    write: boolean,
  ): { at: number; size: number } | undefined {
    const { engine } = this.#use();
    const { status, span } = this.#out((out) =>
      engine.call(
        'ebpf_vm_memory',
        this.#vm,
        Number(BigInt.asUintN(32, address >> 32n)),
        Number(BigInt.asUintN(32, address)),
        size,
        write ? 1 : 0,
        out,
      ),
    );
    return status === Status.OK ? span : undefined;
  }

  #expect(status: number, what: string): void {
    expectOk(this.#context, status, what);
  }

  #out(call: (out: number) => number): ReturnType<Context['span']> {
    return this.#context.span(call);
  }

  #span(call: (out: number) => number): ReturnType<typeof expectSpan> {
    return expectSpan(this.#context, 'the VM failed', call);
  }

  #nameIn(name: string): { at: number; size: number } {
    const text = new TextEncoder().encode(name);
    const at = this.#room(text.length);
    this.#context.engine.bytes.set(text, at);
    return { at, size: text.length };
  }

  #pairAt = 0;
  /** Room for two u32, used again. */
  #pair(): number {
    this.#pairAt ||= this.#context.alloc(2 * POINTER);
    return this.#pairAt;
  }

  /** Room for what a call takes; the arena gives nothing back, so it is used again. */
  #room(size: number): number {
    if (size > this.#scratch.size) {
      this.#scratch = { at: this.#context.alloc(size), size };
    }
    return this.#scratch.at;
  }
}

interface ProgramType {
  type: number;
  attach: number;
}

function budgetOf({ budget = DEFAULT_BUDGET }: RunOptions): bigint {
  const exact = BigInt(budget);
  if (exact !== BigInt.asUintN(64, exact)) {
    throw new RangeError(`a budget has 64 bits: ${budget} is none`);
  }
  return exact;
}

export interface MachineProgram {
  readonly name: string;
  run(options?: RunOptions): RunResult;
  /** To step through it. */
  start(options?: RunOptions): Run;
}

export type MachineMap = BpfMap<Uint8Array, Uint8Array>;

function dictionary<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}

function concat(...parts: (Uint8Array | undefined)[]): Uint8Array {
  const there = parts.filter((part) => part !== undefined);
  const all = new Uint8Array(there.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of there) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Lines NAME=VALUE, as a .config has them. */
function externLines(externs: MachineOptions['externs'] = ''): string {
  if (typeof externs === 'string') return externs;
  return Object.entries(externs)
    .map(([name, value]) => `${name}=${externText(value)}\n`)
    .join('');
}

function externText(value: string | number | bigint | boolean): string {
  if (typeof value === 'boolean') return value ? 'y' : 'n';
  if (typeof value !== 'string') return String(value);
  return ['y', 'm', 'n'].includes(value) || value.startsWith('"')
    ? value
    : `"${value}"`;
}

/** Answer the object's CO-RE relocations for this kernel. */
function relocateFor(
  context: Context,
  object: number,
  btf: MachineOptions['btf'],
): void {
  if (btf === undefined) return;
  const targets = targetsIn(context, btf);
  const { status } = context.span((out) =>
    context.engine.call(
      'ebpf_object_relocate',
      context.at,
      object,
      targets.at,
      targets.count,
      0,
      out,
    ),
  );
  expectOk(context, status, 'cannot relocate this object');
}

function openInput(
  context: Context,
  input: BpfObject | Uint8Array | SourceText,
): number {
  if (input instanceof BpfObject) return readElf(context, input.toElf());
  if (input instanceof Uint8Array) return readElf(context, input);
  return assembleInto(context, input.source, input);
}

const EI_DATA = 5;

function isLittle(input: BpfObject | Uint8Array | SourceText): boolean {
  if (input instanceof BpfObject) return input.endian === 'little';
  if (input instanceof Uint8Array) return input[EI_DATA] !== 2;
  return input.endian !== 'big';
}
