/**
 * Maps of sockets that a program chooses from, of kinds that Node cannot make: those that share a port
 * come from Python, the AF_XDP socket from a small C program; both start Node with the descriptors.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect } from '@jest/globals';
import { features } from 'bpf';
import { describeUnless, root, testUnless } from '../support';
import {
  counting,
  lacks,
  makeWire,
  noWire,
  olderThan,
  temporary,
  unbuilt,
} from './hooks';
import { noKernel, within } from './support';

const environment = (more: Record<string, string>): NodeJS.ProcessEnv => ({
  ...process.env,
  PACKAGE: join(root, 'dist/bindings/src'),
  ...more,
});

/** What the scripts start with: the object of TEXT, its link, words of keys, numbers that it left. */
const opening = `
const { compile, load, u32, u64 } = require(process.env.PACKAGE);
const object = load(compile(process.env.TEXT));
const { sockets, slots } = object.maps;
const word = (value) => new Uint8Array(Uint32Array.of(value).buffer);
const slot = (index) => Number(slots.as(u32, u64).get(index));
`;

describeUnless(noKernel, 'sockets that share a port', () => {
  const missing =
    (spawnSync('python3', ['-V']).error
      ? 'there is no python3 for sockets with SO_REUSEPORT'
      : undefined) ?? lacks(features.mapType('reuseport_sockarray'));

  testUnless(missing, 'a program chooses one by what is in the packet', () => {
    const text = counting('sk_reuseport', {
      ctx: 'struct sk_reuseport_md *ctx',
      head: `struct { __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
__uint(max_entries, 4); __type(key, u32); __type(value, u64); } sockets SEC(".maps");`,
      body: `u8 *data = ctx->data;
    if ((void *)(data + 9) > ctx->data_end) /* the header of UDP, and a byte */
        return SK_DROP;
    u32 key = data[8] - '0';
    int rc = bpf_sk_select_reuseport(ctx, &sockets, &key, 0);
    if (rc) { put(1, -rc); return SK_DROP; }`,
      result: 'SK_PASS',
    });
    const script = `${opening}
const { createSocket } = require('dgram');
const [port, ...fds] = process.argv.slice(1).map(Number);
fds.forEach((fd, index) => sockets.setFd(word(index), { fd }));
const link = object.programs.prog.attach({ kind: 'reuseport', fd: fds[0] });
const sender = createSocket('udp4');
const got = [];
const receivers = fds.map((fd, index) =>
  createSocket('udp4').on('message', (text) => got.push(index + ' ' + text)).bind({ fd }));
const send = (text) => new Promise((done) => sender.send(text, port, '127.0.0.1', done));
const settle = async (count) => {
  for (let i = 0; i < 200 && got.length < count; i++) await new Promise((done) => setTimeout(done, 10));
};
(async () => {
  for (const text of ['1 a', '0 b', '1 c', '2 d']) await send(text);
  await settle(3);
  sockets.delete(word(1));
  await send('1 e'); // nobody is there any more
  await send('0 f');
  await settle(4);
  console.log(JSON.stringify({
    got: got.sort(), runs: slot(0), errno: slot(1),
    there: [0, 1].map((key) => sockets.lookup(word(key)) !== undefined),
  }));
  link.close();
  object.close();
  for (const socket of [sender, ...receivers]) socket.close();
})();`;
    const python = `import socket, os, sys
first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for s in (first, second):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(('127.0.0.1', first.getsockname()[1]))
    s.set_inheritable(True)
port = first.getsockname()[1]
os.execv(sys.argv[1], [sys.argv[1], '-e', sys.argv[2], str(port), str(first.fileno()), str(second.fileno())])
`;
    const { stdout, stderr } = spawnSync(
      'python3',
      ['-c', python, process.execPath, script],
      { encoding: 'utf8', env: environment({ TEXT: text }) },
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      got: ['0 0 b', '0 0 f', '1 1 a', '1 1 c'],
      runs: 6,
      errno: 2, // ENOENT
      there: [true, false],
    });
  });
});

