/**
 * vm.ts - run the programs of an object on any machine, without privileges.
 *
 * A Machine is one VM in an engine instance of its own (ebpf_vm.h): the object's maps and data are
 * its state and stay from run to run; clock, random numbers, CPU and process are inputs that the
 * host sets, so the same inputs give the same run. After a trap of the engine (out of memory) the
 * Machine and its maps throw EngineError; make a new one.
 */
import { Context, Status } from '../../wasm/loader';
import { assembleInto, type Dialect } from './asm';
import { bytes } from './codec';
import { expectOk, expectSpan, newEngine, report } from './engine';
import { EngineError, KernelError, MachineError, type Report } from './errors';
import { Handle } from './handle';
import { BpfMap, updateFlags, type MapBackend, type UpdateMode } from './map';
import { BpfObject, readElf, type Endian } from './object';

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
  /** Helpers by name without `bpf_`, instead of the VM's own. */
  helpers?: Record<string, HostHelper>;
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

export interface RunOptions {
  /** Memory that r1 points to and the program may change; its size goes to r2. */
  mem?: Uint8Array;
  /** The program's context: as mem, but r2 is 0, as the kernel calls programs. */
  ctx?: Uint8Array;
  /** Instructions that the run may take. */
  budget?: number | bigint;
}

export interface RunResult {
  r0: bigint;
  /** Instructions that were run. */
  executed: number;
  /** `mem` or `ctx` as the program left it. */
  mem: Uint8Array;
}

/** enum ebpf_stop */
const Stop = { EXIT: 1, FAULT: 2, BUDGET: 3, HELPER: 4 } as const;
/** struct ebpf_vm_state */
const State = { reg: 0, executed: 88, budget: 96, helper: 108, slot: 116 };
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
/** Helper ids of the kernel end well below. */
const HELPER_IDS = 1024;

export class Machine extends Handle {
  readonly #context: Context;
  readonly #vm: number;
  readonly #helpers: Record<string, HostHelper>;
  readonly #indexes = new Map<string, number>();
  #scratch = { at: 0, size: 0 };
  #running = false;
  /** By name, null-prototype. */
  readonly programs: Readonly<Record<string, MachineProgram>>;
  readonly maps: Readonly<Record<string, MachineMap>>;

  /** Throws BpfSyntaxError for an object that cannot be run. */
  constructor(
    object: BpfObject | Uint8Array | SourceText,
    options: MachineOptions = {},
  ) {
    super('machine');
    const context = new Context(newEngine(), options.memoryLimit);
    this.#context = context;
    const out = context.pointer();
    const at = openInput(context, object);
    expectOk(
      context,
      context.engine.call(
        'ebpf_vm_new',
        context.at,
        at,
        options.cpus ?? 1,
        out,
      ),
      'cannot run this object',
    );
    this.#vm = context.engine.u32(out);
    this.#helpers = options.helpers ?? {};
    this.#claimHelpers();
    this.programs = this.#listPrograms();
    this.maps = this.#listMaps(isLittle(object));
  }

  /** Start a program (default: the first entry point) and run it to its end. */
  run(program = '', options: RunOptions = {}): RunResult {
    const { engine } = this.#use();
    if (this.#running) {
      throw new Error('this machine is running: a helper cannot run it again');
    }
    const budget = budgetOf(options);
    const index = this.#find(program);
    if (index < 0) throw this.#noProgram(program);
    const mem = options.mem ?? options.ctx ?? new Uint8Array(0);
    const at = this.#room(mem.length);
    engine.bytes.set(mem, at);
    const flags = options.ctx === undefined ? SIZE_IN_R2 : 0;
    this.#expect(
      engine.call('ebpf_vm_start', this.#vm, index, at, mem.length, flags),
      'cannot start the program',
    );
    const state = this.#state();
    engine.view.setBigUint64(state + State.budget, budget, true);
    this.#running = true;
    try {
      this.#finish(state);
    } finally {
      this.#running = false;
    }
    return {
      r0: engine.u64(state + State.reg),
      executed: Number(engine.u64(state + State.executed)),
      mem: engine.copyOut({ at, size: mem.length }),
    };
  }

  /** `program` if there is one so called (a function or a section; '' is the first). */
  find(program: string): string | undefined {
    this.#use();
    return this.#find(program) >= 0 ? program : undefined;
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
    const text = engine.textOut(
      this.#span((out) => engine.call('ebpf_vm_printk', this.#vm, out)),
    );
    engine.call('ebpf_vm_printk_clear', this.#vm);
    return text;
  }

  /** A copy of a data section (.bss, .data, ...) as programs left it. */
  section(name: string): Uint8Array | undefined {
    const { engine } = this.#use();
    const at = this.#nameIn(name);
    const { status, span } = this.#out((out) =>
      engine.call('ebpf_vm_section', this.#vm, at.at, at.size, out),
    );
    return status === Status.OK ? engine.copyOut(span) : undefined;
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

  #finish(state: number): void {
    const { engine } = this.#context;
    for (;;) {
      const stop = engine.call('ebpf_vm_run', this.#vm);
      if (stop === Stop.EXIT) return;
      if (stop === Stop.HELPER) this.#callHelper(state);
      else throw this.#stopped(stop, state);
    }
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

  #helperName(id: number): string {
    const { engine } = this.#context;
    const at = engine.call('ebpf_helper_name', id) >>> 0;
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
    const helper = Object.hasOwn(this.#helpers, name)
      ? this.#helpers[name]
      : undefined;
    if (!helper) {
      const text = `helper ${id} (${name}) is not available in the VM`;
      throw this.#machineError(text, 'helper', state);
    }
    const reg = (n: number): bigint => engine.u64(state + State.reg + 8 * n);
    const r0 = helper(reg(1), reg(2), reg(3), reg(4), reg(5));
    engine.view.setBigUint64(
      state + State.reg,
      BigInt.asUintN(64, BigInt(r0)),
      true,
    );
  }

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
      };
    }
    return programs;
  }

