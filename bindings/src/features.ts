/**
 * features.ts - what the running kernel can do, by trying it on a small scale: versions lie, since
 * distributions backport and configurations leave out. Three answers: 'inconclusive' is for what this
 * process may not ask, or the kernel does not tell apart; only the other two are remembered.
 *
 * Names are libbpf's: features.mapType('ringbuf'), .programType('xdp'), .attachType('tcx_ingress'),
 * .helper('xdp', 'redirect'), .kfunc('bpf_task_acquire'), .linkType('uprobe_multi'),
 * .mapFlag('mmapable'), .programFlag('sleepable'), .btfKind('enum64'), .config('CONFIG_BPF_JIT').
 */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import type { FeatureKind } from '../addon/addon';
import { addon } from './addon';

export type Answer = 'yes' | 'no' | 'inconclusive';

export interface Feature {
  answer: Answer;
  /** Why it is not 'yes'. */
  reason?: string;
  /** What the kernel said: 'EINVAL'. */
  code?: string;
  /** The first release of Linux that has it, where that is known. */
  since?: string;
  /** Of a kernel's option: 'y', 'm' or its value. */
  value?: string;
}

export type { FeatureKind };

const known = new Map<string, Feature>();

function ask(kind: FeatureKind, given: string, of?: string): Feature {
  const name = kind === 'kfunc' ? given : given.toLowerCase();
  const key = `${kind} ${of ?? ''} ${name}`;
  const before = known.get(key);
  if (before) return { ...before };
  const what = of === undefined ? { kind, name } : { kind, name, of };
  const feature: Feature = addon().probeFeature(what);
  if (feature.answer !== 'inconclusive') known.set(key, feature);
  return { ...feature };
}

let options: Map<string, string> | undefined;

/** The options that the running kernel was built with; undefined where it does not tell. */
export function kernelConfig(): ReadonlyMap<string, string> | undefined {
  options ??= readConfig();
  return options;
}

function readConfig(): Map<string, string> | undefined {
  const places = [
    '/proc/config.gz',
    `/boot/config-${release()}`,
    `/lib/modules/${release()}/config`,
  ];
  const path = places.find((place) => existsSync(place));
  if (path === undefined) return;
  const bytes = readFileSync(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
  const rows = text.matchAll(/^(CONFIG_\w+)=(?:"(.*)"|(.*))$/gm);
  return new Map(
    [...rows].map(([, name = '', quoted, value]) => [
      name,
      quoted ?? value ?? '',
    ]),
  );
}

function config(name: string): Feature {
  const full = name.startsWith('CONFIG_') ? name : `CONFIG_${name}`;
  const all = kernelConfig();
  if (!all) {
    const reason =
      'the kernel does not tell its options: there is no /proc/config.gz and no /boot/config of it';
    return { answer: 'inconclusive', reason };
  }
  const value = all.get(full);
  if (value !== undefined) return { answer: 'yes', value };
  return { answer: 'no', reason: `${full} is not set` };
}

/** The features of the running kernel; see the head of this file. RangeError for unknown names. */
export const features = {
  mapType: (name: string): Feature => ask('mapType', name),
  programType: (name: string): Feature => ask('programType', name),
  /** Each is tried by itself. */
  attachType: (name: string): Feature => ask('attachType', name),
  /** Whether programs of a type may call a helper. */
  helper: (programType: string, name: string): Feature =>
    ask('helper', name, programType.toLowerCase()),
  /** Looked up in the kernel's BTF; a module's kfuncs are not seen. */
  kfunc: (name: string): Feature => ask('kfunc', name),
  linkType: (name: string): Feature => ask('linkType', name),
  /** Flags of maps at their creation. */
  mapFlag: (name: string): Feature => ask('mapFlag', name),
  /** Flags of programs when they are loaded. */
  programFlag: (name: string): Feature => ask('programFlag', name),
  btfKind: (name: string): Feature => ask('btfKind', name),
  /** An option that the kernel was built with. */
  config,
  /** All names of a kind; there is no list of kfuncs. */
  names: (kind: FeatureKind): string[] => addon().featureNames({ kind }),
};
