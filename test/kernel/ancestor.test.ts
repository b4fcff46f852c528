/**
 * Our package beside the one whose API it keeps, npm bpf 1.3.0 (the development dependency bpf-1):
 * what was wrong there is shown in a process of its own, and the same program is right with ours,
 * also under AddressSanitizer; the examples of its README run on both and give what they say;
 * TypeScript that was written for its definitions compiles with ours.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import * as ours from 'bpf';
import { absent, describeUnless, root, testUnless } from '../support';
import { noKernel } from './support';

const folder = join(root, 'node_modules/bpf-1');
const noAncestor = existsSync(folder)
  ? undefined
  : 'npm package bpf-1 is not installed';
const entries = { old: folder, new: join(root, 'dist/bindings/src/index.js') };
const sanitized = join(root, 'build/asan/bpf_kernel.node');
const libasan = spawnSync('gcc', ['-print-file-name=libasan.so'], {
  encoding: 'utf8',
}).stdout?.trim();

/**
 * Runs a program with \`bpf\` at hand; it prints what it finds as JSON. Bytes that it gives to the
 * package can be guarded: \`guarded(size)\` has 64 bytes behind it, of which \`spoilt()\` tells how many
 * changed; and the package's own buffers get such bytes, too.
 */
function run(
  which: keyof typeof entries,
  body: string,
  addon?: string,
): string {
  const script = `
    const bpf = require(${JSON.stringify(entries[which])});
    const { createMap, createMapRef, MapType } = bpf;
    const hash = (keySize = 4, valueSize = 4, maxEntries = 8) => createMap({ type: 1, keySize, valueSize, maxEntries });
    const GUARD = 64;
    const all = [];
    const guarded = (size) => {
      const whole = new Uint8Array(size + GUARD).fill(0xee, size);
      all.push({ whole, size });
      return Buffer.from(whole.buffer, 0, size);
    };
    const spoilt = () => all.reduce((sum, { whole, size }) => sum + whole.subarray(size).filter((x) => x !== 0xee).length, 0);
    Buffer.alloc = (size, fill) => fill === undefined ? guarded(size) : guarded(size).fill(fill);
    const tell = (found) => console.log(JSON.stringify(found));
    const attempt = (use) => { try { return [use(), null]; } catch (error) { return [undefined, error.code ?? error.name]; } };
    (async () => { ${body} })();`;
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    ['--expose-gc', '-e', script],
    {
      encoding: 'utf8',
      env: {
        ...process.env,
        ...(addon !== undefined && {
          BPF_ADDON: addon,
          LD_PRELOAD: libasan,
          ASAN_OPTIONS: 'detect_leaks=0',
        }),
      },
    },
  );
  if (status !== 0)
    return `ended by ${signal ?? status}: ${stderr.slice(-2000)}`;
  return stdout.trim();
}

interface Defect {
  name: string;
  program: string;
  /** What the program prints with the ancestor, and with us. */
  old: unknown;
  new: unknown;
}

