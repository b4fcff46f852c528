// The table of main.js: redrawn in place on a terminal, plain lines in a pipe.
'use strict';

const PID = 8;
const NUMBER = 12;
const NAME = 16;
/** Lines around the rows: title, header, rest, and the shell's prompt. */
const FRAME = 5;
/** Below this width there is no room for a bar. */
const BAR_FROM = PID + NAME + 2 * NUMBER + 16;

const colours = (on) => ({
  bold: (text) => (on ? `\x1b[1m${text}\x1b[0m` : text),
  dim: (text) => (on ? `\x1b[2m${text}\x1b[0m` : text),
  bar: (text) => (on ? `\x1b[36m${text}\x1b[0m` : text),
});

const number = (n) => Math.round(n).toLocaleString('en-US');
const count = (n, what) => `${number(n)} ${what}${n === 1 ? '' : 'es'}`;
const sum = (rows) => rows.reduce((all, row) => all + row.count, 0);

/** Names come from other processes: control characters must not reach the terminal. */
const clean = (name) =>
  name
    .replace(/[\x00-\x1f\x7f-\x9f]/g, '?')
    .padEnd(NAME)
    .slice(0, NAME);

const cells = (pid, name, ...numbers) =>
  [
    String(pid).padStart(PID),
    `  ${name}`,
    ...numbers.map((n) => n.padStart(NUMBER)),
  ].join('');

/** The whole table for a pipe or a file. */
function plainTable(rows, top = rows.length) {
  const shown = rows.slice(0, top);
  const lines = shown.map((row) =>
    cells(row.pid, clean(row.comm), String(row.count)),
  );
  const more = rows.length - shown.length;
  if (more > 0) lines.push(`and ${count(more, 'more process')}`);
  return `${cells('PID', 'COMMAND'.padEnd(NAME), 'CALLS')}\n${lines.join('\n')}\n`;
}

/** A table that stays in its place on a terminal. */
class Screen {
  #out;
  #seconds;
  #top;
  #paint;
  #lines = 0;
  #before = new Map();
  #time = 0;
  #rates = new Map();

  constructor(out, { seconds, top }) {
    this.#out = out;
    this.#seconds = seconds;
    this.#top = top;
    const plain = process.env.NO_COLOR || process.env.TERM === 'dumb';
    this.#paint = colours(!plain);
    out.write('\x1b[?25l'); // no cursor while drawing
    process.once('exit', this.#restore);
  }

  draw(rows, elapsed) {
    this.#measure(rows, elapsed);
    const left = Math.max(0, Math.ceil(this.#seconds - elapsed));
    this.#put(rows, `${left} s left`);
  }

  end(rows, elapsed) {
    this.#rates = new Map(
      rows.map((row) => [row.pid, row.count / Math.max(elapsed, 0.001)]),
    );
    this.#put(rows, `in ${elapsed.toFixed(1)} s, detached`);
    this.#restore();
    process.removeListener('exit', this.#restore);
  }

  /** Calls per second since the last frame. */
  #measure(rows, elapsed) {
    const passed = elapsed - this.#time;
    const rates = rows.map((row) => {
      const since = row.count - (this.#before.get(row.pid) ?? 0);
      return [row.pid, passed > 0 ? since / passed : 0];
    });
    this.#rates = new Map(rates);
    this.#before = new Map(rows.map((row) => [row.pid, row.count]));
    this.#time = elapsed;
  }

  #put(rows, state) {
    const { columns = 80, rows: height = 24 } = this.#out;
    const fits = Math.max(1, height - FRAME);
    const shown = rows.slice(0, Math.min(fits, this.#top ?? 20));
    const more = rows.length - shown.length;
    const { bold, dim } = this.#paint;
    // A line that wraps would put the next frame into the wrong place.
    const fit = (text) => text.slice(0, columns - 1);
    const lines = [
      bold(
        fit(
          `${number(sum(rows))} system calls by ${count(rows.length, 'process')}, ${state}`,
        ),
      ),
      dim(fit(cells('PID', 'COMMAND'.padEnd(NAME), 'CALLS', 'CALLS/S'))),
      ...shown.map((row) => this.#row(row, shown[0].count, columns)),
    ];
    if (more > 0) {
      lines.push(dim(`${' '.repeat(PID)}  and ${count(more, 'more process')}`));
    }
    const up = this.#lines > 0 ? `\x1b[${this.#lines}A\r` : '';
    const text = lines.map((line) => `${line}\x1b[K\n`).join('');
    this.#out.write(`${up}${text}\x1b[J`);
    this.#lines = lines.length;
  }

  #row({ pid, comm, count: calls }, most, columns) {
    const rate = this.#rates.get(pid) ?? 0;
    const text = cells(
      pid,
      clean(comm),
      number(calls),
      rate >= 0.5 ? number(rate) : '',
    );
    if (columns < BAR_FROM) return text.slice(0, columns - 1);
    const room = Math.min(columns - text.length - 3, 40);
    return `${text}  ${this.#paint.bar(bar(calls / most, room))}`;
  }

  #restore = () => this.#out.write('\x1b[?25h');
}

/** A bar in eighths of a cell. */
function bar(part, room) {
  const eighths = Math.round(part * room * 8);
  const rest = ' ▏▎▍▌▋▊▉'[eighths % 8].trim();
  return '█'.repeat(eighths >> 3) + rest;
}

module.exports = { Screen, plainTable };
