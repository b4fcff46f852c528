// One guest: a kernel under QEMU whose root is this machine's, read-only over virtiofs, so that it
// has every program, library and file that is here. The first process comes from an initramfs of
// busybox and the modules that virtiofs takes (all kernels of Debian have it, as a module or built
// in); then init.sh takes over. What suite.js tells comes through the second serial line.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { StepError, inRoot, root } from '../lib/steps.mjs';
import { findVirtiofsd, imageOf } from './packages.mjs';

const MEMORY = '2G';
const CPUS = 2;
const BOOTS = 3;
const FILE_BOOTS = 2;
/** A guest that says nothing for so long hangs. */
const SILENCE = 1_800_000;

const init = `#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do
    [ -e "$module" ] && insmod "$module"
done
if mount -t virtiofs -o ro host /new; then
    for folder in proc sys dev; do
        mount --move /$folder /new/$folder
    done
    exec switch_root /new /bin/sh "$GUEST_ROOT/scripts/guest/init.sh"
fi
echo "virtiofs cannot be mounted" > /dev/ttyS1
echo o > /proc/sysrq-trigger
sleep 9
`;

/** Files of a module and of all that it needs, in the order to load them; none if it is built in. */
function moduleFiles({ folder, release }, name) {
  const said = execFileSync(
    'modprobe',
    ['-d', folder, '-S', release, '-D', name],
    { encoding: 'utf8' },
  );
  return [...said.matchAll(/^insmod (\S+)/gm)].map(([, file]) => file);
}

/** The initramfs: an uncompressed cpio archive. */
function makeInitramfs(kernel, folder) {
  const tree = path.join(folder, 'tree');
  for (const dir of ['bin', 'dev', 'proc', 'sys', 'new', 'modules'])
    fs.mkdirSync(path.join(tree, dir), { recursive: true });
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], {
    encoding: 'utf8',
  }).trim();
  fs.copyFileSync(busybox, path.join(tree, 'bin/busybox'));
  fs.symlinkSync('busybox', path.join(tree, 'bin/sh'));
  const files = new Set([
    ...moduleFiles(kernel, 'virtiofs'),
    ...moduleFiles(kernel, 'virtio_pci'),
  ]);
  [...files].forEach((file, i) => {
    const to = path.join(tree, 'modules', String(i).padStart(2, '0'));
    if (file.endsWith('.xz'))
      fs.writeFileSync(
        to,
        execFileSync('xz', ['-dc', file], { maxBuffer: 1 << 26 }),
      );
    else fs.copyFileSync(file, to);
  });
  fs.writeFileSync(path.join(tree, 'init'), init, { mode: 0o755 });
  const archive = path.join(folder, 'initramfs');
  execFileSync(
    'sh',
    ['-c', 'find . | cpio -o -H newc --quiet > "$1"', '-', archive],
    {
      cwd: tree,
    },
  );
  return archive;
}

/**
 * Serves / over a socket, and waits for it. In a mount namespace of its own, where / is read-only but
 * for a /run that nobody else sees: the guest's root cannot change the host's files even if its
 * kernel tried. Older virtiofsd, part of QEMU, is told its options in another way.
 */
