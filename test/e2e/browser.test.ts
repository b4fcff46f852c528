/**
 * `bpf/core` in a browser: bundled by esbuild as a web application does, in the page and in a Web
 * Worker, with the module fetched, streamed and handed over.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { assemble, compile, disassemble } from 'bpf';
import { buildSync } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import { absent, describeUnless, root, wasmPath } from '../support';

const headersPath = join(root, 'dist/headers.bin');

const browserPath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

const source = `
.map counts, type=hash, key=u32, value=u64, max_entries=4
.section "raw_tp/sys_enter","ax",@progbits
.globl entry
entry:
        r1 = counts ll
        r0 = 0x1122334455667788 ll
        exit
`;

/** C in a browser: headers of the package, given ones, and types from BTF in place of vmlinux.h. */
const program = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "own.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, LIMIT);
    __type(key, u32);
    __type(value, u64);
} counts SEC(".maps");

SEC("raw_tp/sys_enter")
int entry(void *ctx)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    u32 pid = BPF_CORE_READ(task, real_parent, tgid);
    u64 one = 1, *count = bpf_map_lookup_elem(&counts, &pid);
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        bpf_map_update_elem(&counts, &pid, &one, 0);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
`;

/** What stands for a kernel's types. */
const kernel = `
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16, __be16, __sum16;
typedef int __s32;
typedef unsigned int __u32, __be32, __wsum;
typedef long long __s64;
typedef unsigned long long __u64, __be64;
typedef __u32 u32;
typedef __u64 u64;
enum bpf_map_type { BPF_MAP_TYPE_UNSPEC, BPF_MAP_TYPE_HASH };
struct task_struct { long state; struct task_struct *real_parent; int pid, tgid; };
struct all {
    __u8 a; __s16 b; __u16 c; __be16 d; __sum16 e; __s32 f; __u32 g; __be32 h; __wsum i;
    __s64 j; __u64 k; __be64 l; u32 m; u64 n; enum bpf_map_type o; struct task_struct p;
} all;
`;

/** What page and worker do; the page adds what only it can. */
const application = `
  import * as bpf from 'bpf/core';

  export async function exercise(wasm, source, ubpf) {
    await bpf.init(wasm);
    const object = bpf.assemble(source, { filename: 'page.s' });
    const attempt = (run) => {
      try { return String(run()); } catch (error) { return [error.name, error.message]; }
    };
    return {
      elf: [...object.toElf()],
      text: bpf.disassemble(object),
      r0: String(new bpf.Machine(object).run('entry').r0),
      ubpf: ubpf && String(
        new bpf.Machine(bpf.assemble(ubpf, { dialect: 'ubpf' })).run().r0),
      wrong: attempt(() => bpf.assemble('r11 = 0', { filename: 'page.s' })),
      trap: attempt(() => bpf.assemble(source, { memoryLimit: 4096 }))[0],
      again: [...bpf.assemble(source, { filename: 'page.s' }).toElf()],
    };
  }

  export async function compileThere(wasm, headers, program, kernel) {
    await bpf.init(wasm, { headers });
    const options = (btf) => ({
      filename: 'page.bpf.c',
      headers: { 'own.h': '#define LIMIT 64' },
      btf,
    });
    const btf = bpf.compile(kernel).toElf();
    const wrong = () => {
      try { return bpf.compile('int f(void) { return x; }'); }
      catch (error) {
        return [error.name, error instanceof bpf.CompileError, error.diagnostics.length];
      }
    };
    return {
      elf: [...bpf.compile(program, options(btf)).toElf()],
      wrong: wrong(),
      none: bpf.check(program, options(false)).text.split('\\n')[0],
      again: [...bpf.compile(program, options(btf)).toElf()],
    };
  }

  if (typeof document === 'undefined') {
    onmessage = async ({ data }) => {
      const [first, ...rest] = data;
      const work = first === 'compile' ? compileThere(...rest) : exercise(...data);
      try { postMessage(await work); }
      catch (error) { postMessage(String(error)); }
    };
  } else {
    globalThis.exercise = exercise;
    globalThis.compileThere = compileThere;
    globalThis.inWorker = (...args) => new Promise((resolve, reject) => {
      const worker = new Worker('/app.js', { type: 'module' });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(args);
    });
  }
