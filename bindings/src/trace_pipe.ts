/**
 * trace_pipe.ts - what programs say through bpf_printk() (bpf_trace_printk), as lines.
 *
 * There is one pipe for the whole machine, and each line is read by one reader only.
 */
import { closeSync, constants, existsSync, openSync, readSync } from 'node:fs';
import { KernelError, kernelError } from './errors';
import { Handle, unwatch, watch } from './handle';
import { lockdownMode } from './lockdown';
import { Readiness, turn } from './readiness';

/** A line of the trace pipe. */
export interface TraceLine {
  /** What the program printed, without the newline. */
  text: string;
  /** Of the task that it interrupted. */
  comm: string;
  pid: number;
  cpu: number;
  /** Interrupts off, need to resched, in an interrupt, preemption depth: 'd..31', as ftrace has it. */
  flags: string;
  /** Seconds of the trace clock, since boot as a rule. */
  time: number;
  /** The whole line. */
  line: string;
}

const folders = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];
/** '  comm-123     [001] d..31  1234.567890: bpf_trace_printk: text' */
const shape =
  /^\s*(.*)-(\d+)\s+(?:\([^)]*\)\s+)?\[(\d+)\]\s+(\S+)\s+([\d.]+): bpf_trace_printk: (.*)$/s;
const BYTES = 64 * 1024;
const NEWLINE = 10;

/** One line, or undefined for what is none of bpf_printk's. */
export function parseTraceLine(line: string): TraceLine | undefined {
  const [, comm, pid, cpu, flags, time, text] = shape.exec(line) ?? [];
  if (comm === undefined || flags === undefined || text === undefined) return;
  return {
    text,
    comm,
    pid: Number(pid),
    cpu: Number(cpu),
    flags,
    time: Number(time),
    line,
  };
}

/** Lines of bpf_printk(), as an async iterable; needs tracefs and root. */
export class TracePipe extends Handle implements AsyncIterable<TraceLine> {
  readonly #fd: number;
  readonly #ready: Readiness;
  readonly #buffer = Buffer.allocUnsafe(BYTES);
  #rest = Buffer.alloc(0);

  /** @internal */
  constructor(path: string) {
    super('the trace pipe');
    this.#fd = open(path);
    this.#ready = new Readiness({ fd: this.#fd });
    watch(this, 'the trace pipe');
  }

  /** The lines that are there now, perhaps none; never waits. */
  drain(): TraceLine[] {
    this.ensureOpen();
    const lines: TraceLine[] = [];
    for (const line of this.#read()) {
      const parsed = parseTraceLine(line);
      if (parsed) lines.push(parsed);
    }
    return lines;
  }

  /** Lines as they come, until close(), or rejecting when `signal` aborts. */
  async *lines({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<
    TraceLine,
    void
  > {
    this.ensureOpen();
    while (!this.closed) {
      signal?.throwIfAborted();
      const lines = this.drain();
      if (lines.length === 0) await this.#ready.wait(signal);
      else {
        yield* lines;
        await turn();
      }
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<TraceLine, void> {
    return this.lines();
  }

  /** Whether waiting for lines keeps the process running; it does at first. */
  keepAlive(alive: boolean): this {
    this.ensureOpen();
    this.#ready.keepAlive(alive);
    return this;
  }

  #read(): string[] {
    let size: number;
    try {
      size = readSync(this.#fd, this.#buffer);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN' || code === 'EINTR') return [];
      throw failed('read the trace pipe', error);
    }
    const all = Buffer.concat([this.#rest, this.#buffer.subarray(0, size)]);
    const end = all.lastIndexOf(NEWLINE) + 1;
    this.#rest = all.subarray(end);
    const text = all.toString('utf8', 0, end);
    return text === '' ? [] : text.slice(0, -1).split('\n');
  }

  protected override release(): void {
    unwatch(this);
    this.#ready.close();
    closeSync(this.#fd);
  }
}

function open(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw failed('open the trace pipe', error);
  }
}

const reasons: Partial<Record<string, [reason: string, remedy: string]>> = {
  EACCES: ['only root may read it', 'run it as root'],
  EPERM: [
    'a policy of this kernel forbids it',
    '`bpf doctor` tells which there are',
  ],
  EBUSY: ['somebody else is reading it', 'wait until they have done'],
};

/** Lockdown leaves tracefs empty, or its files, if they were there before, closed. */
const isLocked = (): boolean => lockdownMode() === 'confidentiality';
const locked: [reason: string, remedy: string] = [
  'the kernel is locked down (confidentiality), which forbids it',
  'boot without lockdown=confidentiality',
];

function failed(operation: string, error: unknown): KernelError {
  const { errno = 0, code = '', path } = error as NodeJS.ErrnoException;
  const known = code === 'EPERM' && isLocked() ? locked : reasons[code];
  const [reason, remedy] = known ?? [
    String(error),
    '`bpf doctor` looks at this machine',
  ];
  return kernelError(
    {
      operation,
      errno: Math.abs(errno),
      code,
      ...(path !== undefined && { subject: path }),
      reason,
      remedy,
    },
    error,
  );
}

/**
 * What programs print with bpf_printk(), from now on. Throws ENOENT without tracefs, EPERM where
 * lockdown takes it away.
 */
export function tracePipe(): TracePipe {
  const path = folders
    .map((folder) => `${folder}/trace_pipe`)
    .find((file) => existsSync(file));
  if (path !== undefined) return new TracePipe(path);
  const operation = 'open the trace pipe';
  if (isLocked()) {
    const [reason, remedy] = locked;
    throw kernelError({ operation, errno: 1, code: 'EPERM', reason, remedy });
  }
  throw kernelError({
    operation,
    errno: 2,
    code: 'ENOENT',
    reason: `tracefs is not mounted on ${folders[0]}`,
    remedy: 'mountTracefs() does it',
  });
}
