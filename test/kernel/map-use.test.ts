/**
 * Maps as programs use them: each kind is reached from a program that runs here, and what it did is
 * read back from user space, or the other way. What user space does with maps alone is in map.test.ts.
 */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import {
  features,
  KernelMap,
  programIds,
  u32,
  u64,
  type KernelObject,
} from 'bpf';
import { describeUnless, root, testUnless } from '../support';
import {
  cgroupRoot,
  closeLoaded,
  counting,
  enterCgroup,
  getuid,
  lacks,
  leaveNothing,
  loadC,
  makeWire,
  noWire,
  olderThan,
  programOf,
  sectionBefore,
  slot,
} from './hooks';
import { errorOf, noKernel } from './support';

const word = (value: number): Uint8Array =>
  new Uint8Array(Uint32Array.of(value).buffer);
const long = (value: bigint | number): Uint8Array =>
  new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const packet = new Uint8Array(64);

/** A map of this object. */
function mapOf(object: KernelObject, name: string): KernelMap {
  const map = object.maps[name];
  if (map === undefined) throw new Error(`no map ${name}`);
  return map;
}

const map = (name: string, type: string, more: string): string =>
  `struct { __uint(type, BPF_MAP_TYPE_${type}); ${more} } ${name} SEC(".maps");`;
const typed = (key: string, value: string, entries = 8): string =>
  `__uint(max_entries, ${entries}); __type(key, ${key}); __type(value, ${value});`;
const refers = (entries = 8): string =>
  `__uint(max_entries, ${entries}); __uint(key_size, 4); __uint(value_size, 4);`;

const noType = (name: string): string | undefined =>
  noKernel ?? lacks(features.mapType(name));

const fdOf = (socket: unknown): number =>
  (socket as { _handle: { fd: number } })._handle.fd;

