/**
 * Objects, programs, maps and links of the running kernel.
 */
import { readFileSync, writeFileSync, rmSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  assemble,
  backend,
  BpfSyntaxError,
  bytes,
  chars,
  ClosedError,
  KernelError,
  KernelObject,
  load,
  mountTracefs,
  struct,
  u32,
  u64,
  Machine,
} from 'bpf';
import { addon } from '../../dist/bindings/src/addon';
import { describeUnless, root, run } from '../support';
import {
  bpfDescriptors,
  CALLS,
  callSystem,
  errorOf,
  idsOf,
  kernelIds,
  noKernel,
  nothing,
  remaining,
} from './support';

const license = '.section license,"aw",@progbits\n.asciz "GPL"\n';
const demo = assemble(
  readFileSync(join(root, 'examples/syscalls/syscalls.s'), 'utf8'),
);
const stat = struct({ count: u64, comm: chars(16) });

const maps = assemble(`
.map hash, type=hash, key=u32, value=u64, max_entries=4096
.map small, type=hash, key=u8, value=u64, max_entries=100
.map array, type=array, key=u32, value=u64, max_entries=8
.map cpus, type=percpu_array, key=u32, value=u32, max_entries=2
.section "raw_tp/sys_enter","ax",@progbits
.globl idle
idle:
        r1 = hash ll
        r1 = small ll
        r1 = array ll
        r1 = cpus ll
        r0 = 0
        exit
${license}`);

/** A program that the verifier refuses, and where: a read above the stack. */
const refused = (offset: number): string => `
.section "raw_tp/sys_enter","ax",@progbits
.globl refused
refused:
        r0 = *(u64 *)(r10 + ${offset})
        exit
${license}`;

