// Every row of the instruction table against llvm-mc and llvm-objdump, by the tests of test/peers.
import { spawnSync } from 'node:child_process';
import { countJest } from '../lib/counts.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { inRoot, root } from '../lib/steps.mjs';

export default {
  name: 'instructions',
  title: 'Instruction table: same bytes as llvm-mc, same lines as llvm-objdump',

  needs() {
    const gone = [14, 19].filter(
      (version) => !hasCommand(`llvm-mc-${version}`),
    );
    return gone.length > 0 ? `no llvm-mc-${gone.join(' and -')}` : null;
  },

  async run() {
    const jest = inRoot('node_modules/jest/bin/jest.js');
    const args = [jest, '--json', '--roots', inRoot('test/peers')];
    const { stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (!stdout) throw new Error(stderr);
    const counts = countJest(JSON.parse(stdout));
    const { passed, failed, skipped } = counts;
    return [
      {
        what: 'tests of LLVM 14 (v3) and 19 (v4)',
        required: 'all',
        measured: `${passed} of ${passed + failed + skipped}`,
        ok: failed + skipped === 0 && passed > 0,
        notes: [...counts.details, ...counts.skips],
      },
    ];
  },
};