`;

function bundle(): string {
  const { outputFiles } = buildSync({
    stdin: { contents: application, resolveDir: root },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    logLevel: 'error',
  });
  return outputFiles[0]?.text ?? '';
}

/** A program in the other dialect. */
const ubpfText = 'lddw %r0, 0x1122334455667788\nadd %r0, 1\nexit\n';

interface Exercise {
  elf: number[];
  text: string;
  r0: string;
  ubpf: string;
  wrong: [string, string];
  trap: string;
  again: number[];
}

declare const exercise: (...args: unknown[]) => Promise<Exercise>;
declare const inWorker: <T = Exercise>(...args: unknown[]) => Promise<T>;

interface Compiled {
  elf: number[];
  wrong: [string, boolean, number];
  none: string;
  again: number[];
}

declare const compileThere: (...args: unknown[]) => Promise<Compiled>;

describeUnless(absent(browserPath), 'bpf/core in Chromium', () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    const files: Record<string, [string, string | Buffer]> = {
      '/': ['text/html', '<script type="module" src="/app.js"></script>'],
      '/app.js': ['text/javascript', bundle()],
      '/bpf.wasm': ['application/wasm', readFileSync(wasmPath)],
      '/untyped': ['application/octet-stream', readFileSync(wasmPath)],
      '/headers.bin': ['application/octet-stream', readFileSync(headersPath)],
      '/favicon.ico': ['image/x-icon', ''],
    };
    server = createServer(({ url = '' }, response) => {
      const [type, body] = files[url] ?? ['text/plain', ''];
      response.writeHead(files[url] ? 200 : 404, { 'content-type': type });
      response.end(body);
    });
    await new Promise<void>((resolve) =>
      server.listen(0, '127.0.0.1', resolve),
    );
    const { port } = server.address() as AddressInfo;
    browser = await chromium.launch({
      executablePath: browserPath,
      args: ['--no-sandbox', '--headless=new'],
    });
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.waitForFunction('globalThis.exercise');
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  const expected = (): Record<keyof Exercise, unknown> => {
    const object = assemble(source, { filename: 'page.s' });
    return {
      elf: [...object.toElf()],
      text: disassemble(object),
      r0: String(0x1122334455667788n),
      ubpf: String(0x1122334455667789n),
      wrong: ['AssembleError', expect.stringMatching(/page\.s:1:1: error/)],
      trap: 'EngineError',
      again: [...object.toElf()],
    };
  };

  test.each(['/bpf.wasm', '/untyped'])('in the page, from %s', async (url) => {
    const args = [new URL(url, page.url()).href, source, ubpfText];
    const result = await page.evaluate((a) => exercise(...a), args);
    expect(result).toEqual(expected());
  });

  test('in a worker, by address', async () => {
    const args = ['/bpf.wasm', source, ubpfText];
    const result = await page.evaluate((a) => inWorker(...a), args);
    expect(result).toEqual(expected());
  });

  test('in a worker, with the module that the page compiled', async () => {
    const result = await page.evaluate(
      async (args) => {
        const module = await WebAssembly.compileStreaming(fetch('/bpf.wasm'));
        return inWorker(module, ...args);
      },
      [source, ubpfText],
    );
    expect(result).toEqual(expected());
  });

  const compiled = (): Compiled => {
    const btf = compile(kernel).toElf();
    const elf = compile(program, {
      filename: 'page.bpf.c',
      headers: { 'own.h': '#define LIMIT 64' },
      btf,
    }).toElf();
    return {
      elf: [...elf],
      wrong: ['CompileError', true, 1],
      none: "page.bpf.c:2:10: error: file 'vmlinux.h' was not found",
      again: [...elf],
    };
  };

  test('C, in the page: given headers, and BTF for vmlinux.h', async () => {
    const args = ['/bpf.wasm', '/headers.bin', program, kernel];
    const result = await page.evaluate((a) => compileThere(...a), args);
    expect(result).toEqual(compiled());
  });

  test('C, in two workers at once', async () => {
    const args = ['compile', '/bpf.wasm', '/headers.bin', program, kernel];
    const results = await page.evaluate(
      (a) => Promise.all([inWorker<Compiled>(...a), inWorker<Compiled>(...a)]),
      args,
    );
    expect(results).toEqual([compiled(), compiled()]);
  });

  test('a module that is not there is told', async () => {
    const result = page.evaluate(() => exercise('/nothing.wasm', ''));
    await expect(result).rejects.toThrow(/HTTP status 404/);
  });

  test('nothing was printed to the console but that', () => {
    expect(complaints.filter((text) => !/404/.test(text))).toEqual([]);
  });
});
