/**
 * engine.ts - the one compiled module of this process (or worker), and who uses it.
 *
 * Stateless requests (assemble, disassemble, read, write) share one instance, which is replaced
 * after a trap and when it sits idle on more than 64 MB; a Machine has an instance of its own, since
 * its maps live in there. In Node the module is compiled at the first use; elsewhere init() must
 * have brought it.
 */
import {
  compileWasm,
  Context,
  Engine,
  EngineError,
  fetchBytes,
  Status,
  type Span,
  type WasmSource,
} from '../../wasm/loader';
import { BpfSyntaxError, type Diagnostic, type Report } from './errors';
import { setHeaderSet } from './include';

/** An idle instance that has grown above this is thrown away. */
export const IDLE_MEMORY_LIMIT = 64 * 1024 * 1024;

let compiled: WebAssembly.Module | undefined;
let locate: (() => WebAssembly.Module) | undefined;
let shared: Engine | undefined;

/** How to find the module when nobody called init(); Node's entry point sets it. */
export function setLocator(locator: () => WebAssembly.Module): void {
  locate = locator;
}

export interface InitOptions {
  /**
   * The headers that come with the package, its headers.bin: bytes, a fetch Response or an address.
   * Without them compile() knows only headers that it is given.
   */
  headers?: BufferSource | Response | PromiseLike<Response> | URL | string;
}

/**
 * Bring the toolchain in: bytes, a compiled module (which may come from another worker), a fetch
 * Response or an address. Needed once in browsers and workers, not needed in Node with `bpf`.
 */
export async function init(
  source?: WasmSource,
  options: InitOptions = {},
): Promise<void> {
  const { headers } = options;
  if (headers !== undefined) {
    setHeaderSet(await fetchBytes(headers, 'headers.bin'));
  }
  if (source === undefined) {
    wasmModule();
    return;
  }
  const next = await compileWasm(source);
  shared = new Engine(next); // throws for a module of something else; what works stays then
  compiled = next;
}

/** The compiled module, to be handed to `init()` in a worker. */
export function wasmModule(): WebAssembly.Module {
  compiled ??= locate?.();
  if (!compiled) {
    throw new EngineError(
      'the toolchain is not loaded: call `await init(url | bytes)` first',
    );
  }
  return compiled;
}

/** An instance of its own, for who keeps state in it. */
export function newEngine(): Engine {
  return new Engine(wasmModule());
}

function sharedEngine(): Engine {
  if (!shared?.alive) shared = newEngine();
  return shared;
}

/** Run one request in a context that ends with it. */
export function request<T>(
  run: (context: Context) => T,
  options: { memoryLimit?: number } = {},
): T {
  const engine = sharedEngine();
  const context = new Context(engine, checkLimit(options.memoryLimit));
  try {
    return run(context);
  } finally {
    context.free();
    if (engine.memorySize > IDLE_MEMORY_LIMIT) shared = undefined;
  }
}

function checkLimit(limit = 0): number {
  if (!Number.isInteger(limit) || limit < 0 || limit > 0xffffffff) {
    throw new RangeError(
      `memoryLimit must be a number of bytes below 4 GiB, not ${limit}`,
    );
  }
  return limit;
}

const Format = { text: 0, ansi: 1, json: 2 } as const;

/** What the context's diagnostics say so far. */
export function report(context: Context): Report {
  const render = (format: number): string =>
    result(context, (out) =>
      context.engine.call('ebpf_diagnostics', context.at, format, out),
    );
  return {
    diagnostics: JSON.parse(render(Format.json)) as Diagnostic[],
    text: render(Format.text),
    ansi: render(Format.ansi),
  };
}

function result(context: Context, call: (out: number) => number): string {
  const { status, span } = context.span(call);
  if (status !== Status.OK) throw failure(status);
  return context.engine.textOut(span);
}

function failure(status: number): Error {
  if (status === Status.NOMEM) return new EngineError('out of memory');
  if (status === Status.LIMIT) {
    return new EngineError('a limit of the request was reached');
  }
  return new EngineError(`the engine refused its arguments (status ${status})`);
}

/** Throws what a negative status means; `what` heads the message about a wrong input. */
export function expectOk(
  context: Context,
  status: number,
  what: string,
  Class: new (what: string, report: Report) => BpfSyntaxError = BpfSyntaxError,
): void {
  if (status === Status.OK) return;
  if (status === Status.INPUT) throw new Class(what, report(context));
  throw failure(status);
}

/** Calls an entry point that answers an ebpf_bytes. */
export function expectSpan(
  context: Context,
  what: string,
  call: (out: number) => number,
): Span {
  const { status, span } = context.span(call);
  expectOk(context, status, what);
  return span;
}

/** Version of the toolchain in bpf.wasm. */
export function engineVersion(): string {
  const engine = sharedEngine();
  return engine.cString(engine.call('ebpf_version') >>> 0);
}
