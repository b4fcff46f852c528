// Processor time of commands: user and system, which other load on the machine disturbs least.
import { spawnSync } from 'node:child_process';

/** Milliseconds of user and system time that `runs` runs of the command take, on average. */
export function cpuTime(command, args, runs = 5) {
  const script =
    'TIMEFORMAT="%3U %3S"; time for ((i = 0; i < $1; i++)); do "${@:2}" >/dev/null || exit; done';
  const done = spawnSync(
    'bash',
    ['-c', script, 'bash', String(runs), command, ...args],
    { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const [, user, system] = /([\d.]+) ([\d.]+)\s*$/.exec(done.stderr) ?? [];
  if (done.status !== 0 || user === undefined)
    throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`);
  return ((Number(user) + Number(system)) * 1000) / runs;
}

export const median = (numbers) =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/**
 * Runs the measurements in turn, round by round, so that all see the same load; returns the median
 * of each.
 */
export function alternate(measurements, rounds = 9) {
  const seen = measurements.map(() => []);
  for (let round = 0; round < rounds; round++)
    measurements.forEach((measure, i) => seen[i].push(measure()));
  return seen.map(median);
}
