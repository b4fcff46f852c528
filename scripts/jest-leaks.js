// Jest's global teardown: when all tests have run and what they dropped was collected, nothing of BPF
// is open or mapped in this process (with --runInBand the tests ran in it), and of the programs, maps,
// links and BTF that came to the kernel none is left: what is pinned, attached or inherited stays
// without a descriptor.
'use strict';
const fs = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');
const { stays } = require('./jest-ids.js');

/** Descriptors and mappings of this process. */
function held() {
  if (process.platform !== 'linux') return [];
  const open = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${fs.readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return []; // that of the listing
    }
  });
  const mapped = fs.readFileSync('/proc/self/maps', 'utf8').split('\n');
  return [...open, ...mapped].filter((line) =>
    /anon_inode:.*(bpf|btf|perf_event)/.test(line),
  );
}

const pause = (time) => new Promise((done) => setTimeout(done, time));

module.exports = async () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  for (let turn = 0; turn < 200 && held().length > 0; turn++) {
    collect();
    await pause(25);
  }
  const left = held();
  if (globalThis.idsBefore) left.push(...(await stays(globalThis.idsBefore)));
  if (left.length > 0)
    throw new Error(`the tests leave behind:\n${left.join('\n')}`);
};
