// The report that Linux 7.3 puts below the verifier's message, written as kernel/bpf/diagnostics.c
// writes it, from what it shall say. It makes logs of that kernel out of an older one's, which show that
// the report is read back.
//   report73({ category, problem, reason, suggestion, at, path }): text
//   at, path[]: { label, text, insn, insns: [[number, text]…], place?: { func, file, line, column, text } }

const WIDTH = 100;
const LANE = 88;

/** Lines of `text` behind a prefix, broken at spaces. */
function wrapped(first, next, text) {
  const lines = [];
  let prefix = first;
  for (let left = text; left.length > 0; prefix = next) {
    const room = Math.max(1, WIDTH - prefix.length);
    let size = Math.min(left.length, room);
    if (size < left.length && left[size] !== ' ') {
      const space = left.lastIndexOf(' ', size - 1);
      if (space > 0) size = space;
    }
    lines.push(prefix + left.slice(0, size));
    left = left.slice(size).trimStart();
  }
  return lines;
}

const indented = (text) => wrapped('  ', '  ', text);

function annotation(width, indent, { label, text }) {
  const most = Math.max(0, LANE - width - 8);
  const lane = `  ${' '.repeat(width + 4)} | ${' '.repeat(Math.min(indent, most))}`;
  return wrapped(`${lane}^-- `, `${lane}    `, `${label}: ${text}`);
}

function context({ insn, insns = [] }) {
  const width = String(Math.max(insn, ...insns.map(([n]) => n))).length;
  const line = ([n, text]) =>
    `  ${n === insn ? '>>> ' : '    '}${String(n).padStart(width)} | ${text}`;
  return ['  Instruction context:', ...insns.map(line)];
}

function lane(prefix, width, number, text) {
  const head = `${prefix}${String(number).padStart(width)} | `;
  const room = LANE - head.length;
  const shown = text.length > room ? `${text.slice(0, room - 3)}...` : text;
  return `  ${head}${shown}`;
}

function event(of) {
  const { place } = of;
  if (!place)
    return [`  insn ${of.insn}`, ...annotation(0, 0, of), ...context(of)];
  const width = String(place.line + 2).length;
  const indent = place.text.length - place.text.trimStart().length;
  const lines = [
    `  ${place.func ? `${place.func} @ ` : ''}${place.file}:${place.line}:${place.column}`,
    '  Source context:',
  ];
  for (let n = Math.max(1, place.line - 2); n <= place.line + 2; n++) {
    if (n !== place.line) lines.push(lane('    ', width, n, '...'));
    else
      lines.push(
        lane('>>> ', width, n, place.text),
        ...annotation(width, indent, of),
      );
  }
  return [...lines, ...context(of)];
}

export function report73({ category, problem, reason, suggestion, at, path }) {
  const title = `${category}: ${problem[0].toUpperCase()}${problem.slice(1)}`;
  const lines = ['', `Verification failed: ${title}`];
  lines.push('', 'Reason:', ...indented(reason));
  lines.push('', 'At:', ...event(at));
  if (path) {
    lines.push('', 'Causal path:');
    path.forEach((of, i) => lines.push(...(i ? [''] : []), ...event(of)));
    if (path.length === 0)
      lines.push('  no retained diagnostic events on this path');
  }
  lines.push('', 'Suggestion:', ...indented(suggestion), '', '');
  return lines.join('\n');
}

/** A log with a report in front of its figures. */
export function withReport(log, report) {
  const figures = log.search(/^(verification time|stack depth|processed) /m);
  const cut = figures < 0 ? log.length : figures;
  return log.slice(0, cut) + report73(report) + log.slice(cut);
}
