/**
 * loader.ts - one instance of bpf.wasm, without Emscripten's glue.
 *
 * In comes the module (bytes, a compiled Module, a Response, an address), out comes an `Engine`:
 * typed calls, and `Context`, which copies inputs in and results out. The module imports a single
 * function, which tells that its memory grew; views are then made anew, since growing detaches the
 * old buffer. wasm memory is little-endian whatever the host is, so numbers go through DataView.
 *
 * asm-core has no way out of an impossible situation (no memory, a limit) but a trap. After a trap
 * an instance is in no known state: it is dead, everything that belongs to it throws EngineError,
 * and whoever owns it makes a fresh one.
 *
 * Nothing here knows Node or the DOM beyond WebAssembly, fetch and Response where they exist.
 */

/** The engine failed: out of memory, past a limit, not initialised, or gone after such a failure. */
export class EngineError extends Error {
  override readonly name: string = 'EngineError';
}

export type WasmSource =
  | BufferSource
  | WebAssembly.Module
  | Response
  | PromiseLike<Response>
  | URL
  | string;

/** The functions of asm-core/include/*.h as wasm has them: pointers and sizes are numbers. */
export interface EngineFunctions {
  ebpf_ctx_new(memoryLimit: number): number;
  ebpf_ctx_free(ctx: number): void;
  ebpf_ctx_alloc(ctx: number, size: number): number;
  ebpf_diagnostics(ctx: number, format: number, out: number): number;
  ebpf_error_count(ctx: number): number;
  ebpf_assemble(
    ctx: number,
    name: number,
    nameSize: number,
    text: number,
    size: number,
    dialect: number,
    endian: number,
    out: number,
  ): number;
  ebpf_disassemble(
    ctx: number,
    object: number,
    dialect: number,
    flags: number,
    out: number,
  ): number;
  ebpf_object_read(
    ctx: number,
    name: number,
    nameSize: number,
    bytes: number,
    size: number,
    out: number,
  ): number;
  ebpf_object_from_raw(
    ctx: number,
    name: number,
    nameSize: number,
    bytes: number,
    size: number,
    endian: number,
    out: number,
  ): number;
  ebpf_object_write(ctx: number, object: number, out: number): number;
  ebpf_object_section(
    ctx: number,
    object: number,
    name: number,
    nameSize: number,
    out: number,
  ): number;
  ebpf_object_info(ctx: number, object: number, out: number): number;
  ebpf_object_text(ctx: number, object: number, out: number): number;
  ebpf_object_strip(ctx: number, object: number, flags: number): number;
  ebpf_log_read(ctx: number, at: number, size: number, out: number): number;
  ebpf_log_object(
    ctx: number,
    log: number,
    object: number,
    program: number,
    programSize: number,
  ): number;
  ebpf_log_recognized(log: number): number;
  ebpf_log_explain(
    ctx: number,
    log: number,
    format: number,
    out: number,
  ): number;
  ebpf_log_json(
    ctx: number,
    log: number,
    first: number,
    count: number,
    out: number,
  ): number;
  ebpf_btf_read(
    ctx: number,
    name: number,
    nameSize: number,
    bytes: number,
    size: number,
    base: number,
    out: number,
  ): number;
  ebpf_btf_count(btf: number): number;
  ebpf_btf_first(btf: number): number;
  ebpf_btf_find(
    btf: number,
    kinds: number,
    name: number,
    nameSize: number,
    after: number,
    out: number,
  ): number;
  ebpf_btf_find_enumerator(
    btf: number,
    name: number,
    nameSize: number,
    out: number,
  ): number;
  ebpf_btf_dump(
    ctx: number,
    btf: number,
    format: number,
    roots: number,
    rootCount: number,
    out: number,
  ): number;
  ebpf_btf_spell(ctx: number, btf: number, id: number, out: number): number;
  ebpf_btf_size(btf: number, id: number): number;
  ebpf_object_relocate(
    ctx: number,
    object: number,
    targets: number,
    count: number,
    format: number,
    out: number,
  ): number;
  ebpf_cc_new(
    ctx: number,
    name: number,
    nameSize: number,
    text: number,
    size: number,
    options: number,
    out: number,
  ): number;
  ebpf_cc_preprocess(unit: number, out: number): number;
  ebpf_cc_check(unit: number): number;
  ebpf_cc_compile(unit: number, out: number): number;
  ebpf_cc_ir(unit: number, pass: number, out: number): number;
  ebpf_cc_answer_btf(unit: number, btfs: number, count: number): number;
  ebpf_cc_request(unit: number, out: number): number;
  ebpf_cc_answer(
    unit: number,
    path: number,
    pathSize: number,
    text: number,
    size: number,
    system: number,
  ): number;
  ebpf_cc_includes(unit: number, out: number): number;
  ebpf_cc_answer_packed(
    unit: number,
    path: number,
    pathSize: number,
    set: number,
    setSize: number,
  ): number;
  ebpf_cc_absent(unit: number): number;
  ebpf_version(): number;

