// A text of many instructions, mixed as compilers mix them, for comparing speed and bytes with
// LLVM's tools: arithmetic of both widths, loads and stores of all sizes, jumps to labels, calls,
// 64-bit loads, atomics, extensions and byte swaps of -mcpu=v4. The same count and seed give the
// same text everywhere.

/** Numbers below n, by xorshift32. */
function random(seed) {
  let x = seed >>> 0 || 1;
  return (n) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % n;
  };
}

const alu = ['+=', '-=', '*=', '/=', '|=', '&=', '<<=', '>>=', '%=', '^=', '='];
const signedAlu = ['s>>=', 's/=', 's%='];
const shifts = new Set(['<<=', '>>=', 's>>=']);
const conditions = '== != > >= < <= s> s>= s< s<= &'.split(' ');
const sizes = ['u8', 'u16', 'u32', 'u64'];
/** Labels stand this many instructions apart; jumps go to one at most `reach` labels away. */
const spacing = 16;
const reach = 60;

/**
 * Text of `count` instructions in one function. A 64-bit load is one instruction here, though it
 * has two slots.
 */
export function mixedText(count, seed = 1) {
  const below = random(seed);
  const pick = (list) => list[below(list.length)];
  const last = Math.floor((count - 1) / spacing);
  const reg = () => `r${below(10)}`;
  const offset = () => {
    const at = below(64) * 8;
    return below(2) ? `r10 - ${at + 8}` : `${reg()} + ${at}`;
  };
  const label = (at) => {
    const to = Math.floor(at / spacing) + below(2 * reach + 1) - reach;
    return `.LBB0_${Math.max(0, Math.min(last, to))}`;
  };
  const arithmetic = () => {
    const op = below(12) ? pick(alu) : pick(signedAlu);
    const wide = below(3) > 0;
    const to = wide ? reg() : `w${below(10)}`;
    if (below(2)) return `${to} ${op} ${wide ? reg() : `w${below(10)}`}`;
    const imm = shifts.has(op) ? below(wide ? 64 : 32) : below(4000) - 1000;
    return `${to} ${op} ${imm}`;
  };
  const condition = () => {
    const wide = below(3) > 0 ? 'r' : 'w';
    const right = below(2) ? `${wide}${below(10)}` : below(512) - 64;
    return `if ${wide}${below(10)} ${pick(conditions)} ${right}`;
  };
  // [weight, text]
  const kinds = [
    [60, arithmetic],
    [
      9,
      () => {
        const size = pick(sizes);
        const to = size === 'u64' ? reg() : `w${below(10)}`;
        return `${to} = *(${size} *)(${offset()})`;
      },
    ],
    [
      7,
      () => {
        const size = pick(sizes);
        const from = size === 'u64' ? reg() : `w${below(10)}`;
        return `*(${size} *)(${offset()}) = ${from}`;
      },
    ],
    [10, (at) => `${condition()} goto ${label(at)}`],
    [4, (at) => `goto ${label(at)}`],
    [7, () => `call ${1 + below(200)}`],
    [
      4,
      () => `${reg()} = ${below(65536) * 65536 + below(65536)}${below(1e9)} ll`,
    ],
    [2, () => `lock *(u64 *)(${offset()}) += ${reg()}`],
    [1, () => `${reg()} = (s${pick([8, 16, 32])})${reg()}`],
    [
      1,
      () => {
        const to = reg();
        return `${to} = ${pick(['be16', 'be32', 'be64', 'bswap64'])} ${to}`;
      },
    ],
    [
      1,
      () => {
        const to = reg();
        return `${to} = -${to}`;
      },
    ],
    [1, () => `*(u32 *)(${offset()}) = ${below(1000)}`],
  ];
  const table = kinds.flatMap(([weight, make]) => Array(weight).fill(make));
  // A local label: for a global function bpfc would write BTF with these lines, which llvm-mc does
  // not.
  const lines = ['\t.text', 'mixed:'];
  for (let at = 0; at < count - 1; at++) {
    if (at % spacing === 0) lines.push(`.LBB0_${at / spacing}:`);
    lines.push(`\t${pick(table)(at)}`);
  }
  if ((count - 1) % spacing === 0) lines.push(`.LBB0_${last}:`);
  lines.push('\texit', '');
  return lines.join('\n');
}