describeUnless(noKernel, 'kernel', () => {
  const open: KernelObject[] = [];
  const loaded = (...args: Parameters<typeof load>): KernelObject => {
    const object = load(...args);
    open.push(object);
    return object;
  };
  let before: string[] = [];
  beforeEach(() => {
    before = bpfDescriptors();
  });
  afterEach(() => {
    for (const object of open.splice(0)) object.close();
    expect(bpfDescriptors().filter((fd) => !before.includes(fd))).toEqual([]);
  });

  test('is what backend() says', () => {
    expect(backend()).toEqual({ name: 'kernel' });
  });

  describe('the demo program', () => {
    test('counts at least the calls that a process made', async () => {
      const object = loaded(demo);
      object.programs['count_syscall']?.attach();
      const pid = await callSystem('bpf-counted');
      const counts = object.maps['counts']?.as(u32, stat);
      const rows = [...(counts ?? [])].filter(
        ([, { comm }]) => comm === 'bpf-counted',
      );
      expect(rows.length).toBe(1);
      const [key, { count }] = rows[0] ?? [0, { count: 0n }];
      expect(count).toBeGreaterThanOrEqual(CALLS);
      expect(count).toBeLessThan(CALLS + 1000);
      expect(counts?.get(key)?.count).toBe(count);
      // Without a pid namespace between us and the kernel the key is the pid.
      expect(key).toBeGreaterThan(0);
      expect(typeof pid).toBe('number');
    });

    test('leaves nothing behind', async () => {
      const before = bpfDescriptors();
      const object = load(demo);
      const link = object.programs['count_syscall']?.attach();
      const ids = idsOf(object);
      ids.links.add(link?.info().id ?? 0);
      const now = kernelIds();
      for (const kind of ['programs', 'maps', 'links'] as const) {
        expect(ids[kind].size).toBe(1);
        for (const id of ids[kind]) expect(now[kind]).toContain(id);
      }
      expect(bpfDescriptors().length).toBeGreaterThanOrEqual(3);
      object.close();
      expect(await remaining(ids)).toEqual(nothing);
      expect(bpfDescriptors().filter((fd) => !before.includes(fd))).toEqual([]);
    });

    test('stops counting when its link is closed', async () => {
      const object = loaded(demo);
      const link = object.programs['count_syscall']?.attach();
      await callSystem('bpf-seen');
      link?.close();
      await callSystem('bpf-unseen');
      const counts = object.maps['counts']?.as(u32, stat);
      const names = [...(counts?.values() ?? [])].map(({ comm }) => comm);
      expect(names).toContain('bpf-seen');
      expect(names).not.toContain('bpf-unseen');
    });

    test('describes itself', () => {
      const object = loaded(demo);
      expect(object.programs['count_syscall']?.info).toMatchObject({
        name: 'count_syscall',
        section: 'raw_tp/sys_enter',
        type: 17,
        instructionCount: demo.programs[0]?.insns,
      });
      expect(object.maps['counts']?.info).toMatchObject({
        name: 'counts',
        type: 1,
        keySize: 4,
        valueSize: 24,
        maxEntries: 10240,
      });
    });
  });

  describe('sources of an object', () => {
    test('bytes, a path, and bytes as they are', () => {
      const folder = mkdtempSync(join(tmpdir(), 'bpf-load-'));
      const path = join(folder, 'demo.o');
      writeFileSync(path, demo.toElf());
      for (const object of [
        loaded(demo.toElf()),
        loaded(path),
        loaded(demo.toElf(), { raw: true }),
      ]) {
        expect(Object.keys(object.programs)).toEqual(['count_syscall']);
      }
      rmSync(folder, { recursive: true });
    });

    test('what is no object never reaches libbpf', () => {
      expect(() => load(new Uint8Array(100))).toThrow(BpfSyntaxError);
      const cut = demo.toElf().subarray(0, 500);
      expect(() => load(cut)).toThrow(BpfSyntaxError);
      expect(() => load('/no/such/file.o')).toThrow(/ENOENT/);
    });

    test('but does with raw: true', () => {
      const elf = demo.toElf().slice();
      elf.fill(0xff, 40, 48); // e_shoff: the section headers are nowhere
      const loading = (raw: boolean): unknown => {
        try {
          return load(elf, { raw });
        } catch (error) {
          return error;
        }
      };
      expect(loading(false)).toBeInstanceOf(BpfSyntaxError);
      expect(loading(true)).toMatchObject({
        name: 'KernelError',
        operation: 'open object',
      });
    });
  });

  describe('maps', () => {
    const numbers = (name: string, object = loaded(maps)) => {
      const map = object.maps[name];
      if (!map) throw new Error(`no map ${name}`);
      return map;
    };

    test('lookup, update, delete, modes', () => {
      const map = numbers('hash').as(u32, u64);
      expect(map.get(1)).toBeUndefined();
      expect(map.set(1, 10n).get(1)).toBe(10n);
      expect(errorOf(() => map.set(1, 11n, 'noexist'))).toMatchObject({
        code: 'EEXIST',
        errno: 17,
      });
      expect(errorOf(() => map.set(2, 11n, 'exist')).code).toBe('ENOENT');
      expect(map.set(1, 12n, 'exist').get(1)).toBe(12n);
      expect([map.has(1), map.has(2)]).toEqual([true, false]);
      expect([map.delete(1), map.delete(1)]).toEqual([true, false]);
    });

    test.each([
      ['hash', 4000, u32],
      ['small', 100, bytes(1)],
    ])('iterates over all of %s, more than a batch', (name, count, key) => {
      const map = numbers(name);
      const typed = map.as(bytes(map.keySize), u64);
      const view = new DataView(new ArrayBuffer(4));
      for (let i = 0; i < count; i++) {
        view.setUint32(0, i, true);
        typed.set(new Uint8Array(view.buffer.slice(0, map.keySize)), BigInt(i));
      }
      expect(key.size).toBe(map.keySize);
      expect(map.size).toBe(count);
      const values = [...typed.values()].sort((a, b) => Number(a - b));
      expect(values).toEqual(
        Array.from({ length: count }, (_, i) => BigInt(i)),
      );
      for (const [at] of typed) typed.delete(at);
      expect(map.size).toBe(0);
      expect([...map.keys()]).toEqual([]);
    });

    test('arrays have all their elements', () => {
      const map = numbers('array').as(u32, u64);
      map.set(7, 70n);
      expect(map.get(7)).toBe(70n);
      expect(map.get(8)).toBeUndefined();
      expect([...map.keys()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(errorOf(() => map.delete(0)).code).toBe('EINVAL');
      expect(errorOf(() => map.set(8, 1n)).code).toBe('E2BIG');
    });

    test('per-CPU values are as long as the kernel writes them', () => {
      const map = numbers('cpus');
      const cpuCount = addon().possibleCpus();
      expect(map.valueSize).toBe(8 * cpuCount);
      expect(map.info.valueSize).toBe(4);
      const value = new Uint8Array(map.valueSize).map((_, i) => i & 3);
      map.set(new Uint8Array(4), value);
      const read = map.get(new Uint8Array(4));
      for (let cpu = 0; cpu < cpuCount; cpu++) {
        expect(read?.slice(cpu * 8, cpu * 8 + 4)).toEqual(
          value.slice(cpu * 8, cpu * 8 + 4),
        );
      }
      expect(map.size).toBe(2);
    });

    test('a frozen map cannot be written', () => {
      const map = numbers('array');
      map.freeze();
      expect(() => map.set(new Uint8Array(4), new Uint8Array(8))).toThrow(
        KernelError,
      );
    });

    test('have the interface of a Machine’s', () => {
      const here = new Machine(maps).maps['hash']?.as(u32, u64);
      const there = numbers('hash').as(u32, u64);
      for (const map of [here, there]) {
        map?.set(3, 30n).set(4, 40n).delete(3);
        expect([...(map ?? [])]).toEqual([[4, 40n]]);
        expect(map).toMatchObject({ keySize: 4, valueSize: 8, size: 1 });
      }
    });
  });

  describe('errors', () => {
    test('a refused program comes with the verifier’s log', () => {
      const error = errorOf(() => load(assemble(refused(8))));
      expect(error).toMatchObject({ subject: 'refused', code: 'EACCES' });
      expect(error.log).toMatch(/invalid.*stack.*off=8/s);
      expect(error.message).not.toBe('');
      const { explanation } = error;
      expect(explanation).toMatchObject({ refused: true, raw: error.log });
      expect(explanation?.cause).toMatch(/^stack-/);
      expect(error.message).toContain(explanation?.remedy);
    });

    test('the log of a success on request', () => {
      const object = loaded(demo, { logLevel: 1 });
      expect(object.programs['count_syscall']?.log()).toMatch(/processed \d+/);
      expect(loaded(demo).programs['count_syscall']?.log()).toBeUndefined();
    });

    test('a tracepoint that does not exist', () => {
      const object = loaded(demo);
      const target = { kind: 'raw_tracepoint', name: 'no_such' } as const;
      const error = errorOf(() =>
        object.programs['count_syscall']?.attach(target),
      );
      expect(error.operation).toMatch(/attach/);
    });

    test('two worker threads get a log each', async () => {
      const script = `
        const { parentPort, workerData } = require('node:worker_threads');
        const bpf = require(workerData.entry);
        const object = bpf.assemble(workerData.source);
        for (let i = 0; i < 20; i++) {
          try { bpf.load(object); parentPort.postMessage('it loaded'); }
          catch (error) { parentPort.postMessage(error.log); }
        }`;
      const entry = join(root, 'dist/bindings/src/index.js');
      const offsets = [8, 16];
      const logs = await Promise.all(
        offsets.map(async (offset) => {
          const workerData = { entry, source: refused(offset) };
          const worker = new Worker(script, { eval: true, workerData });
          const seen: string[] = [];
          worker.on('message', (log: string) => seen.push(log));
          await new Promise((resolve, reject) => {
            worker.once('exit', resolve).once('error', reject);
          });
          return seen;
        }),
      );
      offsets.forEach((offset, i) => {
        expect(logs[i]?.length).toBe(20);
        for (const log of logs[i] ?? []) {
          // Some kernels print the map's value first, whose offset is 0.
          expect(log.match(/off=[1-9]\d*/g)).toEqual([`off=${offset}`]);
        }
      });
    });
  });

  describe('lifetime', () => {
    test('closed handles throw, closing again does nothing', () => {
      const object = load(demo);
      const program = object.programs['count_syscall'];
      const map = object.maps['counts'];
      const link = program?.attach();
      object.close();
      object.close();
      link?.close();
      program?.close();
      map?.close();
      map?.close();
      expect(object.closed && program?.closed && link?.closed).toBe(true);
      expect(map?.closed).toBe(true);
      for (const use of [
        () => program?.attach(),
        () => program?.info,
        () => program?.log(),
        () => link?.info(),
        () => link?.fd,
        () => map?.get(new Uint8Array(4)),
        () => map?.set(new Uint8Array(4), new Uint8Array(24)),
        () => map?.delete(new Uint8Array(4)),
        () => map?.size,
        () => [...(map ?? [])],
        () => map?.info,
        () => map?.fd,
        () => map?.freeze(),
      ]) {
        expect(use).toThrow(ClosedError);
      }
    });

    test('an unclosed link that is collected warns, and is detached', async () => {
      const script = `
        const bpf = require('bpf');
        const fs = require('node:fs');
        const source = fs.readFileSync('examples/syscalls/syscalls.s');
        (function attach() {
          const link = bpf.load(bpf.assemble(source)).programs.count_syscall.attach();
          console.log(link.info().id);
        })();
        (async () => {
          for (let i = 0; i < 10; i++) {
            await new Promise((resolve) => setTimeout(resolve, 20));
            gc();
          }
          process.stdout.write(fs.readdirSync('/proc/self/fd').filter((fd) => {
            try { return /^anon_inode:.*bpf/.test(fs.readlinkSync('/proc/self/fd/' + fd)); } catch { return false; }
          }).join(' ') + '.');
        })();`;
      const { stdout, stderr } = run(process.execPath, [
        '--expose-gc',
        '-e',
        script,
      ]);
      expect(stderr).toMatch(
        /\[BPF_UNCLOSED\] BpfWarning: the link of program count_syscall was collected without close\(\)/,
      );
      expect(stdout).toMatch(/^\d+\n\.$/);
      const links = new Set([Number.parseInt(stdout, 10)]);
      const ids = {
        programs: new Set<number>(),
        maps: new Set<number>(),
        links,
      };
      expect(await remaining(ids)).toEqual(nothing);
    });
  });

  test('a tracepoint counts', async () => {
    mountTracefs();
    mountTracefs(); // it is there now
    const object = loaded(
      assemble(`
.map calls, type=array, key=u32, value=u64, max_entries=1
.section "tracepoint/syscalls/sys_enter_write","ax",@progbits
.globl count
count:
        r1 = 0
        *(u32 *)(r10 - 4) = r1
        r1 = calls ll
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto out
        r1 = 1
        lock *(u64 *)(r0 + 0) += r1
out:    r0 = 0
        exit
${license}`),
    );
    const link = object.programs['count']?.attach();
    const calls = object.maps['calls']?.as(u32, u64);
    await callSystem('bpf-tracepoint');
    expect(calls?.get(0)).toBeGreaterThanOrEqual(CALLS / 2);
    link?.close();
    const after = calls?.get(0);
    await callSystem('bpf-tracepoint');
    expect(calls?.get(0)).toBe(after);
  });
});