  ebpf_vm_new_with(
    ctx: number,
    object: number,
    cpus: number,
    externs: number,
    size: number,
    out: number,
  ): number;
  ebpf_vm_program_count(vm: number): number;
  ebpf_vm_program_name(vm: number, program: number, out: number): number;
  ebpf_vm_program_find(vm: number, name: number, size: number): number;
  ebpf_vm_start(
    vm: number,
    program: number,
    mem: number,
    size: number,
    flags: number,
  ): number;
  ebpf_vm_start_typed(
    vm: number,
    program: number,
    ctx: number,
    ctxSize: number,
    packet: number,
    packetSize: number,
  ): number;
  ebpf_vm_program_type(
    vm: number,
    program: number,
    type: number,
    attach: number,
  ): number;
  ebpf_vm_set_program_type(
    vm: number,
    program: number,
    type: number,
    attach: number,
  ): number;
  ebpf_program_type_find(
    name: number,
    size: number,
    type: number,
    attach: number,
  ): number;
  ebpf_vm_layout(
    ctx: number,
    type: number,
    attach: number,
    arm64: number,
    out: number,
  ): number;
  ebpf_return_name(type: number, value: number): number;
  ebpf_vm_context(vm: number, out: number): number;
  ebpf_vm_packet(vm: number, out: number): number;
  ebpf_vm_effects_of(vm: number): number;
  ebpf_vm_buffer(
    vm: number,
    region: number,
    size: number,
    writable: number,
  ): number;
  ebpf_vm_step(vm: number): number;
  ebpf_vm_finish(vm: number, depth: number): number;
  ebpf_vm_frames(vm: number, out: number): number;
  ebpf_vm_break_at(vm: number, place: number, size: number, on: number): number;
  ebpf_vm_observe(vm: number, what: number, traceRoom: number): number;
  ebpf_vm_coverage(vm: number, out: number): number;
  ebpf_vm_trace(vm: number, out: number): number;
  ebpf_vm_where(vm: number, section: number, slot: number, out: number): number;
  ebpf_vm_show(vm: number, what: number, out: number): number;
  ebpf_vm_helper_name(vm: number, id: number): number;
  ebpf_vm_map_take(vm: number, map: number, key: number, value: number): number;
  ebpf_vm_map_record(vm: number, map: number, cpu: number, out: number): number;
  ebpf_vm_map_send(vm: number, map: number, data: number, size: number): number;
  ebpf_vm_map_new_inner(vm: number, map: number): number;
  ebpf_vm_run(vm: number): number;
  ebpf_vm_state_of(vm: number): number;
  ebpf_vm_inputs_of(vm: number): number;
  ebpf_vm_fault_of(vm: number): number;
  ebpf_vm_fault_text(vm: number, out: number): number;
  ebpf_vm_host_helper(vm: number, id: number, on: number): number;
  ebpf_helper_name(id: number): number;
  ebpf_vm_memory(
    vm: number,
    region: number,
    offset: number,
    size: number,
    write: number,
    out: number,
  ): number;
  ebpf_vm_printk(vm: number, out: number): number;
  ebpf_vm_printk_clear(vm: number): void;
  ebpf_vm_section(vm: number, name: number, size: number, out: number): number;
  ebpf_vm_map_count(vm: number): number;
  ebpf_vm_map_name(vm: number, map: number, out: number): number;
  ebpf_vm_map_info(vm: number, map: number, out: number): number;
  ebpf_vm_map_lookup(
    vm: number,
    map: number,
    key: number,
    value: number,
  ): number;
  ebpf_vm_map_update(
    vm: number,
    map: number,
    key: number,
    value: number,
    flags: number,
  ): number;
  ebpf_vm_map_delete(vm: number, map: number, key: number): number;
  ebpf_vm_map_next(vm: number, map: number, key: number, next: number): number;
}

