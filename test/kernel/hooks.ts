/**
 * hooks.ts - what the tests of attaching share: one C program that counts where it runs, what
 * triggers it, and why a hook cannot be tested on this machine.
 *
 * A hook is skipped when the kernel was built without it, or when its policy refuses programs that
 * it knows (EPERM with every capability); anything else that goes wrong is a failure.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
import {
  BpfObject,
  compile,
  features,
  KernelError,
  KernelMap,
  load,
  mountBpffs,
  mountTracefs,
  u32,
  u64,
  type AttachTarget,
  type Feature,
  type KernelObject,
  type KernelProgram,
  type Link,
  type LoadOptions,
} from 'bpf';
import { bpfDescriptors, errorOf, noKernel } from './support';

if (noKernel === undefined) {
  mountTracefs();
  mountBpffs();
}

export interface Parts {
  /** Before the program: includes, maps, functions. */
  head?: string;
  /** In the program, after it has counted. */
  body?: string;
  result?: string;
  ctx?: string;
}

/** C of the numbers that programs leave, and how: slot() reads them. */
export const slots = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 8);
    __type(key, u32);
    __type(value, u64);
} slots SEC(".maps");
static __always_inline void count(u32 slot) {
    u64 *value = bpf_map_lookup_elem(&slots, &slot);
    if (value)
        __sync_fetch_and_add(value, 1);
}
static __always_inline void put(u32 slot, u64 number) {
    bpf_map_update_elem(&slots, &slot, &number, 0);
}
`;

/** C of a program `prog` in this section that counts its runs in slot 0. */
export const counting = (section: string, parts: Parts = {}): string => {
  const { head = '', body = '', result = '0', ctx = 'void *ctx' } = parts;
  return `${slots}${head}
