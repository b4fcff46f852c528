/**
 * `bpf/core` in a browser: bundled by esbuild as a web application does, in the page and in a Web
 * Worker, with the module fetched, streamed and handed over.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { assemble, disassemble } from 'bpf';
import { buildSync } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import { absent, describeUnless, root, wasmPath } from '../support';

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

  if (typeof document === 'undefined') {
    onmessage = async ({ data }) => {
      try { postMessage(await exercise(...data)); }
      catch (error) { postMessage(String(error)); }
    };
  } else {
    globalThis.exercise = exercise;
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
declare const inWorker: (...args: unknown[]) => Promise<Exercise>;

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

  test('a module that is not there is told', async () => {
    const result = page.evaluate(() => exercise('/nothing.wasm', ''));
    await expect(result).rejects.toThrow(/HTTP status 404/);
  });

  test('nothing was printed to the console but that', () => {
    expect(complaints.filter((text) => !/404/.test(text))).toEqual([]);
  });
});
