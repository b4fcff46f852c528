// The corpus check must see what it is there to see: with clang-19 itself in place of our compiler
// all is met, and each fault planted in what it compiles is a miss of the row that is about it.
import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { generate } from '../corpus/generate.mjs';
import { noLoader } from '../corpus/load.mjs';
import { noPrograms } from '../corpus/programs.mjs';
import { differs as reemitDiffers } from '../corpus/reemit.mjs';
import { noVm } from '../corpus/simulate.mjs';
import { CLANG, noCorpus } from '../lib/corpus.mjs';
import { inRoot } from '../lib/steps.mjs';

const skip = noCorpus() ?? noLoader() ?? false;
const skipRandom = skip || (noPrograms() ?? false);

const HEAD = `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char _license[] SEC("license") = "GPL";
`;
const FILES = {
  'packet.bpf.c': `${HEAD}
#ifdef REFUSE
#error planted
#endif
#ifndef VALUE
#define VALUE 0
#endif
int seen;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, int); __type(value, long); } counts SEC(".maps");
SEC("tc") int change(struct __sk_buff *skb) {
    int key = skb->len;
    long count = 7;
#ifdef MAP
    count = 8;
#endif
    bpf_map_update_elem(&counts, &key, &count, BPF_ANY);
    seen += skb->len;
#ifdef GLOBAL
    seen++;
#endif
    skb->mark = 3;
#ifdef CONTEXT
    skb->mark = 4;
#endif
    char byte = 5;
#ifdef PACKET
    byte = 6;
#endif
    bpf_skb_store_bytes(skb, 20, &byte, 1, 0);
    return skb->len & 1;
}
#ifndef DROP
SEC("xdp") int value(struct xdp_md *xdp) {
#ifdef REJECT
    return *(int *)(long)xdp->data;
#endif
#ifdef LARGE
    asm volatile("r1 = r1; r1 = r1; r1 = r1; r1 = r1" ::: "r1");
#endif
    return XDP_PASS + VALUE;
}
#endif
`,
  'probe.bpf.c': `${HEAD}
int probed;
SEC("kprobe/do_nothing") int probe(void *context) {
    probed += 5;
#ifdef PROBED
    probed++;
#endif
    return 0;
}
`,
  'unsteady.bpf.c': `${HEAD}
long now, process, noise, address;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __type(key, long); __type(value, long); } by_time SEC(".maps");
SEC("syscall") int unsteady(void *context) {
    long one = 1;
    now = bpf_ktime_get_ns();
    process = bpf_get_current_pid_tgid();
    noise = bpf_get_prandom_u32();
    address = bpf_get_current_task();
    bpf_map_update_elem(&by_time, &now, &one, BPF_ANY);
    return noise;
}
`,
  // What objects may differ in: ids of types, sections and so maps, r0 of what returns nothing.
  'numbers.bpf.c': `${HEAD}
#include <bpf/bpf_core_read.h>
#ifdef OTHER
struct context { struct other { long a, b; } member; };
const volatile long constant = 3;
static volatile int unknown = 2;
#else
struct context;
#endif
struct numbered { int member; } numbered;
int id;
SEC("syscall") int numbers(struct context *context) {
    static union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    id = bpf_core_type_id_local(struct numbered);
#ifdef OTHER
    unknown++;
#endif
    long (*sys_bpf)(int, void *, unsigned) = (void *)166;
    return sys_bpf(BPF_MAP_CREATE, &attr, sizeof attr);
}
SEC("kprobe/do_nothing") void nothing(void *context) {
#ifdef OTHER
    bpf_get_prandom_u32();
#else
    bpf_get_smp_processor_id();
#endif
}
`,
  'annotated.bpf.c': `${HEAD}
#define FAILURE __attribute__((btf_decl_tag("comment:test_expect_failure")))
SEC("socket") FAILURE int fails(struct __sk_buff *skb) {
#ifdef LENIENT
    return 0;
#endif
    return *(int *)(long)skb->len;
}
`,
};

