/**
 * log.ts - the kernel verifier's log, read: its lines, and why a program was refused in plain words,
 * with the line of C and what to do.
 */
import { Status, type Context } from '../../wasm/loader';
import { expectOk, expectSpan, request } from './engine';
import { BpfObject, readElf } from './object';

/** A line of C. */
export interface LogSource {
  file?: string;
  line?: number;
  column?: number;
  /** The line itself, without the white space around it. */
  text?: string;
  function?: string;
}

/** What the verifier knows of a register or a slot of the stack. */
export interface LogValue {
  /** R3: 3 */
  register?: number;
  /** fp-16: -16 */
  stack?: number;
  /** Of calls; the program itself has none. */
  frame?: number;
  /** 'scalar', 'map_value_or_null', 'ptr_task_struct'; of a slot also 'mmmm0000' */
  type?: string;
  /** All that stands behind the =. */
  text?: string;
  /** A constant. Numbers of 64 bits are decimal strings. */
  value?: string;
  precise?: boolean;
  /** A fixed distance from where the pointer points to. */
  offset?: number;
  /** How many bytes of a packet were checked. */
  range?: number;
  /** Values with the same id change together. */
  id?: number;
  /** The reference that must be released. */
  reference?: number;
  map?: string;
  keySize?: number;
  valueSize?: number;
  signedMin?: string;
  signedMax?: string;
  unsignedMin?: string;
  unsignedMax?: string;
  knownBits?: string;
  unknownBits?: string;
}

export interface LogLine {
  /**
   * 'instruction'; 'state': registers by themselves; 'from': another path goes on here; 'source': a
   * line of C; 'stats'; 'report': of Linux 7.3; 'reason': why the program is refused; 'other'
   */
  kind:
    | 'instruction'
    | 'state'
    | 'from'
    | 'source'
    | 'stats'
    | 'report'
    | 'reason'
    | 'other';
  /** The instruction, the line of C, or the whole line. */
  text: string;
  /** The instruction that it is about, as a slot of the program. */
  instruction?: number;
  /** 'from': the jump that led here. */
  from?: number;
  /** 'source' */
  file?: string;
  line?: number;
  state?: LogValue[];
}

/** A step on the way of a register's value, the latest first. */
export interface LogOrigin {
  kind:
    | 'move'
    | 'change'
    | 'load'
    | 'fill'
    | 'call'
    | 'clobber'
    | 'constant'
    | 'argument';
  register?: number;
  /** 'the result of bpf_map_lookup_elem(), instruction 6' */
  words: string;
  instruction?: number;
  text?: string;
  source?: LogSource;
}

/** What Linux 7.3 and later say themselves. */
export interface LogReport {
  /** 'Memory Safety' and the like. */
  category: string;
  problem: string;
  reason: string;
  suggestion: string;
  at: LogEvent;
  /** How it came to it. */
  path: LogEvent[];
}

export interface LogEvent {
  /** 'error', 'branch', 'update', 'invalidated', 'acquired', 'context', … */
  label?: string;
  text?: string;
  instruction?: number;
  source?: LogSource;
}

export interface LogStats {
  /** Instructions that the verifier looked at, and how many it would. */
  processed?: number;
  limit?: number;
  maxStatesPerInstruction?: number;
  totalStates?: number;
  peakStates?: number;
  markRead?: number;
  microseconds?: number;
  /** '64+8': of the program and its functions. */
  stackDepth?: string;
}

/** What ebpf_log_explain says. */
export interface LogExplanation {
  /** It is a log of the verifier: some line is one that the kernel writes. */
  recognized: boolean;
  /** The log has a reason why the program is refused. */
  refused: boolean;
  /** A stable name such as 'null-pointer'; none for messages that are not known. */
  cause?: string;
  /** The kernel's message; `messages` has all, where there are several. */
  message?: string;
  messages?: string[];
  explanation?: string;
  remedy?: string;
  instruction?: number;
  instructionText?: string;
  source?: LogSource;
  register?: number;
  /** 'a pointer into a map's value (map counts), or NULL' */
  registerWords?: string;
  registerState?: LogValue;
  origin: LogOrigin[];
  report?: LogReport;
  stats: LogStats;
  /** How many. */
  lines: number;
}

export interface ExplainOptions {
  /** The object that was loaded: its lines of C, also where the log has none. */
  object?: BpfObject | Uint8Array;
  /** Which of its programs (or functions); needed where it has several. */
  program?: string;
  /** Bytes that the request may take. */
  memoryLimit?: number;
}

/** enum ebpf_diag_format */
const formats = { text: 0, ansi: 1, json: 2 } as const;
const ALL_LINES = 0xffffffff;