SEC("${section}")
int prog(${ctx}) {
    count(0);
    ${body}
    return ${result};
}
char LICENSE[] SEC("license") = "GPL";
`;
};

export const COOKIE = 0x1234_5678_9abc_def0n;
/** Puts the cookie into slot 1. */
export const cookie: Parts = { body: 'put(1, bpf_get_attach_cookie(ctx));' };

export const LIBC = 'libc.so.6';
/** Ten system calls. */
export const getuid = (): void => {
  for (let i = 0; i < 10; i++) process.getuid?.();
};

export const openFile = (): unknown => readFileSync('/proc/self/comm');

/** What a link of a perf event says of itself: links are from 5.15, what they are of from 6.6 on. */
export function seePerfLink(link: Link, expected: object): void {
  if (link.fd < 0)
    expect([olderThan('5.15'), errorOf(() => link.info()).code]).toEqual([
      true,
      'EOPNOTSUPP',
    ]);
  else
    expect(link.info()).toMatchObject({
      typeName: 'perf_event',
      ...(!olderThan('6.6') && expected),
    });
}

const opened: KernelObject[] = [];

/** What bpf_tracing.h wants to know. */
const arch = process.arch === 'x64' ? 'x86' : process.arch;

export const compileC = (text: string): BpfObject =>
  compile(text, {
    warnings: ['none'],
    defines: { [`__TARGET_ARCH_${arch}`]: true },
  });

/** A loaded object of this C; closeLoaded() closes it. */
export function loadC(text: string, options: LoadOptions = {}): KernelObject {
  const object = load(compileC(text), options);
  opened.push(object);
  return object;
}

export function closeLoaded(): void {
  for (const object of opened.splice(0)) object.close();
}

/** After each test everything that it opened is closed; other files may have left some of theirs. */
export function leaveNothing(): void {
  let before: string[] = [];
  beforeEach(() => {
    before = bpfDescriptors();
  });
  afterEach(() => {
    closeLoaded();
    expect(bpfDescriptors().filter((fd) => !before.includes(fd))).toEqual([]);
  });
}

export function programOf(object: KernelObject, name = 'prog'): KernelProgram {
  const program = object.programs[name];
  if (program === undefined) throw new Error(`no program ${name}`);
  return program;
}

/** A number that the program left. */
export function slot(object: KernelObject, index = 0): bigint {
  return object.maps['slots']?.as(u32, u64).get(index) ?? 0n;
}

/** Attach, trigger, read back; nothing more is counted once the link is closed. */
export async function runs(
  object: KernelObject,
  target: AttachTarget | undefined,
  trigger: () => unknown,
  look: (link: Link) => void = () => {},
): Promise<bigint> {
  const link = programOf(object).attach(target);
  await trigger();
  look(link);
  link.close();
  const count = slot(object);
  await trigger();
  if (slot(object) !== count) throw new Error('it runs after close()');
  return count;
}

/** Whether the running kernel is older than this release of Linux, such as '6.6'. */
export function olderThan(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [hereMajor = 0, hereMinor = 0] = release()
    .split('.')
    .map(Number.parseFloat);
  return hereMajor < major || (hereMajor === major && hereMinor < minor);
}

/**
 * Why a test cannot pass that takes what came with a release of Linux: this kernel is older, and
 * trying it fails. On a kernel that ought to have it the test runs, and fails if it is missing.
 */
export function before(
  version: string,
  what: string,
  attempt: () => { close(): void },
): string | undefined {
  if (noKernel !== undefined || !olderThan(version)) return undefined;
  try {
    attempt().close();
    return undefined;
  } catch {
    return `${what} came with Linux ${version}`;
  }
}

/** The same of a program in this section, by loading it. */
export const sectionBefore = (
  version: string,
  section: string,
  parts: Parts = {},
  what = `SEC("${section}")`,
): string | undefined =>
  before(version, what, () => load(compileC(counting(section, parts))));

/** The same by a probe of the package's, which knows the release. */
export function lacks(feature: Feature): string | undefined {
  const { answer, since, reason } = feature;
  const expected = since === undefined || !olderThan(since);
  return answer === 'yes' || expected ? undefined : reason;
}

/** Why programs cannot do atomic operations that give what was there before. */
export const noFetch = sectionBefore(
  '5.12',
  'raw_tp',
  {
    body: 'u32 at = 1; u64 *place = bpf_map_lookup_elem(&slots, &at); if (place) put(2, __sync_fetch_and_add(place, 1));',
  },
  'atomic operations that give the value before',
);

/** Why hash maps have no lookup-and-delete here. */
export const noTake = before('5.14', 'lookup and delete of hash maps', () => {
  const map = KernelMap.create({
    type: 1,
    keySize: 4,
    valueSize: 4,
    maxEntries: 1,
  });
  try {
    map.take(new Uint8Array(4));
    return map;
  } catch (error) {
    map.close();
    throw error;
  }
});

/** Why there are no cookies here for what perf events trigger. */
export const noCookies =
  noKernel === undefined
    ? lacks(features.helper('kprobe', 'get_attach_cookie'))
    : undefined;

/** Why a hook that this option makes is not there. */
export function unbuilt(option: string): string | undefined {
  return features.config(option).answer === 'no'
    ? `this kernel is built without CONFIG_${option}`
    : undefined;
}

/** Why this program is not even loaded here: policy. Everything else is for the test to find. */
export function refused(
  section: string,
  parts: Parts = {},
  options: LoadOptions = {},
): string | undefined {
  if (noKernel !== undefined) return noKernel;
  try {
    load(compileC(counting(section, parts)), options).close();
    return undefined;
  } catch (error) {
    const policy = error instanceof KernelError && error.code === 'EPERM';
    return policy ? error.message : undefined;
  }
}

/** A program with functions and a static probe to attach to; undefined without a C compiler. */
export function buildTarget(
  folder: string,
  ...options: string[]
): string | undefined {
  const path = join(folder, `target${options.join('')}`);
  const source = join(folder, 'target.c');
  writeFileSync(source, targetSource);
  const { status } = spawnSync('gcc', [
    ...options,
    ...['-O1', '-g', '-o', path, source],
  ]);
  return status === 0 ? path : undefined;
}

/** C of a function with a static probe test:NAME of its argument, and a semaphore if it has one. */
export const staticProbe = (name: string, semaphore = '0'): string => `
static __attribute__((noinline)) void ${name}(int number) {
    __asm__ volatile(
        "990: nop\\n"
        ".pushsection .note.stapsdt,\\"?\\",\\"note\\"\\n"
        ".balign 4\\n"
        ".4byte 992f-991f, 994f-993f, 3\\n"
        "991: .asciz \\"stapsdt\\"\\n"
        "992: .balign 4\\n"
        "993: .8byte 990b\\n"
        ".8byte _.stapsdt.base\\n"
        ".8byte ${semaphore}\\n"
        ".asciz \\"test\\"\\n"
        ".asciz \\"${name}\\"\\n"
        ".asciz \\"-4@%0\\"\\n"
        "994: .balign 4\\n"
        ".popsection\\n"
        ".ifndef _.stapsdt.base\\n"
        ".pushsection .stapsdt.base,\\"aG\\",\\"progbits\\",.stapsdt.base,comdat\\n"
        ".weak _.stapsdt.base\\n"
        ".hidden _.stapsdt.base\\n"
        "_.stapsdt.base: .space 1\\n"
        ".size _.stapsdt.base, 1\\n"
        ".popsection\\n"
        ".endif\\n" ::"r"(number));
}
`;

/** Calls probed_one() once and probed_two() twice, and fires test:fire three times. */
const targetSource = `
__attribute__((noinline)) int probed_one(int x) { __asm__ volatile(""); return x + 1; }
__attribute__((noinline)) int probed_two(int x) { __asm__ volatile(""); return x + 2; }
${staticProbe('fire')}
int main(void) {
    int sum = probed_one(1) + probed_two(2) + probed_two(3);
    for (int i = 0; i < 3; i++)
        fire(40 + i);
    return sum == 0;
}
`;

/** The library that makes system calls fail (faults/faults.c), in this folder. */
export function buildFaults(folder: string): string {
  const library = join(folder, 'faults.so');
  const flags = [
    '-O1',
    '-g',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-shared',
    '-fPIC',
  ];
  const source = join(__dirname, 'faults/faults.c');
  const { status, stderr } = spawnSync(
    'gcc',
    [...flags, '-o', library, source, '-ldl'],
    { encoding: 'utf8' },
  );
  expect(`${status} ${stderr}`).toBe('0 ');
  return library;
}

/** A folder that goes away with what is in it. */
export function temporary(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'bpf-hooks-'));
  return { path, remove: () => rmSync(path, { recursive: true }) };
}

/** The mount point of cgroup2, or undefined. */
export function cgroupRoot(): string | undefined {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, path, type] = line.split(' ');
    if (type === 'cgroup2') return path;
  }
  return undefined;
}

/** A cgroup of its own that this process is in until leave(). */
export function enterCgroup(): { path: string; leave(): void } {
  const root = cgroupRoot() ?? '';
  const before = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'));
  const path = join(root, `bpf-test-${process.pid}`);
  mkdirSync(path);
  writeFileSync(join(path, 'cgroup.procs'), String(process.pid));
  return {
    path,
    leave() {
      const home = join(root, before?.[1] ?? '/', 'cgroup.procs');
      writeFileSync(home, String(process.pid));
      for (let i = 0; i < 50; i++) {
        try {
          rmdirSync(path);
          return;
        } catch {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
        }
      }
      rmdirSync(path);
    },
  };
}

/** Two interfaces, one of them in a network namespace of its own. */
export interface Wire {
  /** Here. */
  near: string;
  /** There. */
  far: string;
  namespace: string;
  nearAddress: string;
  farAddress: string;
  /** Sends UDP packets to us from there. */
  sendHere(port: number, count?: number): void;
  remove(): void;
}

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

/** Why no interfaces can be made here. */
export function noWire(): string | undefined {
  if (noKernel !== undefined) return noKernel;
  if (spawnSync('ip', ['-V']).error) return 'there is no command ip';
  const name = `bpft${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) {
    return 'no network namespace can be made';
  }
  spawnSync('ip', ['netns', 'del', name]);
  return unbuilt('VETH');
}

