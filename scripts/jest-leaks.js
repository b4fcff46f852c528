// Jest's global teardown: nothing of BPF is open or mapped in this process when all tests have run
// and what they dropped was collected. Programs, maps, links and BTF live by these, so none of the
// kernel's ids stays either. With --runInBand the tests ran in this very process.
'use strict';
const fs = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');

function left() {
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

module.exports = async () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  for (let turn = 0; turn < 200 && left().length > 0; turn++) {
    collect();
    await new Promise((done) => setTimeout(done, 25));
  }
  if (left().length > 0)
    throw new Error(`the tests leave open:\n${left().join('\n')}`);
};
