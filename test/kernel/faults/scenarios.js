// The scenarios of run.js: everything that this package asks of the kernel. Each is
//   setup()  once, before: objects that are not under test, sockets, interfaces
//   run(state, keep)  what is tried with faults; keep() closes a handle at the end of the run
//   undo(state)  after each run;  teardown(state)  at the end
//   left(state)  what is still attached after a run, where no descriptor and no id would tell
//   skip  { call: [errno, …] } that are an answer of the call and no failure
//   maps  calls whose errno becomes another one
//   since  the Linux that came with it; older ones on which it fails without a fault leave it out
'use strict';
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const root = path.join(__dirname, '../../..');
const bpf = require(path.join(root, 'dist/bindings/src/index.js'));
const { MapType, MapFlags, load, compile, assemble, KernelMap } = bpf;

const counting = (
  section,
  { head = '', body = '', result = '0', ctx = 'void *ctx' } = {},
) => `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 8);
    __type(key, u32);
    __type(value, u64);
} slots SEC(".maps");
const volatile u64 step = 1;
u64 total;
${head}
SEC("${section}")
int prog(${ctx}) {
    u32 slot = 0;
    u64 *value = bpf_map_lookup_elem(&slots, &slot);
    if (value)
        *value += step;
    total += step;
    ${body}
    return ${result};
}
char LICENSE[] SEC("license") = "GPL";
`;
/** What bpf_tracing.h wants to know. */
const arch = process.arch === 'x64' ? 'x86' : process.arch;
const compileC = (text) =>
  compile(text, {
    warnings: ['none'],
    defines: { [`__TARGET_ARCH_${arch}`]: true },
  });
const C = (section, parts) => compileC(counting(section, parts));

const u32 = (number) => new Uint8Array(Uint32Array.of(number).buffer);
const u64 = (number) =>
  new Uint8Array(BigUint64Array.of(BigInt(number)).buffer);

/** The instruction. */
const exit = [0x95, 0, 0, 0, 0, 0, 0, 0];

/** A loaded object that stays; scenarios of attaching are about the rest. */
const loaded = (section, parts) => () => ({ object: load(C(section, parts)) });
const closeObject = (state) => state.object.close();

/** Attaching by this target. */
const attaching = (section, target, parts, more = {}) => ({
  setup: loaded(section, parts),
  teardown: closeObject,
  run({ object }, keep) {
    const link = keep(object.programs.prog.attach(target));
    return link.fd < 0
      ? 'attached'
      : {
          ...link.info(),
          id: 0,
          programId: 0,
          address: 0,
          addresses: 0,
          targetBtfId: 0,
          missed: 0,
        };
  },
  ...more,
});

/** The mount point of cgroup2. */
const cgroupRoot = () =>
  /^\S+ (\S+) cgroup2 /m.exec(fs.readFileSync('/proc/mounts', 'utf8'))?.[1];

/** Programs at a place, whoever holds them. */
const attached = (...places) =>
  places.flatMap((place) =>
    bpf.query(place).programs.map((one) => ({ ...place, ...one })),
  );

/** Whether this Linux is older than that release. */
function olderThan(since) {
  const [here, there] = [os.release(), since].map((text) =>
    text.split('.').map(Number.parseFloat),
  );
  return here[0] < there[0] || (here[0] === there[0] && here[1] < there[1]);
}
/** Whether hash maps look up and delete at once. */
const takesHere = !olderThan('5.14');
/** Whether it has, or ought to have, maps of this type. */
function isHere([type]) {
  const { answer, since } = bpf.features.mapType(type);
  return answer === 'yes' || since === undefined || !olderThan(since);
}

/** With an interface, which goes away at the end. */
const wired = (section, target, parts, more = {}) => ({
  ...attaching(section, undefined, parts),
  setup() {
    const state = loaded(section, parts)();
    const near = `fa${process.pid % 1e6}`;
    execFileSync('ip', [
      'link',
      'add',
      near,
      'type',
      'veth',
      'peer',
      'name',
      `fb${process.pid % 1e6}`,
    ]);
    return {
      ...state,
      near,
      target: { ...target, interface: near },
    };
  },
  teardown(state) {
    closeObject(state);
    spawnSync('ip', ['link', 'del', state.near]);
  },
  run(state, keep) {
    const link = keep(state.object.programs.prog.attach(state.target));
    return link.fd < 0 ? 'attached' : { ...link.info(), id: 0, programId: 0 };
  },
  left: ({ near }) =>
    attached(
      { kind: 'xdp', interface: near },
      { kind: 'tc', interface: near },
      ...(hasTcx() ? [{ kind: 'tcx', interface: near }] : []),
    ),
  ...more,
});
const hasTcx = () => bpf.features.attachType('tcx_ingress').answer === 'yes';

