/**
 * Probes of features and the doctor: against what is known of this kernel, and as users who may less.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { doctor, features, KernelMap, kernelConfig, load, compile } from 'bpf';
import { bpf, cliPath, describeUnless, root, testUnless } from '../support';
import { noKernel } from './support';

const config = kernelConfig();
const noConfig = config ? undefined : 'this kernel does not tell its options';
const noBtf = existsSync('/sys/kernel/btf/vmlinux')
  ? undefined
  : 'this kernel has no BTF';

/** A process with these options of setpriv. */
function restricted(options: string[], script: string) {
  const code = `const bpf = require(${JSON.stringify(root)}); ${script}`;
  const { stdout, stderr, status } = spawnSync(
    'setpriv',
    [...options, process.execPath, '-e', code],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}
const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];

describeUnless(noKernel, 'features', () => {
  test('every answer that is not yes has a reason; nothing stays', () => {
    const before = { files: readdirSync('/proc/self/fd').length };
    let asked = 0;
    for (const kind of [
      'mapType',
      'programType',
      'attachType',
      'linkType',
      'mapFlag',
      'programFlag',
      'btfKind',
    ] as const) {
      const names = features.names(kind);
      expect(names.length).toBeGreaterThan(5);
      for (const name of names) {
        const { answer, reason } = features[kind](name);
        expect(['yes', 'no', 'inconclusive']).toContain(answer);
        expect([name, Boolean(reason)]).toEqual([name, answer !== 'yes']);
        asked++;
      }
    }
    expect(asked).toBeGreaterThan(180);
    expect(readdirSync('/proc/self/fd').length).toBe(before.files);
  });

  test('what kernels since 5.10 have', () => {
    for (const name of [
      'hash',
      'array',
      'ringbuf',
      'lpm_trie',
      'hash_of_maps',
    ]) {
      expect([name, features.mapType(name).answer]).toEqual([name, 'yes']);
    }
    for (const name of [
      'xdp',
      'socket_filter',
      'raw_tracepoint',
      'sched_cls',
    ]) {
      expect([name, features.programType(name).answer]).toEqual([name, 'yes']);
    }
    for (const name of ['cgroup_inet4_connect', 'sk_lookup']) {
      expect([name, features.attachType(name).answer]).toEqual([name, 'yes']);
    }
    expect(features.mapFlag('mmapable').answer).toBe('yes');
    expect(features.programFlag('strict_alignment').answer).toBe('yes');
    expect(features.btfKind('datasec').answer).toBe('yes');
    expect(features.mapType('RINGBUF')).toEqual({
      answer: 'yes',
      since: '5.8',
    });
  });

  test('the probe agrees with doing it', () => {
    for (const [name, def] of [
      ['bloom_filter', { type: 30, keySize: 0, valueSize: 4 }],
      ['arena', { type: 33, keySize: 0, valueSize: 0, flags: 1024 }],
    ] as const) {
      let works = true;
      try {
        KernelMap.create({ ...def, maxEntries: 1 }).close();
      } catch {
        works = false;
      }
      expect(features.mapType(name).answer).toBe(works ? 'yes' : 'no');
    }
    const iterator = `#include <linux/bpf.h>
      #include <bpf/bpf_helpers.h>
      SEC("iter/task") int each(void *ctx) { return 0; }
      char LICENSE[] SEC("license") = "GPL";`;
    let loads = true;
    try {
      load(compile(iterator)).close();
    } catch {
      loads = false;
    }
    expect(features.attachType('trace_iter').answer === 'yes').toBe(loads);
  });

  testUnless(noConfig, 'the probe agrees with the configuration', () => {
    for (const [option, feature] of [
      ['FPROBE', features.attachType('trace_kprobe_multi')],
      ['NETKIT', features.attachType('netkit_primary')],
      ['BPF_LIRC_MODE2', features.programType('lirc_mode2')],
      ['CGROUP_BPF', features.attachType('cgroup_device')],
    ] as const) {
      const built = features.config(option).answer;
      if (feature.answer === 'inconclusive') continue;
      expect([option, feature.answer]).toEqual([option, built]);
    }
    expect(features.config('CONFIG_BPF_SYSCALL')).toEqual({
      answer: 'yes',
      value: 'y',
    });
    expect(features.config('NO_SUCH_OPTION')).toEqual({
      answer: 'no',
      reason: 'CONFIG_NO_SUCH_OPTION is not set',
    });
  });

  test('helpers of a program type', () => {
    expect(features.helper('xdp', 'redirect').answer).toBe('yes');
    expect(features.helper('xdp', 'map_lookup_elem').answer).toBe('yes');
    expect(features.helper('socket_filter', 'redirect')).toMatchObject({
      answer: 'no',
      reason: expect.stringMatching(/cannot call it/),
    });
    expect(features.helper('xdp', 'perf_event_output').answer).toBe('yes');
  });

  testUnless(noBtf, 'kfuncs', () => {
    expect(features.kfunc('no_such_function')).toMatchObject({
      answer: 'no',
      reason: expect.stringMatching(/no function 'no_such_function'/),
    });
    expect(features.kfunc('vfs_read').answer).not.toBe('yes');
  });

  test('unknown names', () => {
    for (const use of [
      () => features.mapType('frob'),
      () => features.helper('xdp', 'frob'),
      () => features.helper('frob', 'redirect'),
      () => features.attachType(''),
    ]) {
      let name;
      try {
        use();
      } catch (error) {
        ({ name } = error as Error);
      }
      expect(name).toBe('RangeError');
    }
  });

  test('who may not ask gets no wrong answer, and can ask again', () => {
    const said = restricted(
      nobody,
      `console.log(JSON.stringify({
        map: bpf.features.mapType('lru_hash'),
        program: bpf.features.programType('xdp'),
      }));`,
    );
    for (const feature of Object.values(said)) {
      expect(feature).toMatchObject({
        answer: 'inconclusive',
        code: 'EPERM',
        reason: expect.stringMatching(/lacks CAP_/),
      });
    }
  });

  test('bpf features', () => {
    const json = bpf('features', 'mapType', 'hash', 'ringbuf', '--json');
    expect(JSON.parse(json.stdout)).toEqual({
      mapType: {
        hash: { answer: 'yes', since: '3.19' },
        ringbuf: { answer: 'yes', since: '5.8' },
      },
    });
    expect(bpf('features', 'helper', 'xdp/redirect').stdout).toMatch(
      /^helper\n {2}yes +xdp\/redirect/,
    );
    expect(bpf('features', 'frob')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/kinds are mapType/),
    });
    expect(bpf('features', '--frob').status).toBe(2);
    expect(bpf('features', 'mapType', 'frob').status).toBe(1);
  });
});

