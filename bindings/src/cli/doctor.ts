/**
 * doctor.ts - `bpf doctor` and `bpf features`: what the machine can do, for people or as JSON. Only the
 * npm command has them: bpfc knows no kernel.
 */
import { doctor, type Check, type CheckState } from '../doctor';
import { features, type Feature } from '../features';
import { EXIT_INPUT, EXIT_USAGE, Failure, takeJson, writeAll } from './files';

/** What bpf has beyond bpfc, for its help. */
export const machineHelp: Record<string, string> = {
  doctor: 'say what stands in the way of BPF on this machine, and the remedy',
  features: 'say what this kernel can do: features [KIND [NAME...]]',
};

const marks: Record<CheckState, string> = {
  ok: 'ok     ',
  limit: 'LIMIT  ',
  problem: 'PROBLEM',
  unknown: 'unknown',
};

const NAME = 16;
const INDENT = ' '.repeat(NAME + 11);

/** Checks that found the same are told together, where the first of them stands. */
function linesOf(checks: readonly Check[]): string[] {
  const groups = new Map<string, { first: Check; names: string[] }>();
  for (const first of checks) {
    const { name, state, found, remedy } = first;
    const key = JSON.stringify([state, found, remedy]);
    const group = groups.get(key) ?? { first, names: [] };
    group.names.push(name);
    groups.set(key, group);
  }
  return [...groups.values()].flatMap(({ first, names }) => {
    const { state, found, remedy } = first;
    const name = names.join(', ');
    return [
      ...(name.length <= NAME
        ? [`${marks[state]}  ${name.padEnd(NAME)}  ${found}`]
        : [`${marks[state]}  ${name}`, `${INDENT}${found}`]),
      ...(remedy === undefined ? [] : [`${INDENT}-> ${remedy}`]),
    ];
  });
}

/** Status 1 when BPF cannot be used at all. */
export function runDoctor(words: readonly string[]): number {
  const { asJson: json, rest } = takeJson(words);
  if (rest.length > 0) throw new Failure('doctor takes no file', EXIT_USAGE);
  const health = doctor();
  if (json) {
    writeAll(1, `${JSON.stringify(health, null, 2)}\n`);
  } else {
    const { kernel, arch, libbpf, usable, checks } = health;
    const verdict = usable
      ? 'BPF can be used here.'
      : 'BPF cannot be used here.';
    const head = `Linux ${kernel} on ${arch}, libbpf ${libbpf || 'unknown'}`;
    writeAll(1, `${[head, '', ...linesOf(checks), '', verdict].join('\n')}\n`);
  }
  return health.usable ? 0 : EXIT_INPUT;
}

/** Kinds whose names can be listed. */
const kinds = [
  'mapType',
  'programType',
  'attachType',
  'linkType',
  'mapFlag',
  'programFlag',
  'btfKind',
] as const;

const usage = `kinds are ${kinds.join(', ')}, and with names helper TYPE/NAME, kfunc NAME, config NAME`;

function probe(kind: string, name: string): Feature {
  const simple = kinds.find((each) => each === kind);
  if (simple) return features[simple](name);
  if (kind === 'kfunc' || kind === 'config') return features[kind](name);
  const [type = '', helper] = name.split('/');
  if (kind === 'helper' && helper !== undefined) {
    return features.helper(type, helper);
  }
  throw new Failure(usage, EXIT_USAGE);
}

function namesOf(kind: string): string[] {
  const simple = kinds.find((each) => each === kind);
  if (simple) return features.names(simple);
  throw new Failure(usage, EXIT_USAGE);
}

/** All features, those of a kind, or single ones. */
export function runFeatures(words: readonly string[]): number {
  const { asJson: json, rest } = takeJson(words);
  const [kind, ...names] = rest;
  const wanted: readonly string[] = kind === undefined ? kinds : [kind];
  const all: Record<string, Record<string, Feature>> = {};
  for (const each of wanted) {
    const list = names.length > 0 ? names : namesOf(each);
    all[each] = Object.fromEntries(
      list.map((name) => [name, probe(each, name)]),
    );
  }
  if (json) {
    writeAll(1, `${JSON.stringify(all, null, 2)}\n`);
    return 0;
  }
  for (const [each, found] of Object.entries(all)) {
    const lines = Object.entries(found).map(([name, feature]) => {
      const { answer, reason, value, since } = feature;
      const more = reason ?? value ?? (since && `Linux ${since}`) ?? '';
      return `  ${answer.padEnd(12)}  ${name.padEnd(24)}  ${more}`.trimEnd();
    });
    writeAll(1, `${each}\n${lines.join('\n')}\n`);
  }
  return 0;
}
