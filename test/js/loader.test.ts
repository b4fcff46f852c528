/**
 * The loader and the engine: imports, growth, traps and recovery, workers.
 */
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from '@jest/globals';
import {
  assemble,
  disassemble,
  EngineError,
  engineVersion,
  init,
  Machine,
  wasmModule,
} from 'bpf';
import { Context, Engine } from '../../dist/wasm/loader';
import { root, wasmPath } from '../support';

/** Valid text of about `size` bytes. */
const bigSource = (size: number): string =>
  `${'r0 = 1\n'.repeat(Math.ceil(size / 7))}exit\n`;

describe('loader', () => {
  test('the module imports nothing but the notice of growth', () => {
    expect(WebAssembly.Module.imports(wasmModule())).toEqual([
      {
        module: 'env',
        name: 'emscripten_notify_memory_growth',
        kind: 'function',
      },
    ]);
  });

  test('another module is refused by name of what it imports', async () => {
    // (module (import "env" "mystery" (func)))
    const other = new Uint8Array([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 15, 1, 3, 0x65,
      0x6e, 0x76, 7, 0x6d, 0x79, 0x73, 0x74, 0x65, 0x72, 0x79, 0, 0,
    ]);
    await expect(init(other)).rejects.toThrow(/imports env\.mystery/);
    expect(assemble('exit').programs).toEqual([]);
  });

  test('init takes bytes, a Module and a Response', async () => {
    const bytes = readFileSync(wasmPath);
    await init(bytes);
    await init(new WebAssembly.Module(bytes));
    const headers = { 'content-type': 'application/wasm' };
    await init(new Response(bytes, { headers }));
    await init(new Response(bytes)); // of no type: not streamed
    await expect(init(new Response('', { status: 404 }))).rejects.toThrow(
      /HTTP status 404/,
    );
    expect(engineVersion()).toMatch(/^2\./);
  });

  test('copies stay right while memory grows under them', () => {
    const engine = new Engine(wasmModule());
    const context = new Context(engine);
    const before = engine.memorySize;
    const first = context.textIn('grüße');
    const spans = Array.from({ length: 64 }, (_, i) =>
      context.copyIn(new Uint8Array(1 << 18).fill(i)),
    );
    expect(engine.memorySize).toBeGreaterThan(before);
    expect(engine.textOut(first)).toBe('grüße');
    spans.forEach((span, i) => {
      const bytes = engine.copyOut(span);
      expect(bytes.length).toBe(1 << 18);
      expect(bytes.every((byte) => byte === i)).toBe(true);
    });
    context.free();
    context.free();
  });

  test('an instance that traps is dead and says so', () => {
    const engine = new Engine(wasmModule());
    const context = new Context(engine, 1 << 16);
    const text = context.textIn(bigSource(1 << 14));
    const name = context.textIn('x');
    const out = context.pointer();
    const go = (): number =>
      engine.call(
        'ebpf_assemble',
        context.at,
        name.at,
        name.size,
        text.at,
        text.size,
        0,
        0,
        out,
      );
    expect(go).toThrow(EngineError);
    expect(engine.alive).toBe(false);
    expect(go).toThrow(/instance is gone/);
    context.free(); // allowed, does nothing
  });
});

describe('engine', () => {
  test('a memory limit stops a request, and the next one works', () => {
    const source = bigSource(1 << 20);
    expect(() => assemble(source, { memoryLimit: 1 << 20 })).toThrow(
      EngineError,
    );
    const object = assemble('r0 = 7\nexit\n');
    expect(disassemble(object)).toMatch(/r0 = 7/);
    expect(() => assemble('exit', { memoryLimit: -1 })).toThrow(RangeError);
  });

  test('a Machine whose engine trapped throws, a fresh one works', () => {
    const object = assemble('r0 = 7\nexit\n');
    expect(() => new Machine(object, { memoryLimit: 4096 })).toThrow(
      EngineError,
    );
    expect(new Machine(object).run().r0).toBe(7n);
  });

  test('an instance is kept, but not when it sits idle on much memory', () => {
    const { Instance } = WebAssembly;
    let made = 0;
    WebAssembly.Instance = class extends Instance {
      constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
        super(module, imports);
        made++;
      }
    };
    try {
      const small = assemble('exit\n').toElf();
      made = 0;
      for (let i = 0; i < 10; i++) assemble('exit\n');
      expect(made).toBe(0);
      const large = assemble(bigSource(16 << 20));
      expect(large.section('.text')?.length).toBeGreaterThan(18_000_000);
      expect(assemble('exit\n').toElf()).toEqual(small);
      expect(made).toBe(1);
      assemble('exit\n');
      expect(made).toBe(1);
    } finally {
      WebAssembly.Instance = Instance;
    }
  });

  test.each(['lazily', 'with the module of its parent'])(
    'works in worker threads, %s',
    async (how) => {
      const module = how === 'lazily' ? undefined : wasmModule();
      const script = `
        const { parentPort, workerData } = require('node:worker_threads');
        const bpf = require(${JSON.stringify(root)} + '/dist/bindings/src/index.js');
        (async () => {
          if (workerData) await bpf.init(workerData);
          const object = bpf.assemble('r0 = 42\\nexit\\n');
          parentPort.postMessage([object.toElf(), new bpf.Machine(object).run().r0]);
        })();`;
      const results = await Promise.all(
        [1, 2].map(
          () =>
            new Promise((resolve, reject) => {
              const worker = new Worker(script, {
                eval: true,
                workerData: module,
              });
              worker.once('message', resolve);
              worker.once('error', reject);
            }),
        ),
      );
      const expected = [assemble('r0 = 42\nexit\n').toElf(), 42n];
      expect(results).toEqual([expected, expected]);
    },
  );
});
