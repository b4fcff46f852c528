// Packages of a Debian suite that need not be the system's: found and fetched with apt, which
// verifies signatures and checksums, through a private source list and private lists in build/apt,
// so that the system's own stay untouched.
import { execFileSync } from 'node:child_process';
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
  if (!debianMirror())
    throw new StepError(
      `apt knows no Debian mirror on this system to fetch ${names} from`,
    );
  fs.rmSync(to, { recursive: true, force: true });
  fs.mkdirSync(to, { recursive: true });
  await withSuite(
    log,
    suite,
    async (apt) => {
      for (const [name, version] of Object.entries(pins))
        if (
          !(await apt.fetch(`${name}=${version}`, to)) &&
          !(await apt.fetch(name, to))
        )
          throw new StepError(
            `apt-get could not fetch ${name} from ${debianMirror()} ${suite}`,
          );
    },
    kind,
  );
}

/**
 * Gives `use` apt with the lists of one suite of the mirror: fetch(name or name=version, folder) tells
 * whether it could, show(name) gives the fields { Version, Depends, … } of the newest version, or
 * undefined. StepError if the mirror has no such suite.
 */
export async function withSuite(log, suite, use, kind = 'deb') {
  const mirror = debianMirror();
  if (!mirror) throw new StepError('apt knows no Debian mirror on this system');
  const dir = inRoot('build/apt');
  const options = aptOptions(dir);
  for (const part of ['lists/partial', 'cache/archives/partial'])
    fs.mkdirSync(path.join(dir, part), { recursive: true });
  const signed = fs.existsSync(KEYRING) ? ` [signed-by=${KEYRING}]` : '';
  fs.writeFileSync(
    path.join(dir, 'sources.list'),
    `${kind}${signed} ${mirror} ${suite} main\n`,
  );
  const verb = kind === 'deb' ? ['download'] : ['source', '--download-only'];
  try {
    await log.run('apt-get', [...options, 'update']);
    return await use({
      fetch: async (what, to) =>
        (await log.status('apt-get', [...options, ...verb, what], {
          cwd: to,
        })) === 0,
      show: (name) => fieldsOf(options, name),
    });
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** The fields of a package's newest version; undefined if the lists have no such package. */
function fieldsOf(options, name) {
  let text;
  try {
    text = execFileSync('apt-cache', [...options, 'show', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return undefined;
  }
  const rows = text.split('\n\n')[0].matchAll(/^([\w-]+): (.*)$/gm);
  return Object.fromEntries([...rows].map(([, key, value]) => [key, value]));
}

function aptOptions(dir) {
  return [
    ['Dir::Etc::SourceList', path.join(dir, 'sources.list')],
    ['Dir::Etc::SourceParts', '/dev/null'],
    ['Dir::State::Lists', path.join(dir, 'lists')],
    ['Dir::Cache', path.join(dir, 'cache')],
    ...(process.getuid() === 0 ? [['APT::Sandbox::User', 'root']] : []),
    ['Acquire::Retries', '3'],
    ['APT::Update::Error-Mode', 'any'],
  ].flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}