/** Read the log into the context; returns the ebpf_log. */
function readLog(context: Context, log: string | Uint8Array): number {
  const input =
    typeof log === 'string' ? context.textIn(log) : context.copyIn(log);
  const out = context.pointer();
  const { engine } = context;
  const status = engine.call(
    'ebpf_log_read',
    context.at,
    input.at,
    input.size,
    out,
  );
  expectOk(context, status, 'cannot read the log');
  return engine.u32(out);
}

function useObject(
  context: Context,
  log: number,
  object: BpfObject | Uint8Array,
  program = '',
): void {
  const elf = object instanceof BpfObject ? object.toElf() : object;
  const at = readElf(context, elf);
  const name = context.textIn(program);
  const { engine } = context;
  const status = engine.call(
    'ebpf_log_object',
    context.at,
    log,
    at,
    name.at,
    name.size,
  );
  if (status === Status.ARG) {
    throw new RangeError(
      program
        ? `the object has no program '${program}'`
        : 'the object has not one program only: name it as `program`',
    );
  }
  expectOk(context, status, 'cannot use the object');
}

/** @internal The explanation in one format, as the command prints it. */
export function explainAs(
  format: keyof typeof formats,
  log: string | Uint8Array,
  options: ExplainOptions = {},
): string {
  return request((context) => {
    const { object, program } = options;
    const at = readLog(context, log);
    if (object !== undefined) useObject(context, at, object, program);
    const text = expectSpan(context, 'cannot explain the log', (out) =>
      context.engine.call(
        'ebpf_log_explain',
        context.at,
        at,
        formats[format],
        out,
      ),
    );
    return context.engine.textOut(text);
  }, options);
}

/** @internal Whether some line is one that the verifier writes. */
export const isLog = (log: string | Uint8Array): boolean =>
  request(
    (context) =>
      context.engine.call('ebpf_log_recognized', readLog(context, log)) !== 0,
  );

/** @internal The lines as JSON. */
export function linesOf(log: string | Uint8Array): string {
  return request((context) => {
    const at = readLog(context, log);
    const json = expectSpan(context, 'cannot read the log', (out) =>
      context.engine.call('ebpf_log_json', context.at, at, 0, ALL_LINES, out),
    );
    return context.engine.textOut(json);
  });
}

/** A verifier's log and what it means. */
export class VerifierLog {
  /** The log as it was given. */
  readonly raw: string;
  /** All that is known, as data. */
  readonly details: LogExplanation;
  /** The explanation for people: place, cause, origin, remedy; lines end in newlines. */
  readonly text: string;
  /** The same with terminal colours. */
  readonly ansi: string;
  #lines: LogLine[] | undefined;

  /** @internal explain() makes it. */
  constructor(log: string | Uint8Array, options: ExplainOptions) {
    this.raw = typeof log === 'string' ? log : new TextDecoder().decode(log);
    this.text = explainAs('text', log, options);
    this.ansi = explainAs('ansi', log, options);
    const json = explainAs('json', log, options);
    this.details = JSON.parse(json) as LogExplanation;
    Object.defineProperty(this, 'raw', { enumerable: false });
    Object.defineProperty(this, 'ansi', { enumerable: false });
  }

  /** It is a log of the verifier at all: some line is one that the kernel writes. */
  get recognized(): boolean {
    return this.details.recognized;
  }

  /** The log has a reason why the program is refused. */
  get refused(): boolean {
    return this.details.refused;
  }

  /** A stable name of the cause such as 'null-pointer'. */
  get cause(): string | undefined {
    return this.details.cause;
  }

  /** The kernel's message. */
  get reason(): string | undefined {
    return this.details.message;
  }

  get explanation(): string | undefined {
    return this.details.explanation;
  }

  /** What to do. */
  get remedy(): string | undefined {
    return this.details.remedy;
  }

  /** The line of C that is refused, where log or object tell it. */
  get source(): LogSource | undefined {
    return this.details.source;
  }

  /** The refused instruction, as a slot of the program. */
  get instruction(): number | undefined {
    return this.details.instruction;
  }

  /** Instructions that the verifier looked at. */
  get processed(): number | undefined {
    return this.details.stats.processed;
  }

  /** The log line by line; read when they are asked for. */
  get lines(): readonly LogLine[] {
    this.#lines ??= JSON.parse(linesOf(this.raw)) as LogLine[];
    return this.#lines;
  }

  toString(): string {
    return this.text;
  }
}

/** Read a log of the kernel's verifier: why the program was refused, and what to do about it. */
export function explain(
  log: string | Uint8Array,
  options: ExplainOptions = {},
): VerifierLog {
  return new VerifierLog(log, options);
}
