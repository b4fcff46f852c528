/**
 * vm_map.ts - one map of a Machine, by bytes: what BpfMap asks of a backend, through ebpf_vm_map_*.
 *
 * Key and value travel through one piece of wasm memory each.
 */
import type { Context } from '../../wasm/loader';
import { expectOk, expectSpan } from './engine';
import { KernelError, kernelError } from './errors';
import {
  updateFlags,
  type MapBackend,
  type MapEvent,
  type UpdateMode,
} from './map';

/** struct ebpf_vm_map */
const MapInfo = {
  type: 0,
  keySize: 4,
  valueSize: 12,
  maxEntries: 16,
  count: 20,
  flags: 24,
  lost: 28,
  size: 32,
};
const ENOENT = 2;

export class VmMap implements MapBackend {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly littleEndian: boolean;
  readonly #use: () => Context;
  readonly #vm: number;
  readonly #index: number;
  readonly #key: number;
  readonly #value: number;
  readonly #info: number;

  constructor(
    use: () => Context,
    vm: number,
    index: number,
    littleEndian: boolean,
  ) {
    const context = use();
    const { engine } = context;
    this.#use = use;
    this.#vm = vm;
    this.#index = index;
    this.littleEndian = littleEndian;
    const name = expectSpan(context, 'the VM failed', (out) =>
      engine.call('ebpf_vm_map_name', vm, index, out),
    );
    this.name = engine.textOut(name);
    const info = context.alloc(MapInfo.size);
    this.#info = info;
    this.#readInfo();
    this.type = engine.u32(info + MapInfo.type);
    this.keySize = engine.u32(info + MapInfo.keySize);
    this.valueSize = engine.u32(info + MapInfo.valueSize);
    this.maxEntries = engine.u32(info + MapInfo.maxEntries);
    this.#key = context.alloc(Math.max(this.keySize, 8));
    // It takes the next key, too.
    this.#value = context.alloc(Math.max(this.valueSize, this.keySize, 8));
  }

  /** The map's number, which maps of maps hold. */
  get id(): number {
    return this.#index;
  }

  count(): number {
    const { engine } = this.#use();
    this.#readInfo();
    return engine.u32(this.#info + MapInfo.count);
  }

  /** Records that found no room. */
  lost(): number {
    const { engine } = this.#use();
    this.#readInfo();
    return engine.u32(this.#info + MapInfo.lost);
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    return this.#read('map lookup', 'ebpf_vm_map_lookup', key);
  }

  take(key: Uint8Array): Uint8Array | undefined {
    return this.#read('map lookup and delete', 'ebpf_vm_map_take', key);
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode): void {
    const { engine } = this.#use();
    engine.bytes.set(value, this.#value);
    const status = engine.call(
      'ebpf_vm_map_update',
      this.#vm,
      this.#index,
      this.#keyIn(key),
      this.#value,
      updateFlags[mode],
    );
    if (status !== 0) throw this.#error('map update', status);
  }

  remove(key: Uint8Array): boolean {
    const { engine } = this.#use();
    return this.#found(
      'map delete',
      engine.call(
        'ebpf_vm_map_delete',
        this.#vm,
        this.#index,
        this.#keyIn(key),
      ),
    );
  }

  *scan(): Generator<[Uint8Array, Uint8Array], void> {
    if (this.keySize === 0) return;
    // The next key is asked for before this one is handed out, so that it may be deleted. A run
    // between two keys may add others: no more are handed out than the map can hold.
    let key = this.#next(undefined);
    for (let left = this.maxEntries; key && left > 0; left--) {
      const next = this.#next(key);
      const value = this.lookup(key);
      if (value) yield [key, value];
      key = next;
    }
  }

  record(): MapEvent | undefined {
    const context = this.#use();
    const { engine } = context;
    const cpu = this.#info;
    const { status, span } = context.span((out) =>
      engine.call('ebpf_vm_map_record', this.#vm, this.#index, cpu, out),
    );
    return this.#found('map record', status)
      ? { cpu: engine.u32(cpu), data: engine.copyOut(span) }
      : undefined;
  }

  send(data: Uint8Array): void {
    const context = this.#use();
    const { at, size } = context.copyIn(data);
    const status = context.engine.call(
      'ebpf_vm_map_send',
      this.#vm,
      this.#index,
      at,
      size,
    );
    if (status !== 0) throw this.#error('map send', status);
  }

  #read(
    operation: string,
    entry: 'ebpf_vm_map_lookup' | 'ebpf_vm_map_take',
    key: Uint8Array,
  ): Uint8Array | undefined {
    const { engine } = this.#use();
    const status = engine.call(
      entry,
      this.#vm,
      this.#index,
      this.#keyIn(key),
      this.#value,
    );
    return this.#found(operation, status)
      ? engine.copyOut({ at: this.#value, size: this.valueSize })
      : undefined;
  }

  /** Where the key is; maps without keys take NULL. */
  #keyIn(key: Uint8Array): number {
    if (this.keySize === 0) return 0;
    this.#use().engine.bytes.set(key, this.#key);
    return this.#key;
  }

  #readInfo(): void {
    const context = this.#use();
    expectOk(
      context,
      context.engine.call(
        'ebpf_vm_map_info',
        this.#vm,
        this.#index,
        this.#info,
      ),
      'the VM failed',
    );
  }

  #next(key: Uint8Array | undefined): Uint8Array | undefined {
    const { engine } = this.#use();
    const status = engine.call(
      'ebpf_vm_map_next',
      this.#vm,
      this.#index,
      key ? this.#keyIn(key) : 0,
      this.#value,
    );
    return this.#found('map next key', status)
      ? engine.copyOut({ at: this.#value, size: this.keySize })
      : undefined;
  }

  #found(operation: string, status: number): boolean {
    if (status === 0) return true;
    if (status === -ENOENT) return false;
    throw this.#error(operation, status);
  }

  /** The class that the kernel's maps throw: a test moves between the two. */
  #error(operation: string, status: number): KernelError {
    const errno = -status;
    const code = KernelError.getCode(errno);
    return kernelError({
      operation,
      errno,
      code,
      subject: this.name,
      reason: 'the VM refuses it as the kernel does',
      remedy: "check the map's type, its size and the flags",
    });
  }
}