describeUnless(noWire(), 'AF_XDP sockets', () => {
  const folder = temporary();
  const program = join(folder.path, 'xsk');
  const missing =
    (spawnSync('gcc', ['-v']).error
      ? 'there is no gcc for an AF_XDP socket'
      : undefined) ??
    lacks(features.mapType('xskmap')) ??
    unbuilt('XDP_SOCKETS');
  afterAll(() => folder.remove());

  testUnless(missing, 'XDP gives them whole packets', () => {
    writeFileSync(`${program}.c`, xskSource);
    const built = spawnSync('gcc', ['-o', program, `${program}.c`], {
      encoding: 'utf8',
    });
    expect(`${built.status} ${built.stderr}`).toBe('0 ');
    const wire = makeWire();
    try {
      const text = counting('xdp', {
        ctx: 'struct xdp_md *ctx',
        head: `struct { __uint(type, BPF_MAP_TYPE_XSKMAP);
__uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } sockets SEC(".maps");`,
        body: `u32 queue = ctx->rx_queue_index;
    u8 *data = (void *)(long)ctx->data;
    if ((void *)(data + 38) > (void *)(long)ctx->data_end || data[12] != 8 || data[13] != 0 ||
        data[23] != 17 || data[36] != 0xb0 || data[37] != 0x4f) /* UDP to port 45135 */
        return XDP_PASS;
    count(1);
    if (bpf_map_lookup_elem(&sockets, &queue)) count(2);
    return bpf_redirect_map(&sockets, queue, XDP_DROP);`,
        result: 'XDP_PASS',
      });
      const script = `${opening}
const { execFileSync } = require('child_process');
const { fd, NEAR, NAMESPACE, ADDRESS } = process.env;
const send = () => execFileSync('ip', ['netns', 'exec', NAMESPACE, process.execPath, '-e',
  "const s = require('dgram').createSocket('udp4'); s.send('hello', 45135, '" + ADDRESS + "', () => s.close())"],
  { stdio: ['ignore', 'ignore', 'pipe'] });
const link = object.programs.prog.attach({ kind: 'xdp', interface: NEAR, mode: 'generic' });
const told = {};
send(); // no socket is there yet: it is dropped
told.before = [slot(1), slot(2)];
sockets.setFd(word(0), { fd: Number(process.env.XSK) });
send();
send();
told.with = [slot(1), slot(2)];
process.stdin.on('data', () => {}).on('end', () => { // who has the socket has read it
  told.had = sockets.delete(word(0));
  send();
  told.after = [slot(1), slot(2)];
  console.log(JSON.stringify(told));
  link.close();
  object.close();
});`;
      const index = readFileSync(`/sys/class/net/${wire.near}/ifindex`, 'utf8');
      const { stdout, stderr } = spawnSync(
        program,
        [index.trim(), process.execPath, '-e', script],
        {
          encoding: 'utf8',
          timeout: within(20_000),
          env: environment({
            TEXT: text,
            NEAR: wire.near,
            NAMESPACE: wire.namespace,
            ADDRESS: wire.nearAddress,
          }),
        },
      );
      expect(stderr).toBe('');
      const [packets, told] = stdout.trim().split('\n');
      // Ethernet, IPv4 and UDP with five bytes, twice.
      expect(packets).toBe('47 hello 47 hello');
      const seen = olderThan('5.3') ? 0 : 1; // programs could not look such maps up
      expect(JSON.parse(told ?? '')).toEqual({
        before: [1, 0],
        with: [3, 2 * seen],
        had: true,
        after: [4, 2 * seen],
      });
    } finally {
      wire.remove();
    }
  });
});

/**
 * Makes an AF_XDP socket for queue 0 of interface argv[1], starts the rest as a command that has its
 * descriptor as XSK, prints the two packets that come, and then closes the command's input.
 */
const xskSource = `
#define _GNU_SOURCE
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAMES = 64, SIZE = 2048, ENTRIES = 64, WANTED = 2 };

static void need(int ok, const char *what) {
    if (ok)
        return;
    perror(what);
    exit(1);
}

static void *ring(int fd, uint64_t offset, size_t size) {
    void *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
    need(at != MAP_FAILED, "mmap");
    return at;
}

int main(int argc, char **argv) {
    int fd = socket(AF_XDP, SOCK_RAW, 0), entries = ENTRIES, end[2];
    char *memory = mmap(0, FRAMES * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct xdp_umem_reg umem = {.addr = (uintptr_t)memory, .len = FRAMES * SIZE, .chunk_size = SIZE};
    struct xdp_mmap_offsets at;
    socklen_t size = sizeof(at);

    need(argc > 2 && fd >= 0 && memory != MAP_FAILED, "socket");
    need(!setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)), "XDP_UMEM_REG");
    need(!setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &entries, 4), "fill ring");
    need(!setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &entries, 4), "completion ring");
    need(!setsockopt(fd, SOL_XDP, XDP_RX_RING, &entries, 4), "RX ring");
    need(!getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size), "offsets");
    char *fill = ring(fd, XDP_UMEM_PGOFF_FILL_RING, at.fr.desc + ENTRIES * 8);
    char *rx = ring(fd, XDP_PGOFF_RX_RING, at.rx.desc + ENTRIES * sizeof(struct xdp_desc));
    for (int i = 0; i < 8; i++)
        ((uint64_t *)(fill + at.fr.desc))[i] = (uint64_t)i * SIZE;
    __atomic_store_n((uint32_t *)(fill + at.fr.producer), 8, __ATOMIC_RELEASE);
    struct sockaddr_xdp to = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY, .sxdp_ifindex = atoi(argv[1])};
    need(!bind(fd, (void *)&to, sizeof(to)), "bind");

    char number[16];
    snprintf(number, sizeof(number), "%d", fd);
    setenv("XSK", number, 1);
    need(!pipe(end), "pipe");
    pid_t child = fork();
    if (!child) {
        dup2(end[0], 0);
        close(end[1]);
        execv(argv[2], argv + 2);
        _exit(127);
    }
    uint32_t *producer = (uint32_t *)(rx + at.rx.producer);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (__atomic_load_n(producer, __ATOMIC_ACQUIRE) < WANTED && waitpid(child, 0, WNOHANG) == 0)
        poll(&ready, 1, 50);
    uint32_t count = __atomic_load_n(producer, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count; i++) {
        struct xdp_desc *one = (struct xdp_desc *)(rx + at.rx.desc) + i;
        printf("%s%u %.5s", i ? " " : "", one->len, memory + one->addr + one->len - 5);
    }
    puts("");
    fflush(stdout);
    close(end[1]);
    waitpid(child, 0, 0);
    return count != WANTED;
}
`;