async function serveFiles(socket, log) {
  const daemon = findVirtiofsd();
  const options = daemon.includes('/qemu/')
    ? '-o source=/ -o cache=always -o sandbox=chroot'
    : '--shared-dir=/ --cache=always --sandbox=none';
  const script =
    'mount -t tmpfs tmpfs /run && mount -o remount,bind,ro / && ' +
    `exec ${daemon} --socket-path="$1" ${options}`;
  const child = spawn('unshare', ['--mount', 'sh', '-c', script, '-', socket], {
    stdio: ['ignore', log, log],
  });
  for (let i = 0; i < 100 && child.exitCode === null; i++) {
    if (fs.existsSync(socket)) return child;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  child.kill('SIGKILL');
  throw new StepError(`${daemon} does not start; build/logs has why`);
}

/**
 * Boots a kernel, with the options of suite.js and `append` for the kernel's command line, and gives
 * each object that it tells to `hear`. Resolves to why it did not come to its end, or undefined. Files
 * in build/logs/guest-NAME.*. Emulated kernels die now and then, mostly at their very start: a guest
 * that ends early is booted again for what is left. Where it gets no further, the file that it died in
 * has failed, and the next one's turn comes.
 */
export async function runGuest(
  name,
  kernel,
  qemu,
  options,
  hear,
  boot = bootOnce,
) {
  const skip = new Set(options.skip);
  fs.rmSync(inRoot('build/logs', `guest-${name}.log`), { force: true });
  for (let boots = 1; ; boots++) {
    const before = skip.size;
    let file;
    const given = { ...options, skip: [...skip] };
    const reason = await boot(name, kernel, qemu, given, (told) => {
      if (told.file) file = told.file;
      if (told.through) {
        skip.add(told.through);
        file = undefined;
      }
      hear(told);
    });
    if (reason === undefined || options.run) return reason;
    if (skip.size > before) boots = 1;
    const where = file === undefined ? 'outside of the tests' : `in ${file}`;
    if (boots < (file === undefined ? BOOTS : FILE_BOOTS))
      hear({ note: `it stopped ${where}, again (${reason.split('\n')[0]})` });
    else if (file === undefined) return reason;
    else {
      hear({ test: file, status: 'failed', message: `${reason}, twice` });
      hear({ through: file });
      skip.add(file);
      boots = 0;
    }
  }
}

async function bootOnce(name, kernel, qemu, { append, ...options }, hear) {
  const folder = fs.mkdtempSync('/dev/shm/bpf-guest-');
  const consoleLog = inRoot('build/logs', `guest-${name}.console`);
  fs.mkdirSync(path.dirname(consoleLog), { recursive: true });
  const log = fs.openSync(inRoot('build/logs', `guest-${name}.log`), 'a');
  const socket = path.join(folder, 'socket');
  const files = await serveFiles(socket, log);
  const environment = {
    GUEST_CACHE: kernel.folder,
    GUEST_ROOT: root,
    GUEST_NODE: process.execPath,
    GUEST_OPTIONS: Buffer.from(JSON.stringify(options)).toString('base64'),
  };
  const command = [
    ...['console=ttyS0', 'loglevel=5', 'panic=-1', 'lsm=lockdown,yama,bpf'],
    // A kernel that goes round forever ends soon, and says where.
    ...['softlockup_panic=1', 'watchdog_thresh=20'],
    ...(append ? [append] : []),
    ...Object.entries(environment).map(([key, value]) => `${key}=${value}`),
  ];
  const args = [
    ...qemu.args,
    ...['-accel', 'tcg,thread=multi', '-smp', String(CPUS), '-m', MEMORY],
    ...['-object', `memory-backend-memfd,id=memory,size=${MEMORY},share=on`],
    ...['-numa', 'node,memdev=memory', '-nodefaults', '-net', 'none'],
    ...['-no-reboot', '-display', 'none'],
    ...['-serial', `file:${consoleLog}`, '-serial', 'stdio'],
    ...['-chardev', `socket,id=files,path=${socket}`],
    ...['-device', 'vhost-user-fs-pci,chardev=files,tag=host'],
    ...['-device', 'virtio-rng-pci', '-kernel', imageOf(kernel)],
    ...['-initrd', makeInitramfs(kernel, folder), '-append', command.join(' ')],
  ];
  const guest = spawn(qemu.command, args, { stdio: ['ignore', 'pipe', log] });
  const end = () => {
    for (const child of [guest, files]) child.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', end);
  try {
    return await listen(guest, log, hear, consoleLog);
  } finally {
    end();
    process.off('exit', end);
    fs.closeSync(log);
  }
}

/** What suite.js told in this line; { text } if it is something else. */
export function toldIn(text) {
  try {
    return text.startsWith('{') ? JSON.parse(text) : { text };
  } catch {
    return { text };
  }
}

/** Hears a guest out; resolves as runGuest() does. */
function listen(guest, log, hear, consoleLog) {
  return new Promise((resolve) => {
    let ended = false;
    let timer;
    const stop = (reason) => {
      clearTimeout(timer);
      resolve(reason);
    };
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(
        () => stop(`it said nothing for ${SILENCE / 1000} s`),
        SILENCE,
      );
    };
    wait();
    guest.on('error', (error) => stop(error.message));
    readline.createInterface({ input: guest.stdout }).on('line', (line) => {
      wait();
      const text = line.replace(/\r$/, '');
      if (text === '') return;
      fs.writeSync(log, `${text}\n`);
      const told = toldIn(text);
      if ('ended' in told) {
        ended = true;
        stop(told.ended === 0 ? undefined : `it ended with ${told.ended}`);
      } else hear(told);
    });
    guest.on('close', (code) => {
      const lines = fs.existsSync(consoleLog)
        ? fs.readFileSync(consoleLog, 'utf8').trimEnd().split('\n').slice(-15)
        : [];
      if (!ended) stop(`QEMU ended with ${code}\n${lines.join('\n')}`);
    });
  });
}