/** Attaches there, puts another program in its place and detaches that. */
function replacing(section, target, more) {
  const parts = { result: section === 'tc' ? '-1' : '2' };
  const place = wired(section, target, parts, more);
  return {
    ...place,
    setup: () => ({ ...place.setup(), other: load(C(section, parts)) }),
    teardown(state) {
      place.teardown(state);
      state.other.close();
    },
    run({ object, other, target }, keep) {
      const { prog } = object.programs;
      const link = keep(prog.attach(target));
      link.update(other.programs.prog, { old: prog });
      link.detach();
      return 'detached';
    },
  };
}

/** In a cgroup of its own, that nobody is in. */
const grouped = (section, mode) => ({
  ...attaching(section, undefined, { result: '1' }),
  unless: () => (cgroupRoot() ? undefined : 'there is no cgroup2'),
  setup() {
    const folder = path.join(cgroupRoot(), `faults-${process.pid}`);
    fs.mkdirSync(folder);
    return { ...loaded(section, { result: '1' })(), folder };
  },
  teardown(state) {
    closeObject(state);
    fs.rmdirSync(state.folder);
  },
  left: ({ folder }) => attached({ kind: 'cgroup', path: folder }),
  run({ object, folder }, keep) {
    const link = keep(
      object.programs.prog.attach({ kind: 'cgroup', path: folder, mode }),
    );
    return link.fd < 0 ? 'attached' : { ...link.info(), id: 0, programId: 0 };
  },
});

const sockets = `struct { __uint(type, BPF_MAP_TYPE_SOCKMAP); __uint(max_entries, 4);
    __type(key, u32); __type(value, u64); } sockets SEC(".maps");`;
const sockmap = (legacy) => ({
  ...attaching('sk_msg', undefined, { head: sockets, result: '1' }),
  run({ object }, keep) {
    const link = keep(
      object.programs.prog.attach({
        kind: 'sockmap',
        map: object.maps.sockets,
        legacy,
      }),
    );
    return link.fd < 0
      ? 'attached'
      : { ...link.info(), id: 0, programId: 0, mapId: 0 };
  },
});

/** A map of the kernel that stays, and what is done with it. */
const onMap = (def, run, more = {}) => ({
  setup: () => ({ map: KernelMap.create(def) }),
  teardown: ({ map }) => map.close(),
  run: ({ map }, keep) => run(map, keep),
  // The answers of these calls, which the map's interface gives as such.
  skip: {
    BPF_MAP_LOOKUP_ELEM: ['ENOENT'],
    BPF_MAP_DELETE_ELEM: ['ENOENT'],
    BPF_MAP_GET_NEXT_KEY: ['ENOENT'],
    BPF_MAP_LOOKUP_AND_DELETE_ELEM: ['ENOENT'],
    BPF_MAP_LOOKUP_BATCH: ['ENOENT'],
    BPF_MAP_LOOKUP_AND_DELETE_BATCH: ['ENOENT'],
  },
  ...more,
});
const hash = {
  name: 'hash',
  type: MapType.HASH,
  keySize: 4,
  valueSize: 8,
  maxEntries: 600,
};
const array = {
  name: 'array',
  type: MapType.ARRAY,
  keySize: 4,
  valueSize: 8,
  maxEntries: 4,
};
const shapes = {
  HASH: {},
  ARRAY: {},
  PERCPU_HASH: {},
  PERCPU_ARRAY: {},
  LRU_HASH: {},
  LPM_TRIE: { keySize: 8, flags: MapFlags.NO_PREALLOC },
  PROG_ARRAY: { valueSize: 4 },
  PERF_EVENT_ARRAY: { valueSize: 4 },
  CGROUP_ARRAY: { valueSize: 4 },
  STACK_TRACE: { valueSize: 80 },
  DEVMAP: { valueSize: 4 },
  CPUMAP: { valueSize: 4 },
  XSKMAP: { valueSize: 4 },
  SOCKMAP: {},
  SOCKHASH: {},
  QUEUE: { keySize: 0 },
  STACK: { keySize: 0 },
  BLOOM_FILTER: { keySize: 0 },
  RINGBUF: { keySize: 0, valueSize: 0, maxEntries: 4096 },
  USER_RINGBUF: { keySize: 0, valueSize: 0, maxEntries: 4096 },
  SK_STORAGE: { maxEntries: 0, flags: MapFlags.NO_PREALLOC },
  TASK_STORAGE: { maxEntries: 0, flags: MapFlags.NO_PREALLOC },
  ARENA: { keySize: 0, valueSize: 0, flags: MapFlags.MMAPABLE },
};

