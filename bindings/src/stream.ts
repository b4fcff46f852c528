/**
 * stream.ts - records that programs write for user space, and the other way.
 *
 * One drain is one native call that moves many records into memory which is used again by the next:
 * that is what makes it as fast as C. So a batch is valid until the stream is drained again; who
 * keeps a record copies it. Iterating asks for the next batch only when the last one has been dealt
 * with, so a slow reader makes the program lose records (and count them), never this process grow.
 */
import type { NativeSender, NativeStream, PerfOptions } from '../addon/addon';
import { Handle, unwatch, watch, type Closable } from './handle';
import { checkNames, namesOf } from './options';
import { Readiness, turn, type Watch } from './readiness';

export interface StreamOptions extends PerfOptions {
  /** Bytes that a drain takes at most; 1 MiB. Grows when one record is larger. */
  bytes?: number;
  /** Records that a drain takes at most; 16,384. */
  records?: number;
  /**
   * Also look for records every so many milliseconds (0: at each turn of the event loop): for
   * programs that write with BPF_RB_NO_WAKEUP, and for the rest below `wakeupEvents` and `wakeupBytes`.
   */
  interval?: number;
}

const streamNames = namesOf<StreamOptions>()(
  'bytes records interval pages wakeupEvents wakeupBytes',
);

/** Records of one drain, oldest first, in memory that the next drain uses again. */
export class Batch implements Iterable<Uint8Array> {
  /** All of them; record i is from offsets[2 * i] to offsets[2 * i + 1]. Starts are multiples of 8. */
  readonly data: Uint8Array;
  readonly offsets: Uint32Array;
  readonly length: number;
  /** Of a perf buffer, the CPU that wrote them; of a ring buffer, 0. */
  readonly cpu: number;
  /** Records that a perf buffer had no room for, as reported among these. */
  readonly lost: number;

  /** @internal */
  constructor(
    data: Uint8Array,
    offsets: Uint32Array,
    length: number,
    cpu: number,
    lost: number,
  ) {
    this.data = data;
    this.offsets = offsets;
    this.length = length;
    this.cpu = cpu;
    this.lost = lost;
  }

  /** A view of record `index`; RangeError beyond the end. */
  at(index: number): Uint8Array {
    if (!(index >= 0 && index < this.length)) {
      throw new RangeError(`there is no record ${index} of ${this.length}`);
    }
    return this.data.subarray(
      this.offsets[2 * index],
      this.offsets[2 * index + 1],
    );
  }

  /** Views of all records. */
  *[Symbol.iterator](): Generator<Uint8Array, void> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  /** The same in memory of its own, which no drain overwrites. */
  copy(): Batch {
    const end = this.length > 0 ? (this.offsets[2 * this.length - 1] ?? 0) : 0;
    return new Batch(
      this.data.slice(0, end),
      this.offsets.slice(0, 2 * this.length),
      this.length,
      this.cpu,
      this.lost,
    );
  }
}

const DEFAULT_BYTES = 1 << 20;
const DEFAULT_RECORDS = 16_384;

/**
 * The records of a ring buffer (Linux 5.8) or a perf event array (4.4). Only one stream of a map
 * should be open at a time: each record is read once. `for await` gives batches until the stream is
 * closed, and then what was left.
 */
export class RecordStream extends Handle implements AsyncIterable<Batch> {
  readonly #native: NativeStream;
  readonly #ready: Readiness;
  #data: Uint8Array;
  readonly #offsets: Uint32Array;
  readonly #told = new Float64Array(3);
  #readers = 0;
  /** What close() found, for those who are iterating. */
  #rest: Batch[] = [];

