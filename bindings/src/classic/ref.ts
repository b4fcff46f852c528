/**
 * ref.ts - maps as npm bpf 1.x refers to them: createMap, createMapRef, openMap, objGet, and what
 * converts keys and values. Source-compatible; new programs use KernelMap.
 */
import { endianness } from 'node:os';
import type { MapInfo as NativeInfo, NativeMap } from '../../addon/addon';
import { addon } from '../addon';
import { MapFlags, type MapType } from '../constants';
import { orClose } from '../handle';

/** Definition of a map: what may be left out. */
export interface MapDefOptional {
  /** See MapFlags. */
  flags?: number;
  /** OBJ_NAME_LEN - 1 bytes of it are kept. Since Linux 4.15. */
  name?: string;
  /** NUMA node to be on; sets MapFlags.NUMA_NODE. Since Linux 4.14. */
  numaNode?: number;
  /**
   * Of maps of maps: a map like those that it will hold, or the definition of one, which is made for
   * the moment. Since Linux 4.12.
   */
  innerMap?: MapDef | MapRef | number;
  /** Device to offload to. Since Linux 4.16. */
  ifindex?: number;
}

/** Definition of a map. */
export interface MapDef extends MapDefOptional {
  type: MapType;
  /** Bytes of a key. */
  keySize: number;
  /** Bytes of a value; of per-CPU maps, of one CPU. */
  valueSize: number;
  maxEntries: number;
}

/** What the kernel tells about a map. */
export interface MapInfo {
  type: MapType;
  /** Since Linux 4.13. */
  id?: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  /** Since Linux 4.15. */
  name?: string;
  /** Device that it was offloaded to. Since Linux 4.16. */
  ifindex?: number;
  netnsDev?: bigint;
  netnsIno?: bigint;
}

/** A reference to a map. It is closed when it is collected; close() does it at once. */
export interface MapRef extends MapInfo {
  /** Throws after close(). */
  readonly fd: number;
  close(): void;
}

/** How values are stored; `format` writes every byte. */
export interface TypeConversion<X> {
  parse(buf: Buffer): X;
  format(buf: Buffer, x: X): void;
}

const little = endianness() === 'LE';

/** A single `uint32` in the host's byte order. */
export const u32type: TypeConversion<number> = {
  parse: (buf) => (little ? buf.readUInt32LE() : buf.readUInt32BE()),
  format: (buf, x) =>
    void (little ? buf.writeUInt32LE(x) : buf.writeUInt32BE(x)),
};

class Reference implements MapRef {
  declare readonly type: MapType;
  declare readonly id: number;
  declare readonly keySize: number;
  declare readonly valueSize: number;
  declare readonly maxEntries: number;
  declare readonly flags: number;
  declare readonly name: string;
  readonly #native: NativeMap;

  constructor(native: NativeMap, info: MapInfo) {
    this.#native = native;
    Object.assign(this, info);
    Object.freeze(this);
  }

  get fd(): number {
    if (this.#native.closed) throw new Error('FD was closed');
    return this.#native.fd;
  }

  close(): void {
    this.#native.close();
  }

  /** What this package's own references have inside. */
  static native(ref: MapRef): NativeMap | undefined {
    return #native in ref ? ref.#native : undefined;
  }
}

/** The map behind a reference, anybody's. */
export function nativeOf(ref: MapRef): NativeMap {
  void ref.fd; // says so if it was closed
  return Reference.native(ref) ?? addon().openMapFd(ref.fd);
}

function referTo(native: NativeMap, info: NativeInfo): MapRef {
  const { type, id, keySize, valueSize, maxEntries, flags, name } = info;
  const { ifindex = 0, netnsDev = 0n, netnsIno = 0n } = info;
  return new Reference(native, {
    type,
    id,
    keySize,
    valueSize,
    maxEntries,
    flags,
    name,
    ifindex,
    netnsDev,
    netnsIno,
  });
}

const opened = (native: NativeMap): MapRef =>
  orClose(native, (open) => referTo(open, open.info()));

export function checkU32(x: number): number {
  if (Number.isInteger(x) && x >= 0 && x <= 0xffffffff) return x;
  throw new RangeError(`${String(x)} is not a valid u32`);
}

/** The descriptor of an inner map; `made` if it is only for the moment. */
function innerOf(inner: MapDef | MapRef | number): {
  fd: number;
  made?: MapRef;
} {
  if (typeof inner === 'number') return { fd: inner };
  if ('fd' in inner && Reference.native(inner)?.closed !== true) {
    return { fd: inner.fd };
  }
  // A definition, or what a closed reference remembers of its map.
  const made = createMap(inner);
  return { fd: made.fd, made };
}

/** Create a map. Throws RangeError for sizes that are no 32-bit numbers. */
export function createMap(desc: MapDef): MapRef {
  const { type, name, numaNode, innerMap, ifindex, flags = 0 } = desc;
  const keySize = checkU32(desc.keySize);
  const valueSize = checkU32(desc.valueSize);
  const maxEntries = checkU32(desc.maxEntries);
  const inner = innerMap === undefined ? undefined : innerOf(innerMap);
  try {
    return opened(
      addon().createMap({
        type,
        keySize,
        valueSize,
        maxEntries,
        flags: numaNode === undefined ? flags : flags | MapFlags.NUMA_NODE,
        ...(name !== undefined && { name }),
        ...(numaNode !== undefined && { numaNode }),
        ...(inner !== undefined && { innerFd: inner.fd }),
        ...(ifindex !== undefined && { ifindex }),
      }),
    );
  } finally {
    inner?.made?.close();
  }
}

/**
 * A reference to the map behind a descriptor, which is duplicated; with `transfer` it is taken over,
 * unless this throws. `parameters` are not needed on kernels since 4.13, where the map itself tells.
 */
export function createMapRef(
  fd: number,
  options: { parameters?: MapDef; transfer?: boolean } = {},
): MapRef {
  if (options.transfer !== true) return opened(addon().openMapFd(fd));
  // Whatever can fail is done before the descriptor is taken.
  const copy = addon().openMapFd(fd);
  try {
    const info = copy.info();
    return referTo(addon().openMapFd(fd, true), info);
  } finally {
    copy.close();
  }
}

/** The map with this id. Since Linux 4.13; needs CAP_SYS_ADMIN. */
export function openMap(id: number): MapRef {
  return opened(addon().openMapId(checkU32(id)));
}

/**
 * The descriptor of the object that is pinned at this path, for createMapRef(fd, { transfer: true }).
 * Whoever calls owns it.
 */
export function objGet(path: string): number {
  return addon().openPinned(`${path}`).fd;
}