/** A pin root of its own. */
/** Whether a link holds the program. */
function isAttached(program) {
  const { id } = program.info;
  for (const link of bpf.linkIds())
    try {
      const one = bpf.Link.fromId(link);
      const { programId } = one.info();
      one.close();
      if (programId === id) return true;
    } catch {} // it has gone
  return false;
}

const pinning = (run, more) => ({
  ...more,
  setup() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'faults-'));
    bpf.mountBpffs(folder);
    return { folder, map: KernelMap.create(array), ...loaded('raw_tp')() };
  },
  teardown({ folder, map, object }) {
    map.close();
    object.close();
    spawnSync('umount', [folder]);
    fs.rmdirSync(folder);
  },
  undo({ folder, object }) {
    for (const name of ['map', 'prog', 'link'])
      fs.rmSync(path.join(folder, name), { force: true });
    // Links go a little after their names, and before Linux 6.10 a tracepoint takes a program once.
    for (let i = 0; i < 400 && isAttached(object.programs.prog); i++)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  },
  run,
});

/** A pin that is gone when it is looked at is left out of the list. */
const vanishing = {
  differs: (result, errno, baseline) =>
    errno === os.constants.errno.ENOENT &&
    JSON.parse(baseline)[1].length - JSON.parse(result)[1].length === 1,
};

const asked = [
  ['mapType', 'hash'],
  ['mapType', 'array_of_maps'],
  ['mapType', 'sk_storage'],
  ['mapType', 'struct_ops'],
  ['programType', 'xdp'],
  ['programType', 'tracing'],
  ['programType', 'ext'],
  ['programType', 'lsm'],
  ['programType', 'struct_ops'],
  ['attachType', 'xdp'],
  ['attachType', 'trace_fentry'],
  ['attachType', 'trace_raw_tp'],
  ['attachType', 'trace_iter'],
  ['attachType', 'lsm_mac'],
  ['attachType', 'trace_kprobe_multi'],
  ['attachType', 'trace_uprobe_multi'],
  ['attachType', 'tcx_ingress'],
  ['attachType', 'netkit_primary'],
  ['attachType', 'netfilter'],
  ['attachType', 'cgroup_inet_ingress'],
  ['attachType', 'sk_lookup'],
  ['attachType', 'struct_ops'],
  ['attachType', 'perf_event'],
  ['helper', 'redirect', 'xdp'],
  ['helper', 'probe_read_kernel', 'kprobe'],
  ['kfunc', 'bpf_task_acquire'],
  ['linkType', 'raw_tracepoint'],
  ['linkType', 'perf_event'],
  ['linkType', 'xdp'],
  ['linkType', 'iter'],
  ['linkType', 'struct_ops'],
  ['linkType', 'cgroup'],
  ['linkType', 'tracing'],
  ['linkType', 'netns'],
  ['linkType', 'tcx'],
  ['linkType', 'sockmap'],
  ['mapFlag', 'mmapable'],
  ['mapFlag', 'link'],
  ['programFlag', 'sleepable'],
  ['programFlag', 'xdp_has_frags'],
  ['btfKind', 'enum64'],
  ['btfKind', 'float'],
];

/** "No" must mean that the kernel has it not. */
const conclusive =
  'EINVAL E2BIG EOPNOTSUPP ENOENT ESRCH EBADF ENODEV EFAULT'.split(' ');
const feature = ([kind, name, of]) => [
  `feature ${kind} ${name}`,
  {
    run() {
      const { answer, reason } = addon().probeFeature(
        of === undefined ? { kind, name } : { kind, name, of },
      );
      return [answer, answer === 'inconclusive' ? reason?.length > 10 : ''];
    },
    differs: (result, errno, baseline) =>
      conclusive.some((code) => os.constants.errno[code] === errno) ||
      JSON.parse(result)[0] === JSON.parse(baseline)[0] ||
      result === '["inconclusive",true]',
  },
];

/** A module of the package with nothing remembered. */
function fresh(name) {
  for (const file of ['features', 'doctor'])
    delete require.cache[
      require.resolve(path.join(root, `dist/bindings/src/${file}.js`))
    ];
  return require(path.join(root, `dist/bindings/src/${name}.js`));
}