  /** @internal */
  constructor(
    name: string,
    open: (options: PerfOptions) => NativeStream,
    options: StreamOptions = {},
  ) {
    super(`the stream of map ${name}`);
    checkNames('stream()', options, streamNames);
    const { bytes = DEFAULT_BYTES, records = DEFAULT_RECORDS } = options;
    const { pages, wakeupEvents, wakeupBytes, interval } = options;
    this.#data = new Uint8Array(size('bytes', bytes));
    this.#offsets = new Uint32Array(2 * size('records', records));
    this.#native = open({
      ...(pages !== undefined && { pages }),
      ...(wakeupEvents !== undefined && { wakeupEvents }),
      ...(wakeupBytes !== undefined && { wakeupBytes }),
    });
    this.#ready = ready(this.#native, {
      ...{ fd: this.#native.fd, interval },
      due: () => this.#native.due,
    });
    watch(this, `the stream of map ${name}`);
  }

  /** Readable while there are records, for other event loops. */
  get fd(): number {
    this.ensureOpen();
    return this.#native.fd;
  }

  /** Bytes that can wait to be read before records are lost. */
  get size(): number {
    this.ensureOpen();
    return this.#native.size;
  }

  /**
   * Records of perf buffers that found no room since the stream was opened; exact from Linux 6.0,
   * before that as far as reported. Ring buffers do not count: their program does, it is told.
   */
  get lost(): number {
    this.ensureOpen();
    return this.#native.lost;
  }

  /** What is there now, perhaps nothing; never waits. */
  drain(): Batch {
    this.ensureOpen();
    const { cpu, lost, length } = this.#drain();
    return new Batch(this.#data, this.#offsets, length, cpu, lost);
  }

  /** Resolves when drain() may have something to give, or the stream was closed. */
  wait(signal?: AbortSignal): Promise<void> {
    this.ensureOpen();
    return this.#ready.wait(signal);
  }

  /** Batches as they come, until close(), or rejecting when `signal` aborts. */
  async *batches({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<
    Batch,
    void
  > {
    this.ensureOpen();
    this.#readers++;
    try {
      while (!this.closed) {
        signal?.throwIfAborted();
        const batch = this.drain();
        if (batch.length === 0 && batch.lost === 0) {
          await this.#ready.wait(signal);
          continue;
        }
        yield batch;
        // A program that is faster than we are must not keep the event loop from its other work.
        await turn();
      }
      yield* this.#rest.splice(0);
    } finally {
      this.#readers--;
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Batch, void> {
    return this.batches();
  }

  /** Whether waiting for records keeps the process running; it does at first. */
  keepAlive(alive: boolean): this {
    this.ensureOpen();
    this.#ready.keepAlive(alive);
    return this;
  }

  #drain(): { length: number; cpu: number; lost: number } {
    let length = this.#native.drain(this.#data, this.#offsets, this.#told);
    if (length < 0) {
      this.#data = new Uint8Array(this.#told[2] ?? 0);
      length = this.#native.drain(this.#data, this.#offsets, this.#told);
    }
    const [cpu = 0, lost = 0] = this.#told;
    return { length, cpu, lost };
  }

  /** Drains first if anybody is still iterating: no more than has room in the kernel's buffers. */
  protected override release(): void {
    unwatch(this);
    if (this.#readers > 0) {
      let left = this.#native.size;
      while (left > 0) {
        const { length, cpu, lost } = this.#drain();
        if (length === 0 && lost === 0) break;
        const batch = new Batch(this.#data, this.#offsets, length, cpu, lost);
        this.#rest.push(batch.copy());
        left -= Math.max(this.#offsets[2 * length - 1] ?? 8, 8);
      }
    }
    this.#ready.close();
    this.#native.close();
  }
}

/** Closes what cannot be waited for. */
function ready(native: Closable, watched: Watch): Readiness {
  try {
    return new Readiness(watched);
  } catch (error) {
    native.close();
    throw error;
  }
}

function size(what: string, value: number): number {
  if (Number.isInteger(value) && value > 0 && value <= 0x7fffffff) return value;
  throw new RangeError(`${what} must be a positive integer, not ${value}`);
}

/** Samples for the program that drains a user ring buffer (Linux 6.1). */
export class RecordSender extends Handle {
  readonly #native: NativeSender;
  readonly #ready: Readiness;

  /** @internal */
  constructor(name: string, native: NativeSender) {
    super(`the sender of map ${name}`);
    this.#native = native;
    this.#ready = ready(native, { fd: native.fd, writable: true });
    watch(this, `the sender of map ${name}`);
  }

  /** False when it has no room now; throws E2BIG when it never has. */
  trySend(data: Uint8Array): boolean {
    this.ensureOpen();
    return this.#native.send(data);
  }

  /** Waits for room; the program makes some when it drains the buffer. */
  async send(data: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    while (!this.trySend(data)) {
      await this.#ready.wait(signal);
      // The kernel says writable while there is any room, perhaps less than this takes.
      await turn();
    }
  }

  protected override release(): void {
    unwatch(this);
    this.#ready.close();
    this.#native.close();
  }
}
