/**
 * The definitions of types of npm bpf 1.3.0 (the development dependency bpf-1) beside ours: TypeScript
 * that was written for them compiles with ours.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { root, testUnless } from '../support';

const folder = join(root, 'node_modules/bpf-1');
const noAncestor = existsSync(folder)
  ? undefined
  : 'npm package bpf-1 is not installed';

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
  const paths = texts.map((_, i) => join(root, `test/js/consumer${i}.ts`));
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
