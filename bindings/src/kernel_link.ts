/**
 * kernel_link.ts - attachments of the running kernel: what they are, another program in their
 * place, and the end of them.
 */
import { closeSync, createReadStream, readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { NativeLink } from '../addon/addon';
import { addon } from './addon';
import { Handle, unwatch, watch } from './handle';
import type { KernelMap } from './kernel_map';
import type { KernelProgram } from './kernel_program';
import { take } from './pin';

interface LinkBase {
  /** The kernel's id. */
  id: number;
  /** enum bpf_link_type */
  type: number;
  programId: number;
}

/** What perf events are of. */
interface PerfEventLinkBase extends LinkBase {
  typeName: 'perf_event';
  /** enum bpf_perf_event_type (6.6): 1 uprobe, 2 uretprobe, 3 kprobe, 4 kretprobe, 5 tracepoint, 6 event */
  eventType: number;
  /** Since 6.9. */
  cookie?: bigint;
}

/** A link by its kind; numbers that a kernel does not tell are 0, names ''. */
export type LinkInfo =
  | (LinkBase & { typeName: 'raw_tracepoint'; name: string; cookie: bigint })
  | (LinkBase & {
      typeName: 'tracing';
      attachType: number;
      /** Of a program (freplace) or a BTF object ... */
      targetObjectId: number;
      /** ... and the function in it. */
      targetBtfId: number;
      cookie: bigint;
    })
  | (LinkBase & { typeName: 'cgroup'; cgroupId: bigint; attachType: number })
  | (LinkBase & {
      typeName: 'iter';
      name: string;
      mapId?: number;
      cgroupId?: bigint;
      order?: number;
      tid?: number;
      pid?: number;
    })
  | (LinkBase & { typeName: 'netns'; netnsInode: number; attachType: number })
  | (LinkBase & { typeName: 'xdp'; ifindex: number })
  | (PerfEventLinkBase & {
      /** Of a file, a function, or a tracepoint. */
      name?: string;
      offset?: number;
      refCtrOffset?: bigint;
      address?: bigint;
      missed?: bigint;
      /** PERF_TYPE_* and its config. */
      perfType?: number;
      config?: bigint;
    })
  | (LinkBase & {
      typeName: 'kprobe_multi';
      addresses: bigint[];
      cookies: bigint[];
      flags: number;
      missed: bigint;
    })
  | (LinkBase & { typeName: 'struct_ops'; mapId: number })
  | (LinkBase & {
      typeName: 'netfilter';
      family: number;
      hook: number;
      priority: number;
      flags: number;
    })
  | (LinkBase & {
      typeName: 'tcx' | 'netkit';
      ifindex: number;
      attachType: number;
    })
  | (LinkBase & {
      typeName: 'uprobe_multi';
      path: string;
      offsets: bigint[];
      refCtrOffsets: bigint[];
      cookies: bigint[];
      flags: number;
      pid: number;
    })
  | (LinkBase & { typeName: 'sockmap'; mapId: number; attachType: number })
  /** A type that is newer than this package. */
  | (LinkBase & { typeName: 'unknown' });

/** An attachment; close() detaches unless it is pinned. */
export class Link extends Handle {
  /** What was attached; undefined for links opened by id or pin, and for struct_ops. */
  readonly program: KernelProgram | undefined;
  readonly #native: NativeLink;
  readonly #closed: ((link: Link) => void) | undefined;

  /** @internal */
  constructor(
    native: NativeLink,
    program?: KernelProgram,
    closed?: (link: Link) => void,
  ) {
    const what = program ? `the link of program ${program.name}` : 'a link';
    super(program ? `link of ${program.name}` : 'link');
    this.program = program;
    this.#native = native;
    this.#closed = closed;
    watch(this, what);
  }

  /** The link with this kernel id (5.8; needs CAP_SYS_ADMIN). */
  static fromId(id: number): Link {
    return new Link(addon().openLink(id));
  }

  /** The link that is pinned at a path (5.7); TypeError if something else is. */
  static fromPin(path: string): Link {
    return new Link(take(path, 'link', (fd) => addon().linkFromFd(fd)));
  }

  /** -1 where the kernel has no link object for this attachment. */
  get fd(): number {
    this.ensureOpen();
    return this.#native.fd;
  }

  /**
   * What the kernel knows about it (5.8). EOPNOTSUPP where it has no link object for this
   * attachment.
   */
  info(): LinkInfo {
    this.ensureOpen();
    return this.#native.info() as unknown as LinkInfo;
  }

  /**
   * Put another program in this place, without a moment between (cgroup 5.7, netns 5.7, xdp 5.9,
   * tcx 6.6, netkit 6.7, iter 5.8, sockmap 6.10, tc), or another struct_ops map (6.4).
   * With `old`, only if that is the program in it (EPERM otherwise).
   */
  update(
    next: KernelProgram | KernelMap,
    options: { old?: KernelProgram } = {},
  ): void {
    this.ensureOpen();
    const { old } = options;
    if ('native' in next) this.#native.update(next.native, old?.native);
    else this.#native.updateMap(next.handle);
  }

  /**
   * Detach now, whoever else holds it (5.8); EOPNOTSUPP for types that cannot: close them.
   */
  detach(): void {
    this.ensureOpen();
    this.#native.detach();
  }

  /** Give it a path in a BPF file system, which keeps it when it is closed (5.7). */
  pin(path: string): void {
    this.ensureOpen();
    addon().pin(pinnable(this.#native.fd, 'link'), path);
  }

  /** An iterator's output from the start, as bytes (5.8). */
  read(): Uint8Array {
    const chunks: Buffer[] = [];
    const fd = this.#iterate();
    try {
      for (;;) {
        const chunk = Buffer.allocUnsafe(64 * 1024);
        const size = readAgain(fd, chunk);
        if (size === 0) break;
        chunks.push(chunk.subarray(0, size));
      }
    } finally {
      closeSync(fd);
    }
    return Uint8Array.from(Buffer.concat(chunks));
  }

  /** The same as a stream, read off the event loop. */
  stream(): Readable {
    return createReadStream('', { fd: this.#iterate(), autoClose: true });
  }

  #iterate(): number {
    this.ensureOpen();
    return this.#native.iterate();
  }

  /**
   * Detach, unless it is pinned or another holds it. Where that is a call of its own (tc, sockets,
   * XDP by netlink, cgroups by mode) it can fail: then this throws, and may be tried again.
   */
  override close(): void {
    if (!this.closed) this.#native.close();
    super.close();
  }

  protected override release(): void {
    unwatch(this);
    this.#closed?.(this);
  }
}

/** A program of an iterator may ask for the same element once more. */
function readAgain(fd: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** @internal */
export function pinnable(fd: number, what: string): number {
  if (fd >= 0) return fd;
  throw new TypeError(
    `this ${what} has no object in the kernel that could be pinned`,
  );
}

/** Ids of all links of the machine, as far as they exist when they are come to. */
export function* linkIds(): Generator<number, void> {
  const native = addon();
  for (let id = native.nextLinkId(0); id !== undefined;) {
    yield id;
    id = native.nextLinkId(id);
  }
}