  #listMaps(littleEndian: boolean): Record<string, MachineMap> {
    const { engine } = this.#context;
    const maps = dictionary<MachineMap>();
    const count = engine.call('ebpf_vm_map_count', this.#vm);
    for (let i = 0; i < count; i++) {
      const raw = new VmMap(() => this.#use(), this.#vm, i, littleEndian);
      maps[raw.name] = new BpfMap(
        raw,
        bytes(raw.keySize),
        bytes(raw.valueSize),
      );
    }
    return maps;
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

  /** Room for names and the program's memory; the arena gives nothing back, so it is used again. */
  #room(size: number): number {
    if (size > this.#scratch.size) {
      this.#scratch = { at: this.#context.alloc(size), size };
    }
    return this.#scratch.at;
  }
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
}

export type MachineMap = BpfMap<Uint8Array, Uint8Array>;

/** struct ebpf_vm_map */
const MapInfo = {
  count: 20,
  size: 32,
  type: 0,
  keySize: 4,
  valueSize: 12,
  maxEntries: 16,
};
/** enum ebpf_errno, for messages */
const errnoNames: Record<number, string> = {
  2: 'ENOENT',
  7: 'E2BIG',
  12: 'ENOMEM',
  14: 'EFAULT',
  17: 'EEXIST',
  22: 'EINVAL',
};
const ENOENT = 2;

/** One map of a VM, by bytes; key and value travel through one piece of memory each. */
class VmMap implements MapBackend {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly littleEndian: boolean;
  readonly #use: () => Context;
  readonly #vm: number;
  readonly #index: number;
  readonly #key: number;
  readonly #value: number;
  readonly #info: number;

  constructor(
    use: () => Context,
    vm: number,
    index: number,
    littleEndian: boolean,
  ) {
    const context = use();
    const { engine } = context;
    this.#use = use;
    this.#vm = vm;
    this.#index = index;
    this.littleEndian = littleEndian;
    const name = expectSpan(context, 'the VM failed', (out) =>
      engine.call('ebpf_vm_map_name', vm, index, out),
    );
    this.name = engine.textOut(name);
    const info = context.alloc(MapInfo.size);
    this.#info = info;
    this.#readInfo();
    this.type = engine.u32(info + MapInfo.type);
    this.keySize = engine.u32(info + MapInfo.keySize);
    this.valueSize = engine.u32(info + MapInfo.valueSize);
    this.maxEntries = engine.u32(info + MapInfo.maxEntries);
    this.#key = context.alloc(Math.max(this.keySize, 8));
    this.#value = context.alloc(Math.max(this.valueSize, 8));
  }

  count(): number {
    const { engine } = this.#use();
    this.#readInfo();
    return engine.u32(this.#info + MapInfo.count);
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    const { engine } = this.#use();
    engine.bytes.set(key, this.#key);
    const status = engine.call(
      'ebpf_vm_map_lookup',
      this.#vm,
      this.#index,
      this.#key,
      this.#value,
    );
    return this.#found('map lookup', status)
      ? engine.copyOut({ at: this.#value, size: this.valueSize })
      : undefined;
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode): void {
    const { engine } = this.#use();
    engine.bytes.set(key, this.#key);
    engine.bytes.set(value, this.#value);
    const status = engine.call(
      'ebpf_vm_map_update',
      this.#vm,
      this.#index,
      this.#key,
      this.#value,
      updateFlags[mode],
    );
    if (status !== 0) throw this.#error('map update', status);
  }

  remove(key: Uint8Array): boolean {
    const { engine } = this.#use();
    engine.bytes.set(key, this.#key);
    return this.#found(
      'map delete',
      engine.call('ebpf_vm_map_delete', this.#vm, this.#index, this.#key),
    );
  }

  *scan(): Generator<[Uint8Array, Uint8Array], void> {
    // The next key is asked for before this one is handed out, so that it may be deleted.
    let key = this.#next(undefined);
    while (key) {
      const next = this.#next(key);
      const value = this.lookup(key);
      if (value) yield [key, value];
      key = next;
    }
  }

  #readInfo(): void {
    const context = this.#use();
    expectOk(
      context,
      context.engine.call(
        'ebpf_vm_map_info',
        this.#vm,
        this.#index,
        this.#info,
      ),
      'the VM failed',
    );
  }

  #next(key: Uint8Array | undefined): Uint8Array | undefined {
    const { engine } = this.#use();
    if (key) engine.bytes.set(key, this.#key);
    const status = engine.call(
      'ebpf_vm_map_next',
      this.#vm,
      this.#index,
      key ? this.#key : 0,
      this.#value,
    );
    return this.#found('map next key', status)
      ? engine.copyOut({ at: this.#value, size: this.keySize })
      : undefined;
  }

  #found(operation: string, status: number): boolean {
    if (status === 0) return true;
    if (status === -ENOENT) return false;
    throw this.#error(operation, status);
  }

  /** The class that the kernel's maps throw: a test moves between the two. */
  #error(operation: string, status: number): KernelError {
    const errno = -status;
    const code = errnoNames[errno] ?? `errno ${errno}`;
    return new KernelError(`${operation} of ${this.name}: ${code}`, {
      operation,
      errno,
      code,
      subject: this.name,
    });
  }
}

function dictionary<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
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
