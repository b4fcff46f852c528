// A reader of ELF64 files for the peers' comparisons, written apart from asm-core's: what both make
// of a file is compared. It trusts the file, since compilers made it.

const SHT = { symtab: 2, rela: 4, nobits: 8, rel: 9, symtabShndx: 18 };
export const SHF = { write: 1, alloc: 2, exec: 4 };

/**
 * { big, sections, symbols } of the bytes; a section is { index, name, type, flags, align, entsize,
 * size, bytes, link, info, relocs }, a relocation { offset, type, symbol, addend } with `symbol` an
 * index into symbols, a symbol { name, section, value, size, bind, type, other }.
 */
export function readElf(bytes) {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const big = file[5] === 2;
  const u16 = (at) => (big ? file.readUInt16BE(at) : file.readUInt16LE(at));
  const u32 = (at) => (big ? file.readUInt32BE(at) : file.readUInt32LE(at));
  const u64 = (at) =>
    big ? file.readBigUInt64BE(at) : file.readBigUInt64LE(at);
  const num = (at) => Number(u64(at));
  const at = num(40);
  const count = u16(60) || num(at + 32);
  const namesAt = u16(62) === 0xffff ? u32(at + 40) : u16(62);
  const sections = Array.from({ length: count }, (_, index) => {
    const h = at + 64 * index;
    const type = u32(h + 4);
    const [offset, size] = [num(h + 24), num(h + 32)];
    return {
      ...{ index, nameAt: u32(h), name: '', type, flags: num(h + 8), offset },
      ...{ size, link: u32(h + 40), info: u32(h + 44), align: num(h + 48) },
      entsize: num(h + 56),
      bytes:
        type === SHT.nobits || index === 0
          ? Buffer.alloc(0)
          : file.subarray(offset, offset + size),
      relocs: [],
    };
  });
  const text = (table, from) => {
    const { bytes: strings } = sections[table];
    return strings.toString('latin1', from, strings.indexOf(0, from));
  };
  for (const section of sections)
    section.name = index0(section) ? '' : text(namesAt, section.nameAt);
  const symtab = sections.find(({ type }) => type === SHT.symtab);
  const wide = sections.find(({ type }) => type === SHT.symtabShndx);
  const symbols = Array.from({ length: (symtab?.size ?? 0) / 24 }, (_, i) => {
    const s = symtab.offset + 24 * i;
    const shndx = u16(s + 6);
    return {
      name: text(symtab.link, u32(s)),
      section: shndx === 0xffff && wide ? u32(wide.offset + 4 * i) : shndx,
      ...{ value: num(s + 8), size: num(s + 16) },
      ...{ bind: file[s + 4] >> 4, type: file[s + 4] & 15, other: file[s + 5] },
    };
  });
  for (const table of sections) {
    if (table.type !== SHT.rel && table.type !== SHT.rela) continue;
    for (
      let r = table.offset;
      r < table.offset + table.size;
      r += table.entsize
    )
      sections[table.info].relocs.push({
        offset: num(r),
        type: big ? u32(r + 12) : u32(r + 8),
        symbol: big ? u32(r + 8) : u32(r + 12),
        addend: table.type === SHT.rela ? BigInt.asIntN(64, u64(r + 16)) : null,
      });
  }
  return { big, sections, symbols };
}

const index0 = ({ index }) => index === 0;

/** What a relocation refers to, as text that is equal when the targets are: sections by name. */
export function target(elf, reloc) {
  const symbol = elf.symbols[reloc.symbol];
  const section = elf.sections[symbol.section]?.name ?? `#${symbol.section}`;
  const name = symbol.type === 3 ? '' : symbol.name;
  return `${name}@${section}+${symbol.value}`;
}

/** A section's relocations as lines, in the order of the file. */
export const relocLines = (elf, section) =>
  section.relocs.map(
    (reloc) =>
      `${reloc.offset} ${reloc.type} ${target(elf, reloc)} ${reloc.addend ?? ''}`,
  );
