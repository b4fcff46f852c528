/**
 * Loads beyond the plain one: off the event loop, and with maps that hold something from the start.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from '@jest/globals';
import {
  assemble,
  compile,
  KernelError,
  KernelMap,
  KernelProgram,
  load,
  loadAsync,
  MapType,
  programIds,
  u32,
  u64,
  type BpfObject,
} from 'bpf';
import { describeUnless, root } from '../support';
import { leaveNothing, loadC, programOf, temporary } from './hooks';
import { noKernel } from './support';

const packet = new Uint8Array(64);

const number = (value: number): Uint8Array =>
  new Uint8Array(Uint32Array.of(value).buffer);

const program = (name: string, text: string): BpfObject =>
  assemble(`
.section xdp,"ax",@progbits
.globl ${name}
${name}:
${text}
.size ${name}, .-${name}
.section license
.asciz "GPL"
`);

/** The verifier walks through the loop: some tenths of a second. */
const slow = (name = 'slow'): BpfObject =>
  program(
    name,
    `r6 = 0
again: r6 += 1
call 7
if r6 < 60000 goto again
r0 = 2
exit`,
  );

leaveNothing();

describeUnless(noKernel, 'what is loaded', () => {
  const source = `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int two(void *ctx) { return 2; }
`;
  const runs = (what: string | Uint8Array): number => {
    using object = load(what);
    return programOf(object, 'two').run({ data: packet }).returnValue;
  };

  test('C, a file of C, the bytes of an object, its file', () => {
    const folder = temporary();
    const [inC, inElf] = ['c', 'o'].map((kind) =>
      join(folder.path, `two.${kind}`),
    ) as [string, string];
    const elf = compile(source).toElf();
    writeFileSync(inC, source);
    writeFileSync(inElf, elf);
    expect([source, inC, elf, inElf].map(runs)).toEqual([2, 2, 2, 2]);
    writeFileSync(inC, source.replace('return 2', 'return tow'));
    expect(() => load(inC)).toThrow(/two\.c:3:40: error: 'tow'/);
    folder.remove();
  });

  test('nothing else', () => {
    expect(() => load(undefined as never)).toThrow(
      'load() takes a BpfObject, the bytes or the path of one',
    );
    expect(() => load('nothing.o')).toThrow(/ENOENT.*nothing\.o/);
  });
});

describeUnless(noKernel, 'loadAsync', () => {
  test('JavaScript goes on while the verifier thinks', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const began = performance.now();
    using object = await loadAsync(slow());
    const time = performance.now() - began;
    clearInterval(timer);
    expect(programOf(object, 'slow').run({ data: packet }).returnValue).toBe(2);
    expect(time).toBeGreaterThan(20);
    expect(turns).toBeGreaterThan(0);
  });

  test('several at once', async () => {
    const names = ['one', 'two', 'three'];
    const objects = await Promise.all(
      names.map((name) => loadAsync(slow(name))),
    );
    expect(objects.map((object) => Object.keys(object.programs)[0])).toEqual(
      names,
    );
    for (const object of objects) object.close();
  });

  test('what is refused is explained, each with its own log', async () => {
    const wild = ['left', 'right'].map((name, index) =>
      program(name, `r1 = ${4660 + index}\nr0 = *(u32 *)(r1 + 0)\nexit`),
    );
    const results = await Promise.allSettled(wild.map((one) => loadAsync(one)));
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') throw new Error('it is accepted');
      const error = result.reason as KernelError;
      expect(error).toBeInstanceOf(KernelError);
      expect(error.code).toBe('EACCES');
      expect(error.subject).toBe(['left', 'right'][index]);
      expect(error.log).toMatch(new RegExp(`r1 = ${4660 + index}\\s`));
      expect(error.explanation?.refused).toBe(true);
    }
  });

  test('what is no object rejects', async () => {
    await expect(loadAsync(new Uint8Array(100))).rejects.toThrow('ELF');
    await expect(loadAsync(slow(), { only: ['none'] })).rejects.toThrow(
      "no program 'none'",
    );
  });

  test('a worker that ends in the middle leaves nothing', async () => {
    const name = `ends${process.pid % 100_000}`;
    const elf = slow(name).toElf();
    const index = join(root, 'dist/bindings/src/index.js');
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       const { loadAsync } = require(workerData.index);
       loadAsync(workerData.elf);
       loadAsync(workerData.elf);
       parentPort.postMessage('loading');`,
      { eval: true, workerData: { index, elf } },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    for (let i = 0; i < 100 && exists(name); i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(exists(name)).toBe(false);
  });
});

/** Whether the kernel has a program of this name, whoever loaded it. */
function exists(name: string): boolean {
  for (const id of programIds()) {
    try {
      using one = KernelProgram.fromId(id);
      if (one.name === name) return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error; // it has gone meanwhile
    }
  }
  return false;
}

describeUnless(noKernel, 'contents', () => {
  describe('of maps that are made', () => {
    test('bytes', () => {
      using map = KernelMap.create({
        type: MapType.HASH,
        keySize: 4,
        valueSize: 8,
        maxEntries: 4,
        contents: [
          [number(7), new Uint8Array(BigUint64Array.of(70n).buffer)],
          [number(8), new Uint8Array(BigUint64Array.of(80n).buffer)],
        ],
      });
      expect([...map.as(u32, u64)].sort()).toEqual([
        [7, 70n],
        [8, 80n],
      ]);
    });

    test('what does not fit makes none', () => {
      const make = (): KernelMap =>
        KernelMap.create({
          type: MapType.ARRAY,
          keySize: 4,
          valueSize: 4,
          maxEntries: 1,
          contents: [[number(1), number(1)]],
        });
      expect(make).toThrow('E2BIG'); // and leaveNothing() looks for descriptors
    });
  });

  const text = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2);
         __type(key, u32); __type(value, u32); } outer SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4);
         __type(key, u32); __type(value, u32); } table SEC(".maps");
SEC("xdp") int prog(void *ctx) {
    u32 k = 1, seven = 7;
    u32 *v = bpf_map_lookup_elem(&table, &seven);
    return bpf_map_lookup_elem(&outer, &k) && v ? *v : 0;
}
char LICENSE[] SEC("license") = "GPL";
`;

  const makeInner = (): KernelMap =>
    KernelMap.create({
      type: MapType.ARRAY,
      keySize: 4,
      valueSize: 8,
      maxEntries: 3,
    });

  test('of maps of an object: bytes, and maps inside of maps', () => {
    using inner = makeInner();
    const object = loadC(text, {
      maps: {
        outer: { inner, contents: [[number(1), inner]] },
        table: { contents: [[number(7), number(42)]] },
      },
    });
    expect(programOf(object).run({ data: packet }).returnValue).toBe(42);
  });

  test('what does not fit unloads it', () => {
    using inner = makeInner();
    expect(() =>
      loadC(text, {
        maps: { outer: { inner, contents: [[number(9), inner]] } },
      }),
    ).toThrow('E2BIG');
  });
});