/** Two ends of a TCP connection to ourselves. */
async function connected(): Promise<{
  client: Socket;
  peer: Socket;
  close(): Promise<void>;
}> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as { port: number }).port);
  const [peer] = (await once(server, 'connection')) as [Socket];
  return {
    client,
    peer,
    async close() {
      client.destroy();
      peer.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describeUnless(noKernel, 'maps in use', () => {
  leaveNothing();

  describe('of a program by itself', () => {
    test('a tail call, and none where the place is empty', () => {
      const object = loadC(
        counting('xdp', {
          ctx: 'struct xdp_md *ctx',
          head: `${map('jumps', 'PROG_ARRAY', refers())}
SEC("xdp") int other(struct xdp_md *ctx) { count(1); return 3; }`,
          body: 'bpf_tail_call(ctx, &jumps, 2);',
          result: '1',
        }),
      );
      const run = (): number =>
        programOf(object).run({ data: packet }).returnValue;
      expect(run()).toBe(1);
      mapOf(object, 'jumps').setFd(word(2), programOf(object, 'other'));
      expect([run(), slot(object, 1)]).toEqual([3, 1n]);
      mapOf(object, 'jumps').delete(word(2));
      expect(run()).toBe(1);
    });

    test('a map inside of a map, changed while it is in use', () => {
      const object = loadC(
        counting('xdp', {
          head: `struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); ${typed('u32', 'u64', 1)} };
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 4); __type(key, u32);
  __array(values, struct inner); } outer SEC(".maps");`,
          body: `u32 key = 5, zero = 0;
void *inner = bpf_map_lookup_elem(&outer, &key);
u64 *value = inner ? bpf_map_lookup_elem(inner, &zero) : 0;
if (value) { put(1, *value); *value += 1; }`,
        }),
      );
      const [one, two] = [10n, 20n].map((value) =>
        KernelMap.create({
          type: 2,
          keySize: 4,
          valueSize: 8,
          maxEntries: 1,
          contents: [[word(0), long(value)]],
        }),
      );
      if (!one || !two) throw new Error('no maps');
      const run = (): bigint => {
        programOf(object).run({ data: packet });
        return slot(object, 1);
      };
      expect(run()).toBe(0n);
      mapOf(object, 'outer').setFd(word(5), one);
      expect([run(), run()]).toEqual([10n, 11n]);
      mapOf(object, 'outer').setFd(word(5), two);
      expect([run(), one.as(u32, u64).get(0)]).toEqual([20n, 12n]);
      one.close();
      two.close();
    });

    test('a queue, a stack and a Bloom filter', () => {
      const bloom = noType('bloom_filter') === undefined;
      const object = loadC(
        counting('xdp', {
          head: `${map('line', 'QUEUE', '__uint(max_entries, 4); __type(value, u64);')}
${map('pile', 'STACK', '__uint(max_entries, 4); __type(value, u64);')}
${bloom ? map('seen', 'BLOOM_FILTER', '__uint(max_entries, 100); __type(value, u64);') : ''}
u64 known = 2; /* Linux 7.3 takes what it peeks for on the stack for never read */`,
          body: `u64 one = 1, two = 2, out = 0;
bpf_map_push_elem(&line, &one, 0); bpf_map_push_elem(&line, &two, 0);
bpf_map_push_elem(&pile, &one, 0); bpf_map_push_elem(&pile, &two, 0);
if (!bpf_map_pop_elem(&line, &out)) put(1, out);
if (!bpf_map_pop_elem(&pile, &out)) put(2, out);
${bloom ? 'bpf_map_push_elem(&seen, &known, 0); put(3, bpf_map_peek_elem(&seen, &known) == 0);' : 'put(3, 1);'}`,
        }),
      );
      programOf(object).run({ data: packet });
      expect([1, 2, 3].map((i) => slot(object, i))).toEqual([1n, 2n, 1n]);
      expect(mapOf(object, 'line').take(new Uint8Array(0))).toEqual(long(2));
      expect(mapOf(object, 'pile').take(new Uint8Array(0))).toEqual(long(1));
      if (bloom)
        expect(
          mapOf(object, 'seen').lookup(new Uint8Array(0), 0, long(2)),
        ).toBeDefined();
    });

    test('the longest prefix', () => {
      const object = loadC(
        counting('xdp', {
          head: `struct prefix { u32 length; u8 address[4]; };
${map('routes', 'LPM_TRIE', `__uint(map_flags, 1); ${typed('struct prefix', 'u64')}`)}`,
          body: `struct prefix key = { 32, { 10, 1, 2, 3 } };
u64 *found = bpf_map_lookup_elem(&routes, &key);
if (found) put(1, *found);`,
        }),
      );
      const routes = mapOf(object, 'routes');
      routes.set(Uint8Array.of(8, 0, 0, 0, 10, 0, 0, 0), long(8));
      routes.set(Uint8Array.of(24, 0, 0, 0, 10, 1, 2, 0), long(24));
      programOf(object).run({ data: packet });
      expect(slot(object, 1)).toBe(24n);
    });

    test('values of one CPU each', () => {
      const object = loadC(
        counting('xdp', {
          head: ['PERCPU_ARRAY', 'PERCPU_HASH', 'LRU_PERCPU_HASH']
            .map((type, i) => map(`each${i}`, type, typed('u32', 'u64')))
            .join('\n'),
          body: [0, 1, 2]
            .map(
              (i) => `{ u32 key = 1; u64 first = 0;
bpf_map_update_elem(&each${i}, &key, &first, BPF_NOEXIST);
u64 *value = bpf_map_lookup_elem(&each${i}, &key); if (value) *value += 3; }`,
            )
            .join('\n'),
        }),
      );
      programOf(object).run({ data: packet, repeat: 5 });
      for (const i of [0, 1, 2]) {
        const values = new BigUint64Array(
          mapOf(object, `each${i}`).get(word(1))?.slice().buffer ??
            new ArrayBuffer(0),
        );
        expect(values.reduce((sum, value) => sum + value, 0n)).toBe(15n);
      }
    });

    const noArena = noType('arena');
    testUnless(noArena, 'an arena: pages that the program takes', async () => {
      const object = loadC(
        counting('syscall', {
          head: `${map('arena', 'ARENA', '__uint(map_flags, BPF_F_MMAPABLE); __uint(max_entries, 8);')}
#define __arena __attribute__((address_space(1)))
extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, __u32 count, int node,
                                           __u64 flags) __ksym __weak;
extern void bpf_arena_free_pages(void *map, void __arena *at, __u32 count) __ksym __weak;
u64 place;`,
          body: `volatile u64 __arena *page = bpf_arena_alloc_pages(&arena, (void __arena *)0, 1, -1, 0);
if (!page) return 1;
page[3] = 0x1122334455667788;
place = (u64)page;`,
        }),
      );
      const memory = mapOf(object, 'arena').memory();
      if (!memory) throw new Error('no memory');
      expect(programOf(object).run().returnValue).toBe(0);
      const data = Object.values(object.maps).find(({ name }) =>
        name.endsWith('.bss'),
      );
      const place = new DataView(
        (data?.memory() ?? new Uint8Array(8)).slice().buffer,
      ).getBigUint64(0, true);
      expect(place).not.toBe(0n);
      // Pages that nobody has taken are given to who touches them.
      const words = new BigUint64Array(memory.buffer);
      expect(words.indexOf(0x1122334455667788n) % 512).toBe(3);
      const { id } = programOf(object).info;
      object.close();
      expect([memory.length, words.length]).toEqual([0, 0]);
      // The object goes with the memory, when that is collected.
      setFlagsFromString('--expose-gc');
      const collect = runInNewContext('gc') as () => void;
      const isThere = (): boolean => [...programIds()].includes(id);
      for (let i = 0; i < 100 && isThere(); i++) {
        collect();
        await new Promise((done) => setTimeout(done, 10));
      }
      expect(isThere()).toBe(false);
    });
  });

  testUnless(noType('arena'), 'an arena has one address', () => {
    const make = (extra?: number): KernelMap =>
      KernelMap.create({
        type: 33, // BPF_MAP_TYPE_ARENA
        keySize: 0,
        valueSize: 0,
        maxEntries: 2,
        flags: 1 << 10, // BPF_F_MMAPABLE
        ...(extra !== undefined && { extra }),
      });
    for (const extra of [undefined, 2 ** 45]) {
      using arena = make(extra);
      using same = KernelMap.fromFd(arena.fd);
      expect(arena.memory()?.length).toBe(8192);
      const error = errorOf(() => same.memory());
      expect(error.code).toBe(extra === undefined ? 'EINVAL' : 'EEXIST');
      expect(error.message).toContain('an arena has one address');
    }
  });

  describe('of tasks and functions', () => {
    test('stacks, by their ids', () => {
      const object = loadC(
        counting('tp_btf/sys_enter', {
          head: map(
            'stacks',
            'STACK_TRACE',
            '__uint(max_entries, 64); __uint(key_size, 4); __uint(value_size, 8 * 16);',
          ),
          body: `if (bpf_get_current_pid_tgid() >> 32 != ${process.pid}) return 0;
put(1, bpf_get_stackid(ctx, &stacks, 0)); count(2);`,
        }),
      );
      const link = programOf(object).attach();
      getuid();
      link.close();
      expect(slot(object, 2)).toBeGreaterThanOrEqual(10n);
      const id = Number(BigInt.asIntN(64, slot(object, 1)));
      expect(id).toBeGreaterThanOrEqual(0);
      const frames = new BigUint64Array(
        mapOf(object, 'stacks').get(word(id))?.slice().buffer ??
          new ArrayBuffer(0),
      );
      // The kernel's half of the addresses.
      expect((frames[0] ?? 0n) >> 63n).toBe(1n);
    });

    test('CO-RE and what it reads of the kernel: our own task', () => {
      const object = loadC(
        counting('tp_btf/sys_enter', {
          head: '#include <bpf/bpf_core_read.h>',
          body: `struct task_struct *task = (void *)bpf_get_current_task();
if (bpf_get_current_pid_tgid() >> 32 != ${process.pid}) return 0;
put(1, BPF_CORE_READ(task, tgid)); put(2, BPF_CORE_READ(task, real_parent, tgid));`,
        }),
      );
      const link = programOf(object).attach();
      getuid();
      link.close();
      expect([slot(object, 1), slot(object, 2)]).toEqual([
        BigInt(process.pid),
        BigInt(process.ppid),
      ]);
    });

    const noTask =
      noType('task_storage') ??
      sectionBefore(
        '5.17',
        'tp_btf/sys_enter',
        {
          head: map(
            'own',
            'TASK_STORAGE',
            '__uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64);',
          ),
          body: 'bpf_task_storage_get(&own, bpf_get_current_task_btf(), 0, 1);',
        },
        'storage of tasks for tracing programs',
      );
    testUnless(noTask, 'storage of a task, read by its descriptor', () => {
      const object = loadC(
        counting('tp_btf/sys_enter', {
          head: map(
            'own',
            'TASK_STORAGE',
            '__uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64);',
          ),
          body: `struct task_struct *task = bpf_get_current_task_btf();
u64 *value = bpf_task_storage_get(&own, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
if (value && bpf_get_current_pid_tgid() == ${process.pid} * 0x100000001ull) __sync_fetch_and_add(value, 1);`,
        }),
      );
      const link = programOf(object).attach();
      getuid();
      link.close();
      // Node has no pidfd_open(2): a child of Python's hands one over to this package.
      const script = `
const { KernelMap, u64 } = require(process.env.PACKAGE);
const [id, fd] = process.argv.slice(1).map(Number);
const map = KernelMap.fromId(id);
const key = new Uint8Array(Uint32Array.of(fd).buffer);
const first = new BigUint64Array(map.lookup(key).buffer)[0];
const [had, has] = [map.delete(key), map.has(key)];
console.log(Number(first >= 10n), had, has);
map.close();`;
      const python = `import os, sys
fd = os.pidfd_open(int(sys.argv[3]))
os.set_inheritable(fd, True)
os.execv(sys.argv[1], [sys.argv[1], '-e', sys.argv[2], sys.argv[4], str(fd)])
`;
      const { id } = mapOf(object, 'own').info;
      const { error, stdout, stderr } = spawnSync(
        'python3',
        [
          ...['-c', python, process.execPath, script],
          ...[String(process.pid), String(id)],
        ],
        {
          encoding: 'utf8',
          env: { ...process.env, PACKAGE: join(root, 'dist/bindings/src') },
        },
      );
      if (error) console.log('skipped the descriptor: there is no python3');
      else expect(`${stdout}${stderr}`).toBe('1 true false\n');
    });

    testUnless(
      noType('inode_storage'),
      'storage of files, from user space',
      () => {
        using files = KernelMap.create({
          type: 28, // BPF_MAP_TYPE_INODE_STORAGE
          keySize: 4,
          valueSize: 8,
          maxEntries: 0,
          flags: 1,
        });
        const fd = openSync('/proc/self/comm', 'r');
        expect(files.has(word(fd))).toBe(false);
        files.update(word(fd), long(7));
        expect(files.get(word(fd))).toEqual(long(7));
        expect(files.delete(word(fd))).toBe(true);
        closeSync(fd);
      },
    );
  });

  describe('of sockets', () => {
    test('storage of a socket, read by its descriptor and by an iterator', async () => {
      const object = loadC(
        counting('iter/bpf_sk_storage_map', {
          ctx: 'struct bpf_iter__bpf_sk_storage_map *ctx',
          head: map(
            'own',
            'SK_STORAGE',
            '__uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64);',
          ),
          body: `u64 *value = ctx->value;
if (value) bpf_seq_write(ctx->meta->seq, value, 8);`,
        }),
      );
      const { client, close } = await connected();
      const own = mapOf(object, 'own');
      const key = word(fdOf(client));
      expect(own.has(key)).toBe(false);
      own.update(key, long(77));
      expect(own.get(key)).toEqual(long(77));
      const link = programOf(object).attach({ kind: 'iter', map: own });
      expect(Uint8Array.from(link.read())).toEqual(long(77));
      link.close();
      expect(own.delete(key)).toBe(true);
      await close();
    });

    for (const type of ['SOCKMAP', 'SOCKHASH'])
      test(`a message that goes to another socket: ${type}`, async () => {
        const object = loadC(
          counting('sk_msg', {
            ctx: 'struct sk_msg_md *ctx',
            head: map('sockets', type, typed('u32', 'u64', 4)),
            body: `u32 key = 1;
${type === 'SOCKMAP' ? 'return bpf_msg_redirect_map(ctx, &sockets, key, BPF_F_INGRESS);' : 'return bpf_msg_redirect_hash(ctx, &sockets, &key, BPF_F_INGRESS);'}`,
          }),
        );
        const [from, to] = [await connected(), await connected()];
        const sockets = mapOf(object, 'sockets');
        const link = programOf(object).attach({
          kind: 'sockmap',
          map: sockets,
        });
        sockets.set(word(0), long(fdOf(from.client)));
        sockets.set(word(1), long(fdOf(to.client)));
        // What a map of sockets tells is their cookie, where it tells at all.
        from.client.write('diverted');
        const [data] = (await once(to.client, 'data')) as [Buffer];
        expect(data.toString()).toBe('diverted');
        expect(slot(object)).toBeGreaterThan(0n);
        for (const key of [0, 1]) sockets.delete(word(key));
        link.close();
        await Promise.all([from.close(), to.close()]);
      });

    const locksUp = olderThan('5.11')
      ? 'Linux 5.10 goes round forever where a parsed message passes'
      : undefined;
    testUnless(
      locksUp,
      'sk_skb/stream_parser says how long a message is',
      async () => {
        const object = loadC(
          counting('sk_skb/stream_parser', {
            ctx: 'struct __sk_buff *ctx',
            head: `${map('sockets', 'SOCKMAP', typed('u32', 'u64', 4))}
SEC("sk_skb/stream_verdict") int verdict(struct __sk_buff *ctx) { count(1); return 1; }`,
            result: '4',
          }),
        );
        const { client, peer, close } = await connected();
        const sockets = mapOf(object, 'sockets');
        const links = ['prog', 'verdict'].map((name) =>
          programOf(object, name).attach({ kind: 'sockmap', map: sockets }),
        );
        sockets.set(word(0), long(fdOf(peer)));
        peer.on('data', () => {});
        client.write('fourfour');
        for (let i = 0; i < 100 && slot(object, 1) < 2n; i++)
          await new Promise((done) => setTimeout(done, 10));
        expect(slot(object, 1)).toBe(2n);
        for (const link of links) link.close();
        await close();
      },
    );
  });

  const noGroup = cgroupRoot() ? undefined : 'cgroup2 is not mounted';
  describeUnless(noGroup, 'of control groups', () => {
    test('an array of them: is a task below one', () => {
      const object = loadC(
        counting('tp_btf/sys_enter', {
          head: map('groups', 'CGROUP_ARRAY', refers(2)),
          body: `if (bpf_get_current_pid_tgid() >> 32 == ${process.pid})
  count(1 + bpf_current_task_under_cgroup(&groups, 0));`,
        }),
      );
      const group = enterCgroup();
      const fd = openSync(group.path, 'r');
      mapOf(object, 'groups').setFd(word(0), { fd });
      const link = programOf(object).attach();
      getuid();
      const inside = slot(object, 2);
      expect(inside).toBeGreaterThanOrEqual(10n);
      closeSync(fd);
      group.leave();
      const before = slot(object, 1);
      getuid();
      expect(slot(object, 1)).toBeGreaterThanOrEqual(before + 10n);
      link.close();
      mapOf(object, 'groups').delete(word(0));
    });

    for (const [type, helper] of [
      ['CGROUP_STORAGE', ''],
      ['PERCPU_CGROUP_STORAGE', ''],
      ['CGRP_STORAGE', 'cgrp'],
    ] as const)
      testUnless(
        noType(type.toLowerCase()),
        `what one keeps for a program: ${type}`,
        async () => {
          const group = enterCgroup();
          try {
            const body = helper
              ? `struct task_struct *task = bpf_get_current_task_btf();
u64 *value = bpf_cgrp_storage_get(&kept, task->cgroups->dfl_cgrp, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
if (value) __sync_fetch_and_add(value, 5);`
              : 'u64 *value = bpf_get_local_storage(&kept, 0); __sync_fetch_and_add(value, 5);';
            const object = loadC(
              counting(helper ? 'tp_btf/sys_enter' : 'cgroup/sock_create', {
                head: helper
                  ? map(
                      'kept',
                      type,
                      '__uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64);',
                    )
                  : map(
                      'kept',
                      type,
                      '__type(key, struct bpf_cgroup_storage_key); __type(value, u64);',
                    ),
                body: helper
                  ? `if (bpf_get_current_pid_tgid() == ${process.pid} * 0x100000001ull) { ${body} }`
                  : body,
                result: '1',
              }),
            );
            const link = programOf(object).attach(
              helper ? undefined : { kind: 'cgroup', path: group.path },
            );
            const socket = createSocket('udp4');
            socket.bind(0);
            await once(socket, 'listening');
            socket.close();
            const kept = mapOf(object, 'kept');
            const fd = openSync(group.path, 'r');
            const key = helper ? word(fd) : kept.nextKey();
            const values = new BigUint64Array(
              kept.lookup(key ?? word(0))?.slice().buffer ?? new ArrayBuffer(0),
            );
            expect(values.reduce((sum, value) => sum + value, 0n) % 5n).toBe(
              0n,
            );
            expect(values.some((value) => value >= 5n)).toBe(true);
            closeSync(fd);
            link.close();
          } finally {
            closeLoaded();
            group.leave();
          }
        },
      );
  });

  describeUnless(noWire(), 'of packets', () => {
    const noGeneric = olderThan('5.14')
      ? 'generic XDP runs programs of devices from Linux 5.14 on'
      : undefined;
    testUnless(noGeneric, 'XDP sends packets on, by a program', async () => {
      const [left, right] = [makeWire(), makeWire()];
      try {
        const index = (name: string): number =>
          Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
        for (const type of ['DEVMAP', 'DEVMAP_HASH']) {
          const object = loadC(
            counting('xdp', {
              ctx: 'struct xdp_md *ctx',
              head: `${map('devices', type, '__uint(max_entries, 4); __type(key, u32); __type(value, struct bpf_devmap_val);')}
SEC("xdp/devmap") int leaving(struct xdp_md *ctx) { count(1); put(2, ctx->egress_ifindex); return XDP_PASS; }`,
              body: 'return bpf_redirect_map(&devices, 0, XDP_PASS);',
            }),
          );
          const value = new Uint8Array(8);
          new DataView(value.buffer).setUint32(0, index(right.near), true);
          const { fd } = programOf(object, 'leaving');
          new DataView(value.buffer).setInt32(4, fd, true);
          mapOf(object, 'devices').set(word(0), value);
          const link = programOf(object).attach({
            kind: 'xdp',
            interface: left.near,
            mode: 'generic',
          });
          left.sendHere(45_118);
          for (let i = 0; i < 100 && slot(object, 1) === 0n; i++)
            await new Promise((done) => setTimeout(done, 10));
          expect([
            slot(object) > 0n,
            slot(object, 1) > 0n,
            slot(object, 2),
          ]).toEqual([true, true, BigInt(index(right.near))]);
          const told = mapOf(object, 'devices').get(word(0));
          // The descriptor comes back as the program's id.
          expect(
            new DataView((told ?? value).slice().buffer).getUint32(4, true),
          ).toBe(programOf(object, 'leaving').info.id);
          link.close();
        }
      } finally {
        left.remove();
        right.remove();
      }
    });

    test('XDP hands packets to a CPU, where another program runs', async () => {
      const wire = makeWire();
      try {
        const object = loadC(
          counting('xdp', {
            head: `${map('cpus', 'CPUMAP', '__uint(max_entries, 1); __type(key, u32); __type(value, struct bpf_cpumap_val);')}
SEC("xdp/cpumap") int there(struct xdp_md *ctx) { count(1); put(2, bpf_get_smp_processor_id() + 1); return XDP_PASS; }`,
            body: 'return bpf_redirect_map(&cpus, 0, XDP_PASS);',
          }),
        );
        const value = new Uint8Array(8);
        new DataView(value.buffer).setUint32(0, 192, true);
        const { fd } = programOf(object, 'there');
        new DataView(value.buffer).setInt32(4, fd, true);
        mapOf(object, 'cpus').set(word(0), value);
        const link = programOf(object).attach({
          kind: 'xdp',
          interface: wire.near,
          mode: 'native',
        });
        wire.sendHere(45_119);
        for (let i = 0; i < 100 && slot(object, 1) === 0n; i++)
          await new Promise((done) => setTimeout(done, 10));
        expect([slot(object, 1) > 0n, slot(object, 2)]).toEqual([true, 1n]);
        link.close();
        mapOf(object, 'cpus').delete(word(0));
      } finally {
        wire.remove();
      }
    });
  });
});