describeUnless(noKernel, 'doctor', () => {
  const states = (health: ReturnType<typeof doctor>) =>
    Object.fromEntries(health.checks.map((c) => [c.name, c]));

  test('a machine on which BPF works', () => {
    const health = doctor();
    expect(health.usable).toBe(true);
    const by = states(health);
    expect(by['bpf(2)']?.state).toBe('ok');
    expect(by['capabilities']?.state).toBe('ok');
    expect(by['ring buffer']?.state).toBe('ok');
    for (const { state, found } of health.checks) {
      expect(['ok', 'limit', 'problem', 'unknown']).toContain(state);
      expect(found).not.toBe('');
    }
    expect(health.checks.length).toBeGreaterThan(25);
    const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8');
    expect(health.kernel).toBe(release.trim());
  });

  test.each([
    [
      'no capabilities',
      ['--bounding-set', '-all', '--inh-caps', '-all'],
      /CAP_BPF.*CAP_PERFMON.*CAP_NET_ADMIN/,
    ],
    ['nobody', nobody, /CAP_BPF/],
    [
      'without CAP_NET_ADMIN',
      ['--bounding-set', '-net_admin', '--inh-caps', '-net_admin'],
      /lacks CAP_NET_ADMIN \(networking/,
    ],
  ])('%s', (name, options, found) => {
    const health = restricted(
      options,
      'console.log(JSON.stringify(bpf.doctor()))',
    ) as unknown as ReturnType<typeof doctor>;
    const all = name !== 'without CAP_NET_ADMIN';
    expect(health.usable).toBe(!all);
    const by = states(health);
    expect(by['capabilities']).toMatchObject({
      state: all ? 'problem' : 'limit',
      found: expect.stringMatching(found),
      remedy: expect.stringMatching(/root/),
    });
    if (all) expect(by['bpf(2)']?.state).toBe('problem');
  });

  test('what stands in the way is told once', () => {
    const said = (user: string[]): string =>
      spawnSync('setpriv', [...user, process.execPath, cliPath, 'doctor'], {
        encoding: 'utf8',
      }).stdout;
    const text = said(nobody);
    expect(text).toMatch(/BPF cannot be used here\.\n$/);
    expect(text.match(/lacks CAP_BPF/g)).toHaveLength(2); // of bpf(2), and with what each is for
    expect(text.match(/not tried, for want of capabilities/g)).toHaveLength(1);
    expect(text).toMatch(/unknown {2}.*tp_btf.*\bcgroup\b.*ring buffer.*\n/);
    // All of the first column is still there.
    const { checks } = doctor();
    for (const { name } of checks) expect(text).toContain(name);
  });

  test('bpf doctor', () => {
    const text = bpf('doctor');
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/^Linux .*libbpf \d/);
    expect(text.stdout).toMatch(/BPF can be used here\.\n$/);
    const health = JSON.parse(bpf('doctor', '--json').stdout) as object;
    expect(health).toMatchObject({ usable: true, checks: expect.any(Array) });
    expect(bpf('doctor', 'x').status).toBe(2);
  });
});

describe('without the addon', () => {
  test('the doctor says so', () => {
    const { stdout } = spawnSync(
      process.execPath,
      [
        '-e',
        `console.log(JSON.stringify(require(${JSON.stringify(root)}).doctor()))`,
      ],
      {
        encoding: 'utf8',
        env: { ...process.env, BPF_ADDON: '/no/such/addon.node' },
      },
    );
    expect(JSON.parse(stdout)).toMatchObject({
      usable: false,
      checks: [{ name: 'addon', state: 'problem' }],
    });
  });
});
