// docs/warnings.md has the table of all warnings as diag.def has them. BLESS=1 writes it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { inRoot } from '../lib/steps.mjs';

const WHEN = {
  USUAL: 'always',
  OWN: 'always',
  ALL: '-Wall',
  EXTRA: '-Wextra',
  PEDANTIC: '-pedantic',
  ASKED: 'by name',
  FATAL: 'error',
};

/** Messages as people read them: what is filled in is '…'. */
const readable = (message) =>
  message
    .replaceAll(/(%(\.\*)?[a-z]*)+[a-z]/g, '…')
    .replaceAll('%%', '%')
    .replaceAll(/…+/g, '…')
    .replaceAll('|', '\\|')
    .replaceAll('\\"', '"');

function rows() {
  const source = fs.readFileSync(inRoot('asm-core/def/diag.def'), 'utf8');
  const groups = new Map();
  const row = /^WARN\(\w+,\s*"([^"]+)",\s*(\w+),\s*"((?:[^"\\]|\\.)*)"/gm;
  for (const [, group, level, message] of source.matchAll(row)) {
    const own = groups.get(group) ?? { level, messages: [] };
    own.messages.push(readable(message));
    groups.set(group, own);
  }
  const members = new Map();
  for (const [, name, member] of source.matchAll(
    /^GROUP\("([^"]+)", "([^"]+)"\)/gm,
  ))
    members.set(name, [...(members.get(name) ?? []), member]);
  return { groups, members };
}

function tables() {
  const { groups, members } = rows();
  const names = [...groups.keys()].sort();
  const own = names.map((name) => {
    const { level, messages } = groups.get(name);
    return `| \`-W${name}\` | ${WHEN[level]} | ${messages.join('; ')} |`;
  });
  const list = [...members.keys()].sort().map((name) => {
    const all = members.get(name).map((member) => `\`-W${member}\``);
    return `| \`-W${name}\` | ${all.join(', ')} |`;
  });
  return [
    ...['| option | told | what |', '|---|---|---|', ...own, ''],
    ...['| group | has |', '|---|---|', ...list],
  ].join('\n');
}

test('docs/warnings.md lists the warnings that there are', () => {
  const file = inRoot('docs/warnings.md');
  const text = fs.readFileSync(file, 'utf8');
  const from = text.indexOf('| option |');
  assert.ok(from > 0, 'the page has a table');
  const wanted = `${text.slice(0, from)}${tables()}\n`;
  if (process.env.BLESS) fs.writeFileSync(file, wanted);
  else assert.equal(text, wanted, 'BLESS=1 writes the table');
});

test('every warning can be named, and has one level per option', () => {
  const { groups, members } = rows();
  assert.ok(groups.size > 80);
  for (const list of members.values())
    for (const member of list)
      assert.ok(groups.has(member) || members.has(member), member);
});