let wires = 0;

/** Makes a pair of interfaces of a kind, with the names near and far; far may be anywhere. */
function makePair(make: (near: string, far: string) => void): Wire {
  const id = `${process.pid % 10_000}x${wires++}`;
  const [near, far, namespace] = [`bn${id}`, `bf${id}`, `bpf-${id}`];
  const net = `10.${200 + (process.pid % 50)}.${wires % 250}`;
  const nearAddress = `${net}.1`;
  const farAddress = `${net}.2`;
  ip('netns', 'add', namespace);
  make(near, far);
  ip('link', 'set', far, 'netns', namespace);
  ip('addr', 'add', `${nearAddress}/24`, 'dev', near);
  ip('link', 'set', near, 'up');
  ip('-n', namespace, 'addr', 'add', `${farAddress}/24`, 'dev', far);
  ip('-n', namespace, 'link', 'set', far, 'up');
  ip('-n', namespace, 'link', 'set', 'lo', 'up');
  return {
    near,
    far,
    namespace,
    nearAddress,
    farAddress,
    sendHere(port, count = 3) {
      const script = `const s = require('dgram').createSocket('udp4');
        let left = ${count};
        const send = () => left-- > 0 ? s.send('hello', ${port}, '${nearAddress}', send) : s.close();
        send();`;
      execFileSync(
        'ip',
        ['netns', 'exec', namespace, process.execPath, '-e', script],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
    },
    remove() {
      spawnSync('ip', ['link', 'del', near]);
      spawnSync('ip', ['netns', 'del', namespace]);
    },
  };
}

export const makeWire = (): Wire =>
  makePair((near, far) =>
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far),
  );

/** iproute2 that knows nothing of netkit can ask rtnetlink for the kind, and find the peer after. */
export const makeNetkit = (): Wire =>
  makePair((near, far) => {
    ip('link', 'add', near, 'type', 'netkit');
    const index = readFileSync(`/sys/class/net/${near}/iflink`, 'utf8').trim();
    const peer = readdirSync('/sys/class/net').find(
      (name) =>
        readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8').trim() === index,
    );
    if (peer === undefined) throw new Error(`${near} has no peer`);
    ip('link', 'set', peer, 'name', far);
  });

/** Our open descriptors, of any kind but those of the event loop's own making. */
export const openFiles = (): number => readdirSync('/proc/self/fd').length;
