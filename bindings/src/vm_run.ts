/**
 * vm_run.ts - a run of a Machine that stands still between instructions, what it gives at its end,
 * and where runs stop.
 */

/** Where a program has sent the packet. */
export interface Redirect {
  /** Interface, or the key in `map`. */
  target: bigint;
  map?: string;
  flags: bigint;
}

export interface RunResult {
  r0: bigint;
  /** What r0 means to the kernel: 'XDP_PASS', 'TC_ACT_OK'. */
  action?: string;
  /** Instructions that were run. */
  executed: number;
  /** `mem` or `ctx` as the program left it. */
  mem: Uint8Array;
  /** The packet as the program left it, with metadata in front, where there was one. */
  packet?: Uint8Array;
  /** Fields of the context as the program left them, where its type has some. */
  ctx?: Record<string, number | bigint | (number | bigint)[]>;
  /** The last redirect. */
  redirect?: Redirect;
  /** What trace_printk wrote during this run. */
  printk: string;
}

/** Where an instruction is; what is not known is left out. */
export interface Place {
  section: string;
  /** 8-byte slot in the section. */
  insn: number;
  function?: string;
  /** Slots from the function's start. */
  offset?: number;
  file?: string;
  line?: number;
  column?: number;
  /** The source line. */
  text?: string;
}

export interface TraceEntry {
  /** Counts from 1 since tracing began. */
  number: number;
  place: Place;
  /** How many calls deep. */
  depth: number;
  /** The register that the instruction changed, and what it then held. */
  register?: string;
  value?: bigint;
}

export interface LineCoverage {
  file: string;
  line: number;
  /** How often its most frequent instruction was run. */
  count: number;
}

export interface Coverage {
  functions: { name: string; insns: number; run: number; calls: number }[];
  instructions: {
    section: string;
    insn: number;
    count: number;
    file?: string;
    line?: number;
  }[];
  lines: LineCoverage[];
}

/** What an advance of a run came to. */
export interface Advance {
  ended: boolean;
  /** Of the budget. */
  left: bigint;
}

/** What a Run asks of its Machine. */
export interface Driver {
  advance(how: 'run' | 'step' | 'finish', left: bigint): Advance;
  check(run: Run): void;
  frames(): Place[];
  register(n: number, value?: bigint): bigint;
  executed(): number;
  result(): RunResult;
}

/** A run that stands still between instructions. */
export class Run {
  readonly #driver: Driver;
  #left: bigint;
  #result: RunResult | undefined;
  #failed = false;

  /** @internal */
  constructor(driver: Driver, budget: bigint) {
    this.#driver = driver;
    this.#left = budget;
  }

  /** The program has returned, or was stopped by a fault or the end of its budget. */
  get done(): boolean {
    return this.#failed || this.#result !== undefined;
  }

  /** What a run to the end gives; throws until it has ended. */
  get result(): RunResult {
    if (!this.#result) throw new Error('the program has not returned yet');
    return this.#result;
  }

  /** One instruction. */
  step(): this {
    return this.#advance('step');
  }

  /** To the next breakpoint, or to the end. */
  continue(): this {
    return this.#advance('run');
  }

  /** To the end of the function at hand, or to a breakpoint before. */
  finish(): this {
    return this.#advance('finish');
  }

  /** r0 to r10. */
  get registers(): readonly bigint[] {
    this.#driver.check(this);
    return Array.from({ length: 11 }, (_, n) => this.#driver.register(n));
  }

  /** Give register `n` a value. */
  setRegister(n: number, value: bigint | number): this {
    this.#driver.check(this);
    if (!Number.isInteger(n) || n < 0 || n > 9) {
      throw new RangeError(`registers are r0 to r9, not r${n}`);
    }
    this.#driver.register(n, BigInt(value));
    return this;
  }

  /** Where the next instruction is, then its callers. */
  get frames(): Place[] {
    this.#driver.check(this);
    return this.#driver.frames();
  }

  /** Where the next instruction is. */
  get place(): Place {
    return this.frames[0]!;
  }

  /** Instructions so far. */
  get executed(): number {
    this.#driver.check(this);
    return this.#driver.executed();
  }

  #advance(how: 'run' | 'step' | 'finish'): this {
    this.#driver.check(this);
    if (this.done) throw new Error('the program has ended');
    try {
      const { ended, left } = this.#driver.advance(how, this.#left);
      this.#left = how === 'step' ? this.#left - 1n : left;
      if (ended) this.#result = this.#driver.result();
    } catch (error) {
      this.#failed = true;
      throw error;
    }
    return this;
  }
}

/**
 * Where runs stop, as a Set of places: a function ('parse'), a source line ('prog.c:17') or an
 * instruction of the first section with code ('12'). Adding one that is nowhere throws RangeError.
 */
export class Breakpoints implements Iterable<string> {
  readonly #places = new Set<string>();
  readonly #set: (place: string, on: boolean) => void;

  /** @internal */
  constructor(set: (place: string, on: boolean) => void) {
    this.#set = set;
  }

  get size(): number {
    return this.#places.size;
  }

  add(place: string | number): this {
    this.#set(String(place), true);
    this.#places.add(String(place));
    return this;
  }

  has(place: string | number): boolean {
    return this.#places.has(String(place));
  }

  /** False when there was none. */
  delete(place: string | number): boolean {
    if (!this.#places.delete(String(place))) return false;
    this.#set(String(place), false);
    return true;
  }

  clear(): void {
    for (const place of [...this.#places]) this.delete(place);
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#places[Symbol.iterator]();
  }
}