/** Results of asm-core's entry points (enum ebpf_status; EBPF_NEED_FILE). */
export const Status = {
  OK: 0,
  NEED_FILE: 1,
  INPUT: -1,
  NOMEM: -2,
  LIMIT: -3,
  ARG: -4,
} as const;

/** sizeof(ebpf_bytes) and of a pointer in wasm32. */
const SPAN_SIZE = 8;
const POINTER_SIZE = 4;

/** A place in wasm memory. */
export interface Span {
  readonly at: number;
  readonly size: number;
}

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: false });

type Fetchable = Response | PromiseLike<Response> | URL | string;

async function fetched(source: Fetchable, what: string): Promise<Response> {
  const response = await (typeof source === 'string' || source instanceof URL
    ? fetch(source)
    : source);
  if (!response.ok) {
    throw new EngineError(
      `cannot load ${what} from ${response.url}: HTTP status ${response.status}`,
    );
  }
  return response;
}

/** The bytes of `what`, from whatever the host has them in. */
export async function fetchBytes(
  source: BufferSource | Fetchable,
  what: string,
): Promise<Uint8Array> {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  }
  const response = await fetched(source, what);
  return new Uint8Array(await response.arrayBuffer());
}

/** Compile a module from whatever the host has it in. */
export async function compileWasm(
  source: WasmSource,
): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return WebAssembly.compile(source);
  }
  const response = await fetched(source, 'bpf.wasm');
  const type = response.headers.get('content-type') ?? '';
  return type.startsWith('application/wasm')
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

const IMPORT = 'env.emscripten_notify_memory_growth';

function checkImports(module: WebAssembly.Module): void {
  const unknown = WebAssembly.Module.imports(module)
    .map((i) => `${i.module}.${i.name}`)
    .filter((name) => name !== IMPORT);
  if (unknown.length > 0) {
    throw new EngineError(
      `this is no bpf.wasm that fits this loader: it imports ${unknown.join(', ')}`,
    );
  }
}

/** One instance and its memory. */
export class Engine {
  readonly #functions: EngineFunctions;
  readonly #memory: WebAssembly.Memory;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;
  #failure: EngineError | undefined;

