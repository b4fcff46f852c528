/**
 * The verifier's log in JavaScript: the stored logs of test/cases/verify, through wasm and through
 * both commands.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compile, explain, VerifierLog } from '../../dist/bindings/src';
import {
  absent,
  bpf,
  cliPath,
  describeUnless,
  nativeCli,
  root,
  run,
} from '../support';

const folder = join(root, 'test/cases/verify');
const cases = readdirSync(folder).map((name) => {
  const text = readFileSync(join(folder, name), 'utf8');
  const part = (wanted: string): string =>
    text
      .split(/^-- /m)
      .find((own) => own.startsWith(`${wanted}\n`))
      ?.slice(wanted.length + 1) ?? '';
  return { name, log: part('input.log'), expected: part('explain') };
});
const logOf = (wanted: string): string =>
  cases.find(({ name }) => name === `${wanted}.case`)?.log ?? '';

describe('explain', () => {
  test.each(cases)('$name', ({ log, expected }) => {
    const read = explain(log);
    expect(read.text).toBe(expected);
    expect(read.ansi.replace(/\x1b\[[0-9;]*m/g, '')).toBe(expected); // eslint-disable-line no-control-regex
    expect(read.raw).toBe(log);
    expect(read.refused).toBe(
      !/^(the log has no reason|this is no log)/.test(expected),
    );
  });

  test('a refusal as data', () => {
    const log = explain(logOf('null_pointer'));
    expect(log).toBeInstanceOf(VerifierLog);
    expect(log).toMatchObject({
      refused: true,
      cause: 'null-pointer',
      reason: "R0 invalid mem access 'map_value_or_null'",
      instruction: 7,
      source: {
        file: 'null_pointer.c',
        line: 15,
        text: 'return *value;',
      },
    });
    expect(log.explanation).toMatch(/^r0 may be NULL/);
    expect(log.remedy).toMatch(/compare the pointer with NULL/);
    expect(log.processed).toBeGreaterThan(5);
    expect(log.details).toMatchObject({
      register: 0,
      registerState: { type: 'map_value_or_null', map: 'counts', valueSize: 8 },
      origin: [
        {
          kind: 'call',
          instruction: 6,
          source: { file: 'null_pointer.c', line: 14 },
        },
      ],
    });
    expect(String(log)).toBe(log.text);
  });

  test('lines, registers and stack slots', () => {
    const { lines } = explain(logOf('null_pointer'));
    expect(lines[0]).toMatchObject({
      kind: 'state',
      instruction: 0,
      state: [
        { register: 1, type: 'ctx' },
        { register: 10, type: 'fp' },
      ],
    });
    const store = lines.find(({ text }) => /\*\(u32 \*\)\(r10 -4\)/.test(text));
    expect(store).toMatchObject({
      kind: 'instruction',
      state: [
        { register: 1, type: 'scalar', value: '0' },
        { register: 10 },
        { stack: -8, type: '0000????' },
      ],
    });
    expect(lines.filter(({ kind }) => kind === 'reason')).toHaveLength(1);
    expect(lines.find(({ kind }) => kind === 'source')).toMatchObject({
      file: 'null_pointer.c',
      line: expect.any(Number),
    });
  });

  test('the report of Linux 7.3', () => {
    const { report } = explain(logOf('report_leak')).details;
    expect(report).toMatchObject({
      category: 'Resource Lifetime Safety',
      problem: 'Unreleased resource',
      reason: expect.stringMatching(/^Owned resource .* exit path\.$/),
      at: { label: 'error', source: { line: 16, function: 'send' } },
      path: [{ label: 'acquired', instruction: 5 }, { label: 'branch' }],
    });
  });

  test('lines of C from the object', () => {
    const object = compile(
      '__attribute__((section("socket"), used)) int f(void *ctx) {\n  return 0;\n}\n',
      { filename: 'own.c' },
    );
    const log = '1: (95) exit\nR0 !read_ok\n';
    expect(explain(log).source).toBeUndefined();
    for (const given of [object, object.toElf()]) {
      const { source } = explain(log, { object: given });
      expect(source).toMatchObject({ line: 2, function: 'f' });
      expect(source?.file).toMatch(/own\.c$/);
    }
    const wrong = { object, program: 'g' };
    expect(() => explain(log, wrong)).toThrow("no program 'g'");
    expect(() => explain(log, { object: new Uint8Array(3) })).toThrow(
      /cannot read/,
    );
  });

  test('bytes, an empty log, one that is none', () => {
    const bytes = new TextEncoder().encode(logOf('division'));
    expect(explain(bytes).cause).toBe('division');
    const none = { recognized: false, refused: false };
    expect(explain('')).toMatchObject({ ...none, lines: [] });
    for (const text of [
      '\u0000\ufffd\n(((',
      'bpftool: command not found\n',
      '; a comment\nmov r0, 1\nexit\n',
      'int main(void)\n{\n    return 0;\n}\n',
    ]) {
      expect(explain(text)).toMatchObject(none);
      expect(explain(text).text).toMatch(/^this is no log/);
      expect(explain(text).cause).toBeUndefined();
    }
    // One line is enough, a message by itself, too.
    for (const line of [
      'processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0',
      '0: (95) exit',
      'R0 !read_ok',
      "libbpf: prog 'p': -- BEGIN PROG LOAD LOG --\nsomething new\n-- END PROG LOAD LOG --",
    ])
      expect(explain(`${line}\n`).recognized).toBe(true);
    const unknown = explain('0: (95) exit\nsomething new of a later kernel\n');
    expect(unknown).toMatchObject({
      refused: true,
      reason: 'something new of a later kernel',
    });
  });
});

describe('bpf explain', () => {
  const input = logOf('map_value_bounds');
  const command = (...args: string[]) =>
    run(process.execPath, [cliPath, ...args], { input });

  test('text, JSON and lines', () => {
    const { text, details, lines } = explain(input);
    expect(command('explain', '-').stdout).toBe(text);
    const json = command('explain', '-', '--json').stdout;
    expect(JSON.parse(json)).toEqual(details);
    expect(JSON.parse(command('explain', '-', '--lines').stdout)).toEqual(
      lines,
    );
  });

  test('what is no log: status 1, said on stderr or in the data', () => {
    const other = (...args: string[]) =>
      run(process.execPath, [cliPath, 'explain', '-', ...args], {
        input: 'hello\n',
      });
    expect(other()).toEqual({
      status: 1,
      stdout: '',
      stderr:
        "bpf: <stdin>: this is no log of the kernel's verifier: no line is one that it writes\n",
    });
    const { status, stdout } = other('--json');
    expect([status, JSON.parse(stdout)]).toMatchObject([
      1,
      { recognized: false, refused: false },
    ]);
    expect(other('--lines').status).toBe(1);
    const accepted = { input: 'processed 2 insns (limit 1000000)\n' };
    const words = [cliPath, 'explain', '-'];
    expect(run(process.execPath, words, accepted)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('the program was accepted'),
    });
  });

  test('a file that is not there', () => {
    expect(bpf('explain', join(folder, 'absent.log')).status).toBe(1);
  });
});

describeUnless(absent(nativeCli), 'bpfc explain', () => {
  test('says what bpf says', () => {
    const input = logOf('report_map_bounds');
    for (const args of [['--json'], ['--lines'], []]) {
      const words = ['explain', '-', ...args];
      const own = run(nativeCli, words, { input });
      const js = [cliPath, ...words];
      expect(run(process.execPath, js, { input })).toEqual(own);
      const none = { input: 'no log at all\n' };
      const other = run(nativeCli, words, none);
      other.stderr = other.stderr.replace(/^bpfc:/, 'bpf:');
      expect(run(process.execPath, js, none)).toEqual(other);
    }
  });
});