const { addon } = require(path.join(root, 'dist/bindings/src/addon.js'));

/** Of netlink EBUSY is the kernel's word that another program is there, and none of recvmsg(2)'s. */
const busyIsAnswer = { skip: { recvmsg: ['EBUSY'] } };

/** Where /proc is not to be read it tells nothing. */
const noProc = { fopen: ['EPERM', 'EACCES', 'ENOENT'] };

module.exports = {
  'load an object': {
    skip: noProc,
    setup: () => ({ object: C('xdp', { result: '2' }) }),
    run({ object }, keep) {
      const loaded = keep(load(object, { logLevel: 1 }));
      const { prog } = loaded.programs;
      const { type, instructionCount, id } = prog.info;
      const { returnValue } = prog.run({ data: new Uint8Array(64) });
      const maps = Object.values(loaded.maps).map(({ info }) => [
        info.name,
        info.valueSize,
        info.frozen,
        info.id > 0,
      ]);
      return {
        type,
        instructionCount,
        maps,
        id: id > 0,
        returnValue,
        log: prog.log()?.length > 0,
      };
    },
  },
  'load an object off the event loop': {
    setup: () => ({ object: C('xdp') }),
    async run({ object }, keep) {
      const contents = [[u32(3), u64(7)]];
      const loaded = keep(
        await bpf.loadAsync(object, { maps: { slots: { contents } } }),
      );
      return loaded.maps.slots.as(bpf.u32, bpf.u64).get(3);
    },
    skip: { ...noProc, BPF_MAP_LOOKUP_ELEM: ['ENOENT'] },
  },
  'load bare instructions': {
    setup: () => ({ map: KernelMap.create(array) }),
    teardown: ({ map }) => map.close(),
    run({ map }, keep) {
      const two = Uint8Array.of(...[0xb7, 0, 0, 0, 2, 0, 0, 0], ...exit);
      const plain = keep(
        bpf.KernelProgram.load({ type: 1, instructions: two, fds: [map] }),
      );
      const zero = Uint8Array.of(...[0xb7, 0, 0, 0, 0, 0, 0, 0], ...exit);
      const iterator = keep(
        bpf.KernelProgram.load({
          type: 26, // BPF_PROG_TYPE_TRACING
          attachType: 28, // BPF_TRACE_ITER
          license: 'GPL',
          instructions: zero,
          target: 'task',
        }),
      );
      const { returnValue } = plain.run({ data: new Uint8Array(14) });
      return [returnValue, iterator.details().attachBtfId > 0];
    },
    skip: noProc,
  },
  'load an object with changes': {
    setup: () => ({
      object: C('tp_btf/sys_enter'),
      inner: KernelMap.create(array),
    }),
    teardown: ({ inner }) => inner.close(),
    run({ object, inner }, keep) {
      const loaded = keep(
        load(object, {
          maps: { slots: { reuse: inner, maxEntries: 4 } },
          globals: { step: u64(3) },
        }),
      );
      return Object.keys(loaded.programs);
    },
  },
  'what the kernel tells of a program': {
    ...attaching('raw_tp'),
    run({ object }, keep) {
      const { prog } = object.programs;
      const stats = keep(bpf.enableStats());
      const { id, xlated, jited, lines, maps, name, tag, btfId } =
        prog.details();
      const again = keep(bpf.KernelProgram.fromId(prog.info.id));
      return [
        id > 0,
        xlated.length,
        jited.length,
        lines.length,
        lines[0]?.text,
        maps?.length,
        name,
        tag,
        btfId > 0,
        prog.stats.runs,
        again.info.type,
        stats.closed,
      ];
    },
  },
  'what there is': {
    run() {
      const first = (ids) => ids.next().value > 0;
      const { id } = { id: bpf.btfIds().next().value };
      return [
        first(bpf.programIds()),
        first(bpf.mapIds()),
        first(bpf.linkIds()),
        id > 0,
        bpf.possibleCpus(),
        bpf.versions.kernel.length,
      ];
    },
    setup() {
      const object = load(C('raw_tp'));
      return {
        object,
        link: object.programs.prog.attach({
          kind: 'raw_tracepoint',
          name: 'sys_enter',
        }),
      };
    },
    teardown: closeObject,
    skip: {
      BPF_PROG_GET_NEXT_ID: ['ENOENT'],
      BPF_MAP_GET_NEXT_ID: ['ENOENT'],
      BPF_LINK_GET_NEXT_ID: ['ENOENT'],
      BPF_BTF_GET_NEXT_ID: ['ENOENT'],
    },
  },
  'attach raw_tracepoint': attaching('raw_tp', {
    kind: 'raw_tracepoint',
    name: 'sys_enter',
  }),
  'attach tracepoint': attaching('tp/syscalls/sys_enter_getuid', undefined),
  'attach uprobe': attaching('uprobe', {
    kind: 'uprobe',
    path: 'libc.so.6',
    name: 'getuid',
  }),
  'attach uretprobe': attaching('uretprobe', {
    kind: 'uretprobe',
    path: 'libc.so.6',
    name: 'getuid',
    pid: process.pid,
  }),
  'attach uprobe_multi': attaching('uprobe.multi', {
    kind: 'uprobe_multi',
    path: 'libc.so.6',
    names: ['getuid', 'geteuid'],
    cookies: [1n, 2n],
  }),
  'attach tp_btf': attaching('tp_btf/sys_enter', undefined),
  'attach tracing with a cookie': attaching('tp_btf/sys_enter', {
    kind: 'tracing',
    cookie: 7n,
  }),
  'attach perf_event': attaching('perf_event', {
    kind: 'perf_event',
    event: 'cpu-clock',
    frequency: 10,
  }),
  'attach perf_event to a process': attaching('perf_event', {
    kind: 'perf_event',
    event: 'cpu-clock',
    period: 1e9,
    pid: process.pid,
    cookie: 9n,
  }),
  'attach iter and read': {
    ...attaching('iter/task', undefined, {
      ctx: 'struct bpf_iter__task *ctx',
      body: 'bpf_seq_write(ctx->meta->seq, &slot, 4);',
    }),
    run({ object }, keep) {
      const link = keep(
        object.programs.prog.attach({ kind: 'iter', pid: process.pid }),
      );
      return [link.read().length > 0, link.info().typeName];
    },
  },
  'attach iter to a map': {
    ...attaching('iter/bpf_map_elem', undefined, {
      ctx: 'struct bpf_iter__bpf_map_elem *ctx',
      body: 'bpf_seq_write(ctx->meta->seq, &slot, 4);',
    }),
    run({ object }, keep) {
      const link = keep(
        object.programs.prog.attach({ kind: 'iter', map: object.maps.slots }),
      );
      return [link.read().length, link.info().typeName];
    },
  },
  'attach xdp': wired('xdp', { kind: 'xdp', mode: 'generic' }, { result: '2' }),
  'attach xdp by netlink': wired(
    'xdp',
    { kind: 'xdp', mode: 'generic', legacy: true },
    { result: '2' },
    busyIsAnswer,
  ),
  'attach tc': wired(
    'tc',
    { kind: 'tc', direction: 'ingress', priority: 5, handle: 1, replace: true },
    { result: '-1' },
  ),
  'attach tcx': wired(
    'tcx/ingress',
    { kind: 'tcx', place: 'first' },
    { result: '-1' },
  ),
  'attach netfilter': attaching(
    'netfilter',
    { kind: 'netfilter', family: 'ipv4', hook: 'input', priority: -321 },
    { result: '1' },
  ),
  'attach cgroup': grouped('cgroup/connect4'),
  'attach cgroup, multi': grouped('cgroup/connect4', 'multi'),
  'attach cgroup, override': grouped('cgroup/connect4', 'override'),
  'attach sk_lookup': attaching(
    'sk_lookup',
    { kind: 'netns' },
    { result: '1' },
  ),
  'attach flow_dissector': attaching('flow_dissector', { kind: 'netns' }),
  'attach socket': {
    ...attaching('socket', undefined, { result: '-1' }),
    setup() {
      const server = net.createServer().listen(0);
      return { ...loaded('socket', { result: '-1' })(), server };
    },
    teardown(state) {
      closeObject(state);
      state.server.close();
    },
    run({ object, server }, keep) {
      const { fd } = server._handle;
      keep(object.programs.prog.attach({ kind: 'socket', fd }));
      return 'attached';
    },
  },
  'attach sockmap': sockmap(false),
  'attach sockmap, legacy': sockmap(true),
  'attach usdt': {
    ...attaching('usdt', undefined, {
      head: '#include <bpf/usdt.bpf.h>',
      ctx: 'struct pt_regs *ctx',
    }),
    unless: () =>
      process.env.FAULTS_TARGET
        ? undefined
        : 'there is no gcc for a program with probes',
    run({ object }, keep) {
      const link = keep(
        object.programs.prog.attach({
          kind: 'usdt',
          path: process.env.FAULTS_TARGET,
          provider: 'test',
          name: 'fire',
        }),
      );
      return link.closed;
    },
  },
  'attach struct_ops': {
    setup: () => ({
      object: load(compileC(congestion)),
    }),
    teardown: closeObject,
    run({ object }, keep) {
      const link = keep(object.attachStructOps('steady'));
      return link.info().typeName;
    },
  },
  'what is attached': {
    ...wired('xdp', { kind: 'xdp', mode: 'generic' }, { result: '2' }),
    unless: () => (cgroupRoot() ? undefined : 'there is no cgroup2'),
    run({ near, object, target }, keep) {
      keep(object.programs.prog.attach(target));
      return [
        attached({ kind: 'xdp', interface: near }).length,
        attached({ kind: 'tc', interface: near }).length,
        bpf.query({ kind: 'cgroup', path: cgroupRoot(), attachType: 10 })
          .programs.length,
        bpf.query({ kind: 'netns', attachType: 36 }).programs.length,
      ];
    },
    // No qdisc, no filters.
    skip: { recvmsg: ['EINVAL'] },
  },
  'what a program prints': {
    ...attaching('raw_tp'),
    run: ({ object }) => object.programs.prog.output(),
  },
  'attach an object': {
    setup: loaded('raw_tp/sys_enter'),
    teardown: closeObject,
    run({ object }, keep) {
      const links = object.attach();
      links.forEach(keep);
      return links.length;
    },
  },
  'update and detach a link': {
    ...wired('xdp', { kind: 'xdp', mode: 'generic' }, { result: '2' }),
    run(state, keep) {
      const { prog } = state.object.programs;
      const link = keep(prog.attach(state.target));
      link.update(prog, { old: prog });
      const again = keep(bpf.Link.fromId(link.info().id));
      const same = again.info().id === link.info().id;
      link.detach();
      return [same, again.info().ifindex];
    },
  },
  'update a link by netlink': replacing(
    'xdp',
    { kind: 'xdp', mode: 'generic', legacy: true },
    busyIsAnswer,
  ),
  'update a filter of tc': replacing('tc', {
    kind: 'tc',
    direction: 'ingress',
    priority: 5,
    handle: 1,
  }),
  'pin maps, programs and links': pinning(function (
    { folder, map, object },
    keep,
  ) {
    const { prog } = object.programs;
    const link = keep(
      prog.attach({ kind: 'raw_tracepoint', name: 'sys_enter' }),
    );
    map.pin(path.join(folder, 'map'));
    prog.pin(path.join(folder, 'prog'));
    link.pin(path.join(folder, 'link'));
    const opened = ['map', 'prog', 'link'].map(
      (name) => keep(bpf.openPinned(path.join(folder, name))).constructor.name,
    );
    const listed = [...bpf.pins(folder)].map(({ kind }) => kind).sort();
    const map2 = keep(
      KernelMap.fromPin(path.join(folder, 'map'), { readOnly: true }),
    );
    bpf.unpin(path.join(folder, 'link'));
    return [opened, listed, map2.info.id === map.info.id];
  }, vanishing),
  'mount bpffs': {
    setup: () => ({
      folder: fs.mkdtempSync(path.join(os.tmpdir(), 'faults-')),
    }),
    teardown: ({ folder }) => fs.rmdirSync(folder),
    undo: ({ folder }) => spawnSync('umount', [folder], { stdio: 'ignore' }),
    run({ folder }) {
      bpf.mountBpffs(folder);
      return bpf.bpffsMounted(folder);
    },
  },
  'create maps of all types': {
    setup: () => ({ types: Object.entries(shapes).filter(isHere) }),
    run({ types }, keep) {
      return types.map(([type, shape]) => {
        const map = keep(
          KernelMap.create({
            name: type.toLowerCase(),
            type: MapType[type],
            keySize: 4,
            valueSize: 8,
            maxEntries: 4,
            ...shape,
          }),
        );
        return [type, map.info.type, map.info.id > 0];
      });
    },
  },
  'maps of maps': {
    run(_, keep) {
      const inner = keep(KernelMap.create(array));
      const outer = keep(
        KernelMap.create({
          name: 'outer',
          type: MapType.HASH_OF_MAPS,
          keySize: 4,
          valueSize: 4,
          maxEntries: 2,
          inner,
        }),
      );
      outer.setFd(u32(1), inner);
      return keep(outer.inner(u32(1))).info.id === inner.info.id;
    },
    skip: { BPF_MAP_LOOKUP_ELEM: ['ENOENT'] },
  },
  'single operations of maps': onMap(
    hash,
    (map) => {
      const typed = map.as(bpf.u32, bpf.u64);
      typed.set(1, 10n).set(2, 20n, 'any');
      map.update(u32(3), u64(30), 1);
      const found = [
        typed.get(1),
        typed.get(9),
        typed.has(2),
        map.lookup(u32(3))?.[0],
        map.nextKey() !== undefined,
      ];
      const size = typed.size;
      const taken = [
        typed.delete(1),
        typed.delete(9),
        takesHere && map.take(u32(2))?.[0],
        typed.delete(3),
      ];
      return [found, size, taken];
    },
    {
      undo: ({ map }) => {
        for (const key of [1, 2, 3])
          try {
            map.delete(u32(key));
          } catch {}
      },
    },
  ),
  'bound operations of maps': onMap(
    hash,
    (map) => {
      const bound = map.bind();
      bound.key.set(u32(5));
      bound.value.set(u64(50));
      bound.update();
      const found = [bound.lookup(), bound.value[0], bound.nextKey()];
      return [found, takesHere && bound.take(), bound.delete()];
    },
    {
      undo: ({ map }) => {
        try {
          map.delete(u32(5));
        } catch {}
      },
    },
  ),
  'batches of maps': onMap(
    hash,
    (map) => {
      const count = 600;
      const keys = new Uint8Array(
        Uint32Array.from({ length: count }, (_, i) => i).buffer,
      );
      const values = new Uint8Array(
        BigUint64Array.from({ length: count }, (_, i) => BigInt(i)).buffer,
      );
      map.updateMany(keys, values);
      const read = map.readAll().count;
      const iterated = [...map.as(bpf.u32, bpf.u64)].length;
      map.deleteMany(keys, 10);
      return [read, iterated, map.takeAll().count];
    },
    {
      undo: ({ map }) => {
        for (const key of [...map.keys()]) map.delete(key);
      },
    },
  ),
  'freeze a map': {
    run(_, keep) {
      const map = keep(KernelMap.create(array));
      map.freeze();
      return map.info.frozen;
    },
    skip: noProc,
  },
  'memory of a map': {
    run(_, keep) {
      const map = keep(
        KernelMap.create({ ...array, flags: MapFlags.MMAPABLE }),
      );
      const memory = map.memory();
      memory[0] = 7;
      return [memory.length, map.lookup(u32(0))[0]];
    },
    skip: { BPF_MAP_LOOKUP_ELEM: ['ENOENT'] },
  },
  'maps by id and descriptor': onMap(array, (map, keep) => {
    const { id } = map.info;
    const copies = [keep(KernelMap.fromId(id)), keep(KernelMap.fromFd(map.fd))];
    return copies.map((copy) => copy.info.id === id);
  }),
  'a queue': onMap(
    {
      name: 'queue',
      type: MapType.QUEUE,
      keySize: 0,
      valueSize: 8,
      maxEntries: 4,
    },
    (map) => {
      const queue = map.as(bpf.bytes(0), bpf.u64);
      queue.push(1n);
      return [queue.peek(), queue.pop()];
    },
    {
      undo: ({ map }) => {
        try {
          while (map.take(new Uint8Array(0)));
        } catch {}
      },
    },
  ),
  'read a ring buffer': {
    setup: loaded('raw_tp', {
      head: `struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");`,
      body: 'u64 n = 42; bpf_ringbuf_output(&events, &n, 8, 0);',
    }),
    teardown: closeObject,
    run({ object }, keep) {
      object.programs.prog.run();
      const stream = keep(object.maps.events.stream());
      const batch = stream.drain();
      return [batch.length > 0, stream.size, stream.lost, [...batch][0]?.[0]];
    },
    undo({ object }) {
      const stream = object.maps.events.stream();
      stream.drain();
      stream.close();
    },
  },
  'read perf buffers': {
    setup: loaded('raw_tp', {
      head: `struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");`,
      body: 'u64 n = 42; bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &n, 8);',
    }),
    teardown: closeObject,
    run({ object }, keep) {
      const stream = keep(object.maps.events.stream({ pages: 1 }));
      object.programs.prog.run();
      const batch = stream.drain();
      return [batch.length, stream.size, stream.lost, [...batch][0]?.[0]];
    },
    // A CPU that is off has no events.
    differs: (result, errno) => errno === os.constants.errno.ENODEV,
  },
  'send to a user ring buffer': {
    run(_, keep) {
      const map = keep(
        KernelMap.create({
          name: 'samples',
          type: MapType.USER_RINGBUF,
          keySize: 0,
          valueSize: 0,
          maxEntries: 4096,
        }),
      );
      const sender = keep(map.sender());
      return sender.trySend(u64(1));
    },
  },
  'run a program': {
    ...attaching('syscall', undefined, { ctx: 'u64 *ctx', result: '7' }),
    run: ({ object }) => object.programs.prog.run({ ctx: u64(1) }).returnValue,
  },
  'the API of npm bpf 1.x': {
    run(_, keep) {
      const ref = keep(
        bpf.createMap({
          type: MapType.HASH,
          keySize: 4,
          valueSize: 4,
          maxEntries: 8,
          name: 'old',
        }),
      );
      const map = new bpf.ConvMap(ref, bpf.u32type, bpf.u32type);
      map.set(1, 2).set(3, 4);
      const found = [
        map.get(1),
        [...map].length,
        [...map.getBatch(8)].flat().length,
        takesHere && map.getDelete(1),
        map.delete(3),
      ];
      const copies = [
        keep(bpf.createMapRef(ref.fd)),
        keep(bpf.openMap(ref.id)),
      ];
      const list = bpf.createArrayMap(3, 4, bpf.u32type);
      keep(list.ref);
      list.setAll([1, 2, 3]);
      const queue = bpf.createQueueMap(2, 4, bpf.u32type);
      keep(queue.ref);
      queue.push(5);
      return [
        found,
        copies.map(({ id }) => id === ref.id),
        list.getAll(),
        queue.pop(),
      ];
    },
    skip: {
      BPF_MAP_LOOKUP_ELEM: ['ENOENT'],
      BPF_MAP_DELETE_ELEM: ['ENOENT'],
      BPF_MAP_GET_NEXT_KEY: ['ENOENT'],
      BPF_MAP_LOOKUP_AND_DELETE_ELEM: ['ENOENT'],
      BPF_MAP_LOOKUP_BATCH: ['ENOENT'],
    },
  },
  'a descriptor that is taken over': pinning(({ folder, map }, keep) => {
    map.pin(path.join(folder, 'map'));
    const fd = bpf.objGet(path.join(folder, 'map'));
    try {
      return keep(bpf.createMapRef(fd, { transfer: true })).type;
    } catch (error) {
      fs.closeSync(fd); // it is still ours
      throw error;
    }
  }),
  'may this process use bpf(2)': {
    run: () => bpf.kernelAvailable().available,
    differs: (result) => result === 'false',
  },
  ...Object.fromEntries(asked.map(feature)),
  // Each time anew: what is conclusive is remembered.
  doctor: {
    run: () =>
      fresh('doctor')
        .doctor()
        .checks.map(({ name, state, found }) => [
          name,
          state,
          found.length > 0,
        ]),
    differs: (result, errno, baseline) =>
      JSON.parse(result).length === JSON.parse(baseline).length,
  },
};