  constructor(module: WebAssembly.Module) {
    checkImports(module);
    const instance = new WebAssembly.Instance(module, {
      env: { emscripten_notify_memory_growth: () => this.#renew() },
    });
    const exported = instance.exports;
    if (!(exported['memory'] instanceof WebAssembly.Memory)) {
      throw new EngineError('this is no bpf.wasm: it exports no memory');
    }
    this.#memory = exported['memory'];
    this.#functions = exported as unknown as EngineFunctions;
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
    const start = exported['_initialize'];
    if (typeof start === 'function') start();
  }

  /** False after a trap. */
  get alive(): boolean {
    return this.#failure === undefined;
  }

  /** Bytes of linear memory, which only ever grow. */
  get memorySize(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Throws EngineError when this instance is gone. */
  check(): void {
    if (this.#failure) {
      throw new EngineError(
        `this engine instance is gone: ${this.#failure.message}`,
        { cause: this.#failure },
      );
    }
  }

  /** Call an entry point; a trap ends the instance. */
  call<K extends keyof EngineFunctions>(
    name: K,
    ...args: Parameters<EngineFunctions[K]>
  ): ReturnType<EngineFunctions[K]> {
    this.check();
    const entry = this.#functions[name] as unknown;
    if (typeof entry !== 'function') {
      throw new EngineError(
        `bpf.wasm has no ${name}: it is of another version`,
      );
    }
    try {
      return Reflect.apply(entry, undefined, args) as ReturnType<
        EngineFunctions[K]
      >;
    } catch (error) {
      this.#failure = new EngineError(
        `${name} stopped: ${describeTrap(error)}`,
        { cause: error },
      );
      throw this.#failure;
    }
  }

  /** wasm memory as it is now; not to be kept over a call. */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes.buffer !== this.#memory.buffer) this.#renew();
    return this.#bytes;
  }

  get view(): DataView<ArrayBuffer> {
    if (this.#view.buffer !== this.#memory.buffer) this.#renew();
    return this.#view;
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  u64(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }

  /** A copy of what lies in memory. */
  copyOut(span: Span): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(span.at, span.at + span.size);
  }

  /** A copy of UTF-8 text in memory. */
  textOut(span: Span): string {
    return text.decode(this.bytes.subarray(span.at, span.at + span.size));
  }

  /** The string that ends in NUL at `at`. */
  cString(at: number): string {
    const bytes = this.bytes;
    return this.textOut({ at, size: bytes.indexOf(0, at) - at });
  }

  #renew(): void {
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }
}

function describeTrap(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  return /unreachable/.test(said)
    ? 'out of memory, or past the memory limit'
    : said;
}

/** One request to asm-core: an arena in wasm memory that free() gives back as a whole. */
export class Context {
  readonly engine: Engine;
  readonly #ctx: number;
  #out = 0;
  #open = true;

  /** `memoryLimit` bounds the arena in bytes; 0 means asm-core's own limit. */
  constructor(engine: Engine, memoryLimit = 0) {
    this.engine = engine;
    this.#ctx = engine.call('ebpf_ctx_new', memoryLimit) >>> 0;
    if (this.#ctx === 0) {
      throw new EngineError('out of memory: no context can be made');
    }
  }

  /** The address of the ebpf_ctx. */
  get at(): number {
    return this.#ctx;
  }

  alloc(size: number): number {
    const at = this.engine.call('ebpf_ctx_alloc', this.#ctx, size) >>> 0;
    if (at === 0) {
      throw new EngineError(
        `out of memory, or past the memory limit: ${size} bytes asked for`,
      );
    }
    return at;
  }

  copyIn(bytes: Uint8Array): Span {
    const at = this.alloc(Math.max(bytes.length, 1));
    this.engine.bytes.set(bytes, at);
    return { at, size: bytes.length };
  }

  textIn(string: string): Span {
    return this.copyIn(utf8.encode(string));
  }

  /** Room for a pointer that a call fills; read it with `engine.u32`. */
  pointer(): number {
    return this.alloc(POINTER_SIZE);
  }

  /** Calls something that fills an ebpf_bytes; returns status and span. */
  span(call: (out: number) => number): { status: number; span: Span } {
    this.#out ||= this.alloc(SPAN_SIZE);
    const out = this.#out;
    const status = call(out);
    const { engine } = this;
    return {
      status,
      span: { at: engine.u32(out), size: engine.u32(out + POINTER_SIZE) },
    };
  }

  free(): void {
    if (this.#open && this.engine.alive) {
      this.#open = false;
      this.engine.call('ebpf_ctx_free', this.#ctx);
    }
  }
}
