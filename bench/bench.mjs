// `npm run bench [-- NAME…] [--check] [--dir D…]`: all measurements, as a table. Each is a module that says
//   export default {
//     name, title,
//     needs(): why it cannot run here, or null,
//     async run({ log, dirs }): rows { what, required, measured, ok, notes }
//   }
// Figures are medians of alternated runs, and ratios to others measured in the same run where there
// are others, since this machine's load disturbs absolute times. --check: exit non-zero where a row misses
// what is required. --dir: C files to measure on in place of those in bench/programs.
import { pathToFileURL } from 'node:url';
import cc from './cc.mjs';
import maps from './maps.mjs';
import vm from './vm.mjs';
import { printTable, summary } from '../scripts/lib/table.mjs';

const modules = [vm, cc, maps];

function readArguments(words) {
  const options = { names: [], dirs: [], check: false };
  while (words.length > 0) {
    const word = words.shift();
    if (word === '--check') options.check = true;
    else if (word === '--dir' && words.length > 0)
      options.dirs.push(words.shift());
    else if (modules.some(({ name }) => name === word))
      options.names.push(word);
    else return null;
  }
  return options;
}

async function main() {
  const options = readArguments(process.argv.slice(2));
  if (!options) {
    const names = modules.map(({ name }) => name).join('|');
    console.error(`usage: npm run bench -- [${names}…] [--check] [--dir D…]`);
    return 2;
  }
  const results = [];
  for (const { name, title, needs, run } of modules) {
    if (options.names.length > 0 && !options.names.includes(name)) continue;
    const log = (text) => process.stderr.write(`  ${name}: ${text}\n`);
    const reason = needs();
    const rows = reason ? [] : await run({ log, dirs: options.dirs });
    results.push({ title, reason, rows });
  }
  printTable(results);
  const { line, status } = summary('bench', results);
  console.log(`\n${line}`);
  return options.check ? status : 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  process.exitCode = await main();
