/**
 * readiness.ts - waiting until a file descriptor of the kernel is readable or writable.
 *
 * In Node libuv watches it. Where the process has no libuv, and for producers that wake nobody
 * (BPF_RB_NO_WAKEUP), a timer says "look again" instead: so who waits has to look, and may find
 * nothing.
 */
import type { NativePoller } from '../addon/addon';
import { addon } from './addon';
import { KernelError } from './errors';

/** Between two looks where nothing wakes us, in ms. */
const FALLBACK_INTERVAL = 10;

export interface Watch {
  fd: number;
  writable?: boolean;
  /** Also look every so many ms; 0: at each turn of the event loop. */
  interval?: number | undefined;
  /** Whether a wake may have been missed: one that came before the descriptor was watched. */
  due?: (() => boolean) | undefined;
}

export class Readiness {
  readonly #poller: NativePoller | undefined;
  readonly #writable: boolean;
  readonly #interval: number | undefined;
  readonly #due: (() => boolean) | undefined;
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #alive = true;
  #closed = false;

  constructor({ fd, writable = false, interval, due }: Watch) {
    this.#writable = writable;
    this.#due = due;
    this.#poller = openPoller(fd, () => this.#wake());
    this.#interval = this.#poller ? interval : (interval ?? FALLBACK_INTERVAL);
  }

  /** Resolves when it is worth to look, or was closed; rejects with the signal's reason. */
  wait(signal?: AbortSignal): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const woken = (): void => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      };
      const aborted = (): void => {
        this.#waiting.delete(woken);
        if (this.#waiting.size === 0) this.#disarm();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', aborted, { once: true });
      this.#waiting.add(woken);
      this.#arm();
    });
  }

  /** Whether waiting keeps the process running; it does at first. */
  keepAlive(alive: boolean): void {
    this.#alive = alive;
    if (!this.#closed) this.#poller?.keepAlive(alive);
    if (alive) this.#timer?.ref();
    else this.#timer?.unref();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
    this.#poller?.close();
  }

  #arm(): void {
    this.#poller?.arm(this.#writable);
    if (this.#due) this.#lookOnce(this.#due);
    if (this.#interval === undefined || this.#timer !== undefined) return;
    const wake = (): void => this.#wake();
    this.#timer =
      this.#interval === 0
        ? setImmediate(wake)
        : setTimeout(wake, this.#interval);
    if (!this.#alive) this.#timer.unref();
  }

  /** When the descriptor is watched: libuv begins with it as it polls, in a turn's middle. */
  #lookOnce(due: () => boolean): void {
    const look = (): void => {
      if (!this.#closed && this.#waiting.size > 0 && due()) this.#wake();
    };
    const next = setImmediate(() => {
      const after = setImmediate(look);
      if (!this.#alive) after.unref();
    });
    if (!this.#alive) next.unref();
  }

  #disarm(): void {
    if (this.#poller?.closed === false) this.#poller.disarm();
    clearTimeout(this.#timer as NodeJS.Timeout);
    clearImmediate(this.#timer as NodeJS.Immediate);
    this.#timer = undefined;
  }

  #wake(): void {
    this.#disarm();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

function openPoller(fd: number, call: () => void): NativePoller | undefined {
  try {
    return addon().openPoller(fd, call);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOSYS') return;
    throw error;
  }
}

/** The event loop's next turn: other work gets its share. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