const congestion = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
SEC("struct_ops") u32 BPF_PROG(ssthresh, struct sock *sk) { return 10; }
SEC("struct_ops") void BPF_PROG(avoid, struct sock *sk, u32 ack, u32 acked) {}
SEC("struct_ops") u32 BPF_PROG(undo, struct sock *sk) { return 10; }
SEC(".struct_ops.link")
struct tcp_congestion_ops steady = {
    .ssthresh = (void *)ssthresh,
    .cong_avoid = (void *)avoid,
    .undo_cwnd = (void *)undo,
    .name = "bpf_faults",
};
char LICENSE[] SEC("license") = "GPL";
`;

const since = {
  'load bare instructions': '5.14', // an array of descriptors
  'run a program': '5.14', // of type syscall
  'attach usdt': '5.15', // to all processes: its cookie
  'attach uprobe_multi': '6.6',
  'attach tcx': '6.6',
  'attach netfilter': '6.4',
  'attach struct_ops': '6.4',
  'attach tracing with a cookie': '6.0',
  'attach perf_event to a process': '5.15', // its cookie
  'attach iter and read': '6.1', // of one process
  'send to a user ring buffer': '6.1',
  'what a program prints': '6.17',
};
for (const [name, release] of Object.entries(since))
  Object.assign(module.exports[name], {
    since: release,
    tooOld: olderThan(release),
  });