let dir;
before(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-planted-'));
  for (const [name, text] of Object.entries(FILES))
    fs.writeFileSync(path.join(dir, name), text);
});
after(() => {
  const name = path.basename(dir);
  const build = inRoot('build');
  fs.mkdirSync(path.join(build, 'ours'), { recursive: true });
  const ours = fs
    .readdirSync(path.join(build, 'ours'))
    .map((instead) => `ours/${instead}/${name}`);
  for (const made of [dir, `corpus/${name}`, `corpus/${name}.csv`, ...ours])
    fs.rmSync(path.resolve(build, made), { recursive: true, force: true });
});

const check = (...words) => {
  const args = [inRoot('scripts/corpus.mjs'), ...words];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
  });
  const missed = stdout.split('\n').filter((line) => line.startsWith('✗'));
  return { status, missed, said: stdout + stderr };
};

test('a compiler like the reference misses nothing', { skip }, () => {
  const { status, missed, said } = check('--dir', dir, '--cc', CLANG);
  assert.deepEqual(missed, [], said);
  assert.equal(status, 0, said);
  assert.match(said, /corpus: (\d+) of \1 met, 0 missed, 0 not run$/m);
  assert.match(said, /programs that were run do the same +all +4 of 4/);
});

test('what two compilers number as they like is no miss', { skip }, () => {
  const { missed, said } = check('--dir', dir, '--cc', `${CLANG} -DOTHER`);
  assert.deepEqual(missed, [], said);
});

for (const [fault, row] of [
  ['REFUSE', /files that clang-19 compiles .* 4 of 5/],
  ['DROP', /programs that the kernel accepts .* 5 of 6/],
  ['REJECT', /programs that the kernel accepts .* 5 of 6/],
  ['VALUE=1', /programs that were run do the same .* 3 of 4/],
  ['GLOBAL', /programs that were run do the same .* 3 of 4/],
  ['MAP', /programs that were run do the same .* 3 of 4/],
  ['CONTEXT', /programs that were run do the same .* 3 of 4/],
  ['PACKET', /programs that were run do the same .* 3 of 4/],
  ['LARGE', /slots, geomean/],
  ['LENIENT', /verdicts as annotated/],
])
  test(`${fault} is seen`, { skip }, () => {
    const { status, missed, said } = check(
      '--dir',
      dir,
      '--cc',
      `${CLANG} -D${fault}`,
    );
    assert.equal(status, 1, said);
    assert.ok(
      missed.some((line) => row.test(line)),
      said,
    );
  });

test('PROBED is seen in the VM', { skip: skip || (noVm() ?? false) }, () => {
  const { missed, said } = check('--dir', dir, '--cc', `${CLANG} -DPROBED`);
  const row = /others do the same in the VM .* 1 of 2/;
  assert.ok(
    missed.some((line) => row.test(line)),
    said,
  );
});

test(
  'a planted wrong operation is seen in random programs',
  { skip: skipRandom },
  () => {
    const fault = '-D__builtin_bswap64=~';
    const words = ['programs', '--programs', '8', '--cc'];
    assert.equal(check(...words, CLANG).status, 0);
    const { status, missed, said } = check(...words, `${CLANG} ${fault}`);
    assert.equal(status, 1, said);
    assert.ok(
      missed.some((line) => /generated programs: checksums/.test(line)),
      said,
    );
  },
);

test('a seed gives the same program again, another seed another', () => {
  assert.equal(generate(7), generate(7));
  assert.notEqual(generate(7), generate(8));
});

test('how an object differs that was written anew', () => {
  const raw = { asked: ['map a: 1', { program: 'p', tag: 'x' }], result: 0 };
  const other = (asked, result = 0) => reemitDiffers(raw, { asked, result });
  assert.equal(other(raw.asked), '');
  assert.equal(other(['map a: 2', raw.asked[1]]), 'map a: 2, raw map a: 1');
  assert.match(other(raw.asked.slice(0, 1)), /^result 0: , raw \{"program"/);
  assert.match(other([...raw.asked, 'map b: 1']), /^map b: 1, raw result 0/);
  assert.match(other(raw.asked, -22), /^result -22: , raw result 0/);
  assert.match(reemitDiffers(raw, { open: 22 }), /^result 22: , raw map a: 1/);
  assert.match(reemitDiffers(raw, undefined), /^result undefined/);
});
