// The kernel's ids of programs, maps, links and BTF, and those of them that came and that no other
// process answers for: by a descriptor, or by what is behind one (a link holds its program, a program
// its maps, both have BTF). Other processes of the machine may use BPF at the same time.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const KINDS = ['program', 'map', 'link', 'btf'];

const source = (name) =>
  require(path.join(__dirname, `../dist/bindings/src/${name}.js`));

/** What there is, as lines 'map 12'; nothing where it cannot be asked. */
function ids() {
  if (process.platform !== 'linux' || process.getuid() !== 0) return [];
  const bpf = source('index');
  if (!bpf.kernelAvailable().available) return [];
  const all = [bpf.programIds(), bpf.mapIds(), bpf.linkIds(), bpf.btfIds()];
  return all.flatMap((list, kind) =>
    [...list].map((id) => `${KINDS[kind]} ${id}`),
  );
}

/** Of fdinfo. */
const FIELDS = {
  prog_id: 'program',
  map_id: 'map',
  link_id: 'link',
  btf_id: 'btf',
};

/** What descriptors of processes are of, but those of this one. */
function heldByOthers() {
  const held = new Set();
  for (const pid of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    try {
      for (const fd of fs.readdirSync(`/proc/${pid}/fdinfo`)) {
        const text = fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
        for (const [, field, id] of text.matchAll(/^(\w+_id):\s*(\d+)$/gm))
          if (FIELDS[field]) held.add(`${FIELDS[field]} ${id}`);
      }
    } catch {
      // It ended meanwhile.
    }
  }
  return held;
}

/** Adds what is held by what is held. */
function closure(held) {
  const native = source('addon').addon();
  const each = (kind, open, look) => {
    for (const line of [...held]) {
      if (!line.startsWith(`${kind} `)) continue;
      let handle;
      try {
        handle = open(Number(line.slice(kind.length + 1)));
        look(handle);
      } catch {
        // It is gone.
      }
      handle?.close();
    }
  };
  each('link', native.openLink, (link) =>
    held.add(`program ${link.info().programId}`),
  );
  each('program', native.openProgram, (program) => {
    const { mapIds, btfId } = program.details();
    for (const id of mapIds) held.add(`map ${id}`);
    held.add(`btf ${btfId}`);
  });
  each('map', native.openMapId, (map) => held.add(`btf ${map.info().btfId}`));
  return held;
}

/** What is new since `before` and held by no other process: by this one, a pin or an attachment. */
function leftSince(before) {
  const known = new Set(before);
  const now = ids().filter((line) => !known.has(line));
  if (now.length === 0) return [];
  const held = closure(heldByOthers());
  // What was let go of while we looked is not there any more.
  const still = new Set(ids());
  return now.filter((line) => !held.has(line) && still.has(line));
}

/** What of it stays: the kernel frees some things a little later, and others do with theirs as they like. */
async function stays(before) {
  let left = leftSince(before);
  for (let turn = 0; turn < 60 && left.length > 0; turn++) {
    await new Promise((done) => setTimeout(done, 250));
    const now = new Set(leftSince(before));
    left = left.filter((line) => now.has(line));
  }
  return left;
}

module.exports = { ids, stays };