const cpus = noKernel === undefined ? ours.possibleCpus() : 1;
const defects: Defect[] = [
  {
    name: '1: a value of a per-CPU map overruns its buffer',
    program: `
      const map = new bpf.RawMap(createMap({ type: MapType.PERCPU_ARRAY, keySize: 4, valueSize: 4, maxEntries: 1 }));
      const [value, error] = attempt(() => map.get(Buffer.from([0, 0, 0, 0]), 0, guarded(4)));
      tell([value !== undefined, error, spoilt()]);`,
    old: [true, null, 8 * cpus - 4],
    new: [false, 'RangeError', 0],
  },
  {
    name: '2: the cursor of a batch overruns small keys',
    program: `
      const map = new bpf.RawMap(hash(1, 1, 200));
      for (let i = 0; i < 200; i++) map.set(Buffer.of(i), Buffer.of(i));
      let count = 0;
      const [, error] = attempt(() => { for (const batch of map.getBatch(50)) count += batch.length; });
      tell([error, count, spoilt() > 0]);`,
    old: [null, 200, true],
    new: [null, 200, false],
  },
  {
    name: '3: a short value of a batch lets the kernel read what is behind it',
    program: `
      const map = new bpf.RawArrayMap(createMap({ type: MapType.ARRAY, keySize: 4, valueSize: 16, maxEntries: 1 }));
      Buffer.concat = (list) => { const to = guarded(list.reduce((n, x) => n + x.length, 0)); let at = 0; for (const x of list) { to.set(x, at); at += x.length; } return to; };
      const [, error] = attempt(() => map.setBatch([[0, Buffer.from([1])]]));
      tell([error, map.get(0).includes(0xee)]);`,
    old: [null, true],
    new: ['RangeError', false],
  },
  {
    name: '4: a descriptor that was not taken over is closed all the same',
    program: `
      const fs = require('fs');
      const fd = fs.openSync('/dev/null');
      const [, error] = attempt(() => createMapRef(fd, { transfer: true }));
      for (let i = 0; i < 10; i++) { gc(); await new Promise((done) => setImmediate(done)); }
      const [open] = attempt(() => fs.fstatSync(fd) !== undefined);
      tell([error, open === true]);`,
    old: ['EINVAL', false],
    new: ['EINVAL', true],
  },
  {
    name: '5: child processes inherit the maps',
    program: `
      const ref = hash();
      const copies = [createMapRef(ref.fd), bpf.openMap(ref.id)];
      const list = require('child_process').execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
      tell([/bpf-map/.test(list), copies.length]);`,
    old: [true, 2],
    new: [false, 2],
  },
  {
    name: '6: what is no bytes is a buffer, if its length is right',
    program: `
      const map = new bpf.RawMap(hash());
      const wide = new Uint32Array(4);
      const [, error] = attempt(() => map.set(wide, wide));
      tell(error);`,
    old: null,
    new: 'TypeError',
  },
  {
    name: '7: flags lose their upper half',
    program: `
      const map = new bpf.RawMap(hash());
      const [, error] = attempt(() => map.set(Buffer.of(1, 2, 3, 4), Buffer.of(1, 2, 3, 4), 2 ** 40));
      tell(error);`,
    old: null,
    new: 'EINVAL',
  },
  {
    name: '8: getAll() gives values that conversions of typed arrays cannot read',
    program: `
      const map = bpf.createArrayMap(3, 5, { parse: (bytes) => bpf.u32type.parse(bytes.subarray(0, 4)), format: (bytes, x) => bytes.fill(x) });
      const [values, error] = attempt(() => map.getAll());
      tell([values?.length, error]);`,
    old: [null, 'RangeError'],
    new: [3, null],
  },
  // 9, releases of other distributions, is in its tests only; privilege.test.ts asks us with one.
  {
    name: '10: errors say only a code',
    program: `
      const errors = [{ type: MapType.QUEUE, keySize: 4, valueSize: 4, maxEntries: 1 }, { type: MapType.HASH, keySize: 4, valueSize: 1 << 30, maxEntries: 1 }].map((def) => {
        try { createMap(def); } catch (error) { return error; }
      });
      tell(errors.map(({ message, code, operation }) => [message === code, message.includes(operation), message.length > 60]));`,
    old: [
      [true, false, false],
      [true, false, false],
    ],
    new: [
      [false, true, true],
      [false, true, true],
    ],
  },
];

describeUnless(noKernel ?? noAncestor, 'what was wrong in npm bpf 1.3', () => {
  for (const { name, program, ...expected } of defects) {
    test(`${name}: there`, () => {
      expect(JSON.parse(run('old', program))).toEqual(expected.old);
    });
    test(`${name}: not here`, () => {
      expect(JSON.parse(run('new', program))).toEqual(expected.new);
    });
    testUnless(absent(sanitized), `${name}: nor under AddressSanitizer`, () => {
      expect(JSON.parse(run('new', program, sanitized))).toEqual(expected.new);
    });
  }
});

