/**
 * index.ts - the API of npm bpf 1.x, source-compatible: what it exports beside its constants and
 * errors. https://www.npmjs.com/package/bpf/v/1.3.0
 */
import { release } from 'node:os';
import { addon } from '../addon';
import { KernelError } from '../errors';

export {
  ConvArrayMap,
  createArrayMap,
  RawArrayMap,
  type IArrayMap,
} from './array';
export { ConvMap, RawMap, type IMap } from './map';
export {
  ConvQueueMap,
  createQueueMap,
  createStackMap,
  RawQueueMap,
  type IQueueMap,
} from './queue';
export {
  createMap,
  createMapRef,
  objGet,
  openMap,
  u32type,
  type MapDef,
  type MapDefOptional,
  type MapInfo,
  type MapRef,
  type TypeConversion,
} from './ref';

/** BTF_VERSION */
const BTF = 1;

/** '' where there is no addon. */
function linked(name: 'libelf' | 'libbpf'): string {
  try {
    return addon().version()[name];
  } catch (error) {
    if (error instanceof KernelError) return '';
    throw error;
  }
}

/** Versions of what is inside, and of the kernel that runs. */
export const versions: {
  readonly libelf: string;
  readonly libbpf: string;
  readonly btf: number;
  readonly kernel: string;
} = {
  get libelf() {
    return linked('libelf');
  },
  get libbpf() {
    return linked('libbpf');
  },
  btf: BTF,
  kernel: release(),
};
