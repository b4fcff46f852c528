// Packages of a Debian suite that need not be the system's: fetched with apt, which verifies
// signatures and checksums, through a private source list and private lists in build/apt, so that
// the system's own stay untouched.
import fs from 'node:fs';
import path from 'node:path';
import { StepError, inRoot } from './steps.mjs';
import { debianMirror } from './needs.mjs';

const SUITE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Fetches packages into the folder `to`, emptied first. `kind` is deb or deb-src; pins are
 * { package: version }, of the suite. A point release may have replaced a pinned revision; its successor is as good.
 */
export async function fetchFromDebian(log, kind, pins, to, suite = SUITE) {
  const names = Object.keys(pins).join(' and ');
  const mirror = debianMirror();
  if (!mirror)
    throw new StepError(
      `apt knows no Debian mirror on this system to fetch ${names} from`,
    );
  const dir = inRoot('build/apt');
  const options = aptOptions(dir);
  for (const part of ['lists/partial', 'cache/archives/partial'])
    fs.mkdirSync(path.join(dir, part), { recursive: true });
  fs.rmSync(to, { recursive: true, force: true });
  fs.mkdirSync(to, { recursive: true });
  const signed = fs.existsSync(KEYRING) ? ` [signed-by=${KEYRING}]` : '';
  fs.writeFileSync(
    path.join(dir, 'sources.list'),
    `${kind}${signed} ${mirror} ${suite} main\n`,
  );

  await log.run('apt-get', [...options, 'update']);
  const verb = kind === 'deb' ? ['download'] : ['source', '--download-only'];
  const fetch = (what) =>
    log.status('apt-get', [...options, ...verb, what], { cwd: to });
  for (const [name, version] of Object.entries(pins))
    if ((await fetch(`${name}=${version}`)) !== 0 && (await fetch(name)) !== 0)
      throw new StepError(
        `apt-get could not fetch ${name} from ${mirror} ${suite}`,
      );
  fs.rmSync(dir, { recursive: true, force: true });
}

function aptOptions(dir) {
  return [
    ['Dir::Etc::SourceList', path.join(dir, 'sources.list')],
    ['Dir::Etc::SourceParts', '/dev/null'],
    ['Dir::State::Lists', path.join(dir, 'lists')],
    ['Dir::Cache', path.join(dir, 'cache')],
    ...(process.getuid() === 0 ? [['APT::Sandbox::User', 'root']] : []),
    ['Acquire::Retries', '3'],
  ].flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}