/** Its README's examples; "EXPRESSION // -> VALUE" is a check. */
function examples(): { title: string; code: string }[] {
  const text = readFileSync(join(folder, 'README.md'), 'utf8');
  const found = [
    ...text.matchAll(/^### (.*)\n+~~~ javascript\n([^]*?)^~~~$/gm),
  ];
  return found.map(([, title = '', code = '']) => ({
    title,
    code: code
      .replace("const bpf = require('bpf')", '')
      .replace(
        /^(?!\s*\/\/)(.*?)\s*\/\/ -> (.*)$/gm,
        (_, expression: string, value: string) =>
          `;check(${JSON.stringify(expression)}, (${expression}), ${JSON.stringify(value)});`,
      ),
  }));
}

const readme = `
  const { inspect } = require('util');
  const { RawMap } = bpf;
  const own = hash();
  const getMapFDFromSomewhereElse = () => own.fd;
  let checks = 0;
  /** Hashes have no order. */
  const sorted = (x) => Array.isArray(x) && Array.isArray(x[0]) ? [...x].sort() : x;
  const check = (text, got, value) => {
    checks++;
    const same = value.startsWith('<') ? inspect(got) === value : JSON.stringify(sorted(got)) === JSON.stringify(sorted(eval(value)));
    if (!same) throw new Error(text + ' is ' + inspect(got) + ', not ' + value);
  };`;

describeUnless(
  noKernel ?? noAncestor,
  "the examples of npm bpf 1.3's README",
  () => {
    const all = noAncestor === undefined ? examples() : [];
    for (const which of ['old', 'new'] as const) {
      test(`run with ${which === 'old' ? 'it' : 'us'}`, () => {
        expect(all.map(({ title }) => title)).toEqual([
          'Raw map operations',
          'Using conversions',
          'Array maps',
          'Using your own FD',
          'Map-in-map',
        ]);
        for (const { title, code } of all) {
          // The descriptor of our own map is given away in one of them.
          const body = `${readme}\n{ const console = { log() {} };\n${code}\n}\ntell(['ran', checks > 0]); process.reallyExit(0);`;
          expect(`${title}: ${run(which, body)}`).toBe(
            `${title}: ["ran",true]`,
          );
        }
      });
    }
  },
);

/** What programs of 1.3 write; each name that it exports is in it. */
const consumer = `
import * as bpf from 'bpf';
import {
  AttachType, BPFError, ConvArrayMap, ConvMap, ConvQueueMap, createArrayMap, createMap, createMapRef, createQueueMap,
  createStackMap, IArrayMap, IMap, IQueueMap, LibbpfErrno, libbpfErrnoMessages, MapDef, MapFlags, MapInfo,
  MapLookupFlags, MapRef, MapType, MapUpdateFlags, objGet, OBJ_NAME_LEN, openMap, ProgramType, RawArrayMap, RawMap,
  RawQueueMap, TypeConversion, u32type, version, versions,
} from 'bpf';

const text: TypeConversion<string> = {
  parse: (buf: Buffer): string => buf.toString(),
  format: (buf: Buffer, x: string): void => { buf.write(x); },
};
const inner: MapDef = { type: MapType.ARRAY, keySize: 4, valueSize: 4, maxEntries: 1 };
const def: MapDef = { type: MapType.HASH_OF_MAPS, keySize: 4, valueSize: 4, maxEntries: 5, flags: MapFlags.NO_PREALLOC | MapFlags.NUMA_NODE, name: 'x', numaNode: 0, innerMap: inner, ifindex: 0 };
const ref: MapRef = createMap(def);
const again: MapRef[] = [createMapRef(ref.fd), createMapRef(ref.fd, {}), createMapRef(objGet('/x'), { transfer: true, parameters: def }), openMap(ref.id!)];
const info: MapInfo = ref;
const numbers: number[] = [info.type, info.keySize, info.valueSize, info.maxEntries, info.flags, again.length];
const told: [number | undefined, string | undefined, number | undefined, bigint | undefined, bigint | undefined] = [info.id, info.name, info.ifindex, info.netnsDev, info.netnsIno];
createMap({ ...inner, innerMap: ref });
createMap({ ...inner, innerMap: ref.fd });

function everything<K, V>(map: IMap<K, V>, key: K, value: V): void {
  const found: V | undefined = map.get(key, MapLookupFlags.F_LOCK) ?? map.getDelete(key);
  const same: IMap<K, V> = map.set(key, value).set(key, value, MapUpdateFlags.NOEXIST).setBatch([[key, value]], 0);
  const gone: boolean = map.delete(key) || map.has(key);
  for (const batch of map.getBatch(10, 0)) { const entries: [K, V][] = batch; void entries; }
  map.deleteBatch([key]);
  for (const k of map.keys()) { const typed: K = k; void typed; }
  const step: IteratorResult<K, undefined> = map.keys(key).next();
  for (const [k, v] of map) { const pair: [K, V] = [k, v]; void pair; }
  const all: [K, V][] = [...map.entries(), ...map.consumeEntries(key)];
  const values: V[] = [...map.values(key)];
  map.clear(); map.clear(key); map.freeze();
  void [found, same, gone, step, all, values];
}
const raw = new RawMap(ref);
everything<Buffer, Buffer>(raw, Buffer.alloc(4), Buffer.alloc(4));
const out: Buffer | undefined = raw.get(Buffer.alloc(4), 0, Buffer.alloc(4)) ?? raw.getDelete(Buffer.alloc(4), Buffer.alloc(4)) ?? raw.getNextKey() ?? raw.getNextKey(Buffer.alloc(4), Buffer.alloc(4));
const owner: MapRef = raw.ref;
const conv: ConvMap<string, number> = new ConvMap(ref, text, u32type);
everything<string, number>(conv, 'a', 1);
const convRef: MapRef = conv.ref;

function list<V>(map: IArrayMap<V>, value: V): void {
  const one: V = map.get(0, MapLookupFlags.F_LOCK);
  const same: IArrayMap<V> = map.set(0, value, MapUpdateFlags.ANY).setBatch([[0, value]]).setAll([value]);
  const all: V[] = [...map, ...map.values(), ...map.getAll()];
  for (const batch of map.getBatch(3)) { const typed: V[] = batch; void typed; }
  const length: number = map.length;
  map.freeze();
  void [one, same, all, length];
}
list<Buffer>(new RawArrayMap(ref), Buffer.alloc(4));
list<number>(new ConvArrayMap(ref, u32type), 1);
list<string>(createArrayMap(4, 8, text, { name: 'list', flags: MapFlags.MMAPABLE }), 'x');
const element: Buffer = new RawArrayMap(ref).get(0, 0, Buffer.alloc(4));

function line<V>(map: IQueueMap<V>, value: V): void {
  const first: V | undefined = map.peek() ?? map.peek(MapLookupFlags.F_LOCK) ?? map.pop();
  const same: IQueueMap<V> = map.push(value).push(value, MapUpdateFlags.EXIST);
  const all: V[] = [...map, ...map.consumeValues(), ...map.consumeValues(3)];
  const empty: boolean = map.empty();
  map.freeze();
  void [first, same, all, empty];
}
line<Buffer>(new RawQueueMap(ref), Buffer.alloc(4));
line<number>(new ConvQueueMap(ref, u32type), 1);
line<string>(createQueueMap(4, 8, text), 'x');
line<string>(createStackMap(4, 8, text, { name: 'stack' }), 'x');
const peeked: Buffer | undefined = new RawQueueMap(ref).peek(0, Buffer.alloc(4)) ?? new RawQueueMap(ref).pop(Buffer.alloc(4));

try { ref.close(); } catch (e) {
  if (e instanceof BPFError) {
    const { operation, errno, code, count, message } = e;
    const typed: [string, number, string | undefined, number | undefined, string] = [operation, errno, code, count, message];
    const known: string | undefined = libbpfErrnoMessages[errno];
    if (errno === LibbpfErrno.FORMAT || BPFError.getCode(errno) === 'EPERM') throw new BPFError(errno, operation, 3);
    void [typed, known];
  }
}
const names: string[] = [version, versions.libbpf, versions.libelf, versions.kernel, MapType[MapType.HASH], ProgramType[ProgramType.XDP], AttachType[AttachType.SK_MSG_VERDICT]];
const sizes: number[] = [versions.btf, OBJ_NAME_LEN, ProgramType.KPROBE, AttachType.CGROUP_INET_INGRESS];
class Mine implements TypeConversion<bigint> { parse(buf: Buffer): bigint { return buf.readBigUInt64LE(); } format(buf: Buffer, x: bigint): void { buf.writeBigUInt64LE(x); } }
class Counter extends RawMap { increment(key: Buffer): void { this.set(key, this.get(key) ?? Buffer.alloc(this.ref.valueSize)); } }
void [bpf.createMap, numbers, told, out, owner, convRef, element, peeked, names, sizes, new Mine(), new Counter(ref)];
`;

/** What the compiler says of these texts, with 'bpf' from these definitions. */
function compile(texts: string[], definitions: string): string[][] {
  const paths = texts.map((_, i) => join(root, `test/kernel/consumer${i}.ts`));
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Node10,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    baseUrl: root,
    paths: { bpf: [definitions] },
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) => {
    const text = texts[paths.indexOf(name)];
    return text === undefined
      ? read(name, ...rest)
      : ts.createSourceFile(name, text, ts.ScriptTarget.ES2022);
  };
  const program = ts.createProgram(paths, options, host);
  const said = ts.getPreEmitDiagnostics(program);
  return paths.map((path) =>
    said
      .filter(({ file }) => (file?.fileName ?? path) === path)
      .map(({ messageText, file, start }) => {
        const text = ts.flattenDiagnosticMessageText(messageText, '\n');
        return `${text} [${file?.text.slice(start, (start ?? 0) + 60) ?? ''}]`;
      }),
  );
}

describe('types', () => {
  const definitions = {
    old: join(folder, 'dist/index.d.ts'),
    new: join(root, 'dist/bindings/src/index.d.ts'),
  };

  testUnless(noAncestor, 'every name that 1.3 exports is used below', () => {
    const text = readFileSync(definitions.old, 'utf8');
    const names = [...text.matchAll(/export \{ (.*?) \}/g)].flatMap(
      ([, list = '']) => list.split(', '),
    );
    expect(names.length).toBeGreaterThan(30);
    const imported = consumer.slice(0, consumer.indexOf("} from 'bpf'"));
    expect(
      names.filter((name) => !new RegExp(`\\b${name}\\b`).test(imported)),
    ).toEqual([]);
  });

  testUnless(
    noAncestor,
    "TypeScript for 1.3's definitions compiles with them",
    () => {
      expect(compile([consumer], definitions.old)).toEqual([[]]);
    },
    120_000,
  );

  test('and with ours', () => {
    // The second shows that mistakes would be told.
    const wrong = `${consumer}\nconst never: string = createMap(def);`;
    expect(compile([consumer, wrong], definitions.new)).toEqual([
      [],
      [expect.stringContaining("'MapRef' is not assignable to type 'string'")],
    ]);
  }, 120_000);
});
