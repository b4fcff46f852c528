/**
 * handle.ts - what has to be closed: kernel objects, programs, maps, links, virtual machines.
 *
 * close() releases at once, may be called any number of times and leaves a handle whose every other
 * use throws. `using` works through Symbol.dispose. A kernel link that is collected without having
 * been closed is detached by the addon's finalizer at a moment that nobody chose: that is a bug of
 * the program, so it is warned about.
 */
import { ClosedError } from './errors';

// Node 20 has it, some browsers do not.
if (Symbol.dispose === undefined) {
  Object.defineProperty(Symbol, 'dispose', {
    value: Symbol('Symbol.dispose'),
  });
}

export interface Closable {
  close(): void;
}

export abstract class Handle implements Closable, Disposable {
  #closed = false;
  /** For messages: 'program count_syscall'. */
  readonly #what: string;

  protected constructor(what: string) {
    this.#what = what;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Releases everything; later calls do nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Throws ClosedError after close(). */
  protected ensureOpen(): void {
    if (this.#closed) throw new ClosedError(`${this.#what} is closed`);
  }

  protected abstract release(): void;
}

const unclosed = new FinalizationRegistry<string>((what) => {
  const text = `${what} was collected without close(): it is detached now`;
  if (
    typeof process === 'object' &&
    typeof process.emitWarning === 'function'
  ) {
    process.emitWarning(text, { type: 'BpfWarning', code: 'BPF_UNCLOSED' });
  } else {
    console.warn(text);
  }
});

/** Warn if `handle` is collected before `unwatch(handle)`. */
export function watch(handle: object, what: string): void {
  unclosed.register(handle, what, handle);
}

export function unwatch(handle: object): void {
  unclosed.unregister(handle);
}

/** What `make` makes of something that is open, which is closed if it throws. */
export function orClose<N extends Closable, T>(
  open: N,
  make: (open: N) => T,
): T {
  try {
    return make(open);
  } catch (error) {
    open.close();
    throw error;
  }
}

/** Close all, last opened first, even if one of them throws; the first error is thrown on. */
export function closeAll(handles: Iterable<Closable>): void {
  const errors: unknown[] = [];
  for (const handle of [...handles].reverse()) {
    try {
      handle.close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
