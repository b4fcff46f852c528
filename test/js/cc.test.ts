/**
 * `bpf cc` and `bpfc cc`: the options that Makefiles pass, where things are looked for and written,
 * what make is told; and both commands say the same.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  absent,
  cliPath,
  describeUnless,
  nativeCli,
  run,
  type Outcome,
} from '../support';

let folder = '';
const put = (name: string, text: string): void => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
};
const get = (name: string): string => readFileSync(join(folder, name), 'utf8');

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpf-cc-'));
  put(
    'src/main.c',
    '#include "own.h"\n#include <sys.h>\n#include <late.h>\nint main_c = OWN;\n',
  );
  put('src/own.h', '#define OWN 1\n');
  put('sys/sys.h', '#include "part.h"\n');
  put('sys/part.h', 'int part;\n');
  put('late/late.h', 'int late;\n');
  put('late/stddef.h', 'int not_this;\n');
  put('with space/a$b#.h', 'int spaced;\n');
  put('space.c', '#include "a$b#.h"\n');
  put('next/one/x.h', '#include_next <x.h>\nint one;\n');
  put('next/two/x.h', 'int two;\n');
  put('next.c', '#include <x.h>\n');
  put('wrong.c', 'int f(void) { return x; }\n#include "nowhere.h"\n');
  put(
    'frame.c',
    'int f(int n) { volatile char a[40]; a[n] = 1; return a[n]; }\n',
  );
  put('warn.c', '#warning careful\nint x;\n');
  put('good.c', 'int good;\n');
  put('macros.c', 'A B C D __BPF_CPU_VERSION__ __BYTE_ORDER__ __OPTIMIZE__\n');
  put('first.h', '#define D 4\n');
  put('out/keep', '');
  put('std.c', '#include <stddef.h>\nsize_t s;\n');
  put('libc.c', '#include <sys/types.h>\n');
  put('src/embed.c', '#embed "a.bin"\n#embed <b.bin>\n');
  put('src/a.bin', 'A\n');
  put('sys/b.bin', 'B');
  put(
    'comment.c',
    '/* a */ int x; // x\n#define M(x) /* b */ x /* c */\n#if 0\n// no\n#endif\n' +
      '  /* two\n  lines */ M(int /* d */) y; // y\n// z\n',
  );
  put('undef.c', '#include "own.h"\n#undef OWN\nint x;\n');
  put('wrong-here.c', '#include "own.h"\nint f(void) { return x; }\n');
  put('mixed.h', '#define D 5\nint mixed;\n');
  put('root/inc/r.h', 'int r;\n');
  put('root/usr/include/u.h', 'int u;\n');
  put('rooted.c', '#include <r.h>\n');
  put('root-usr.c', '#include <u.h>\n');
  put('generated.c', '#include "made/later.h"\n#include "src/own.h"\n');
  put(
    'dialect.c',
    'struct in { int x, y; };\nstruct out { int a; struct in; };\n' +
      'enum e { A, B = 200 };\n_Static_assert(sizeof(enum e) == 1, "");\n' +
      '_Static_assert(sizeof(struct out) == 12, "");\n' +
      '_Static_assert(\'\\xff\' == 255 && (char)-1 > 0, "");\n' +
      '_Static_assert(!__STDC_HOSTED__, "");\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

type Cc = (args: string[], input?: string) => Outcome;
const js: Cc = (args, input = '') =>
  run(process.execPath, [cliPath, 'cc', ...args], { cwd: folder, input });
const native: Cc = (args, input = '') =>
  run(nativeCli, ['cc', ...args], { cwd: folder, input });

const search = ['-Isrc', '-isystem', 'sys', '-idirafter', 'late'];

function suite(cc: Cc): void {
  const out = (...args: string[]): string => {
    const { status, stdout, stderr } = cc(['-P', ...args]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout.trim().replace(/\n+/g, ' ');
  };

  test('-D, -U, -include, -mcpu, -target, -O', () => {
    expect(
      out(
        '-E',
        '-DA',
        '-D',
        'B=2',
        '-DC(x)=x',
        '-UC',
        '-includefirst.h',
        'macros.c',
      ),
    ).toBe('1 2 C 4 3 1234 1');
    expect(
      out('-E', '-DA=', '-mcpu=v4', '--target=bpfeb', '-O0', 'macros.c'),
    ).toBe('B C D 4 4321 __OPTIMIZE__');
    const big = ['-target', 'bpfeb-unknown-none', '-O3'];
    expect(out('-E', ...big, 'macros.c')).toBe('A B C D 3 4321 1');
    expect(out('-E', ...big, '-mlittle-endian', 'macros.c')).toMatch(/1234/);
    expect(out('-E', '-mbig-endian', '-mcpu=v1', 'macros.c')).toBe(
      'A B C D 1 4321 1',
    );
    // -include comes behind all of -D, as clang has it.
    expect(out('-E', '-include', 'first.h', '-UD', 'macros.c')).toMatch(/4 3/);
  });

  test('folders, in their order', () => {
    expect(out('-E', ...search, 'src/main.c')).toBe(
      'int part; int late; int main_c = 1;',
    );
    expect(out('-E', '-Inext/one', '-Inext/two', 'next.c')).toBe(
      'int two; int one;',
    );
    // What comes with the compiler goes before -idirafter.
    expect(out('-E', '-idirafter', 'late', 'std.c')).toMatch(/size_t s;$/);
    expect(out('-E', '-nostdinc', '-idirafter', 'late', 'std.c')).toBe(
      'int not_this; size_t s;',
    );
    expect(out('-E', '-iquote', 'with space', 'space.c')).toBe('int spaced;');
    expect(cc(['-E', '-nostdinc', 'std.c']).status).toBe(1);
  });

  test('what Makefiles pass to clang is accepted', () => {
    const flags =
      '-g -O2 -Wall -Wextra -Wno-unused-value -Werror=foo -std=gnu11 -fno-stack-protector ' +
      '-fno-builtin -pipe -mllvm -bpf-stack-size=1024 -Xclang -x -Qunused-arguments -x c ' +
      '-nostdlib -fsyntax-only -c -Ofast -O7 -ggdb3 -gdwarf-4 -pthread -lelf -L lib -Wl,-z -Wa,-x ' +
      '-Xlinker -z -m64 -pedantic --target=bpf_le -fno-strict-aliasing -Wp,-DX -ansi -std=gnu11 ' +
      '-mllvm=-x -Xpreprocessor -DY -Xassembler -x -B bin --gcc-toolchain=/x -resource-dir x -mtune=x';
    expect(out(...flags.split(' '), 'good.c')).toBe('');
  });

  test('-E has line markers; -dM and -dD have macros', () => {
    const text = cc(['-E', '-nostdinc', ...search, 'src/main.c']).stdout;
    expect(text.replace(/^[^]*?command line[^]*?(?=# 1 "src)/, '')).toBe(
      '# 1 "src/main.c" 2\n# 1 "src/own.h" 1\n# 2 "src/main.c" 2\n' +
        '# 1 "sys/sys.h" 1 3\n# 1 "sys/part.h" 1 3\nint part;\n# 2 "sys/sys.h" 2 3\n' +
        '# 3 "src/main.c" 2\n# 1 "late/late.h" 1 3\nint late;\n# 4 "src/main.c" 2\n' +
        'int main_c = 1;\n',
    );
    const macros = cc(['-E', '-dM', '-DZ(a,...)=a+__VA_ARGS__', 'good.c']);
    expect(macros.stdout).toMatch(/^#define Z\(a,\.\.\.\) a\+__VA_ARGS__$/m);
    expect(macros.stdout).not.toMatch(/int good/);
    expect(cc(['-E', '-P', '-dD', '-Isrc', 'undef.c']).stdout).toMatch(
      /#define OWN 1\n+#undef OWN\n+int x;\n$/,
    );
    expect(cc(['-E', '-P', '-C', 'comment.c']).stdout).toMatch(
      /\/\* a \*\/ int x; \/\/ x\n+ {2}\/\* two\n {2}lines \*\/ int y; \/\/ y\n\/\/ z\n$/,
    );
    // What -E makes compiles, and is called what it was.
    const again = ['-E', '-nostdinc', '-Isrc', 'wrong-here.c', '-o', 'again.i'];
    expect(cc(again).status).toBe(0);
    const { stderr } = cc(['-fsyntax-only', '-x', 'cpp-output', 'again.i']);
    expect(stderr).toMatch(/^wrong-here\.c:2:\d+: error/);
  });

  test('-imacros, --sysroot, -iprefix, -nostdlibinc, -nobuiltininc', () => {
    expect(out('-E', '-imacros', 'mixed.h', '-DB', 'macros.c')).toBe(
      'A 1 C 5 3 1234 1',
    );
    expect(out('-E', '-I=/inc', '--sysroot=root', 'rooted.c')).toBe('int r;');
    expect(out('-E', '-isysroot', 'root', '--sysroot=x', 'root-usr.c')).toBe(
      'int u;',
    );
    expect(
      out('-E', '-iprefix', 'ro', '-iwithprefix', 'ot/inc', 'rooted.c'),
    ).toBe('int r;');
    expect(out('-E', '-nostdlibinc', 'std.c')).toMatch(/size_t s;$/);
    expect(cc(['-E', '-nostdlibinc', 'libc.c']).status).toBe(1);
    expect(cc(['-E', '-nobuiltininc', '-nostdlibinc', 'std.c']).status).toBe(1);
  });

  test('options in a file, and what is asked for in place of compiling', () => {
    put('words', '-DA="1 2"\n  -D \'B=x\\y\' @more -E\n');
    put('more', '-DC=\\"\\ q\\"');
    put('loop', '@loop');
    expect(out('@words', 'macros.c')).toBe(
      '1 2 x\\y "  q" D 3 1234 1'.replace('"  q"', '" q"'),
    );
    expect(cc(['-dumpversion']).stdout).toBe('19.1.7\n');
    expect(cc(['-print-file-name=include']).stdout).toBe('include\n');
    expect(cc(['-mcpu=help']).stdout).toMatch(/\tv4\n$/);
    expect(cc(['--print-supported-cpus', '-x']).status).toBe(0);
    expect(cc(['--version']).stdout).toMatch(
      /clang version 19\.1\.7\nTarget: bpf/,
    );
    const asked = cc(['-###', '-DA="x"', 'nothing.c']);
    expect(asked.status).toBe(0);
    expect(asked.stderr).toMatch(/"cc" "-###" "-DA=\\"x\\"" "nothing\.c"\n$/);
    expect(out('-E', '-mcpu=probe', 'macros.c')).toMatch(/^A B C D [1-4] /);
  });

  test('#embed: beside the file, and in --embed-dir', () => {
    expect(out('-E', '--embed-dir=sys', 'src/embed.c')).toBe('65, 10  66');
    expect(cc(['-M', '--embed-dir=sys', 'src/embed.c']).stdout).toBe(
      'embed.o: src/embed.c src/a.bin sys/b.bin\n',
    );
    expect(cc(['-E', 'src/embed.c']).status).toBe(1);
  });

  test('-H lists headers, -MG takes those that will be made', () => {
    const { stderr } = cc(['-H', '-fsyntax-only', ...search, 'src/main.c']);
    expect(stderr).toBe(
      '. src/own.h\n. sys/sys.h\n.. sys/part.h\n. late/late.h\n',
    );
    expect(cc(['-MM', '-MG', 'generated.c']).stdout).toBe(
      'generated.o: generated.c made/later.h src/own.h\n',
    );
  });

  test('-funsigned-char, -fshort-enums, -fms-extensions, -ffreestanding', () => {
    const flags = [
      '-funsigned-char',
      '-fshort-enums',
      '-fms-extensions',
      '-ffreestanding',
    ];
    expect(cc(['-fsyntax-only', ...flags, 'dialect.c'])).toMatchObject({
      status: 0,
      stderr: '',
    });
    const back = flags.map((flag) => flag.replace('-f', '-fno-'));
    back[3] = '-fhosted';
    expect(
      cc(['-fsyntax-only', ...flags, ...back, 'dialect.c']).stderr,
    ).toMatch(/:4:[^]*:5:[^]*:6:[^]*:7:/);
  });

  test('-fwrapv keeps the sign of a sum that may wrap', () => {
    const source =
      'int f(int n) { if (n < 0) return 0; n++; return n > 512 ? 512 : n; }\n';
    const signed = (...flags: string[]) => {
      const { status, stdout } = cc(['-S', '-o', '-', ...flags, '-'], source);
      expect(status).toBe(0);
      return / s[<>]=? 51[23] /.test(stdout);
    };
    expect(signed()).toBe(false);
    expect(signed('-fwrapv')).toBe(true);
    expect(signed('-fno-strict-overflow')).toBe(true);
    expect(signed('-fwrapv', '-fno-wrapv')).toBe(false);
    expect(signed('-fno-strict-overflow', '-fstrict-overflow')).toBe(false);
  });

  test('-v lists the folders, as scripts cut them out', () => {
    const { status, stderr } = cc(['-v', '-E', '-Isrc', '-'], 'int x;\n');
    expect(status).toBe(0);
    const listed =
      /<\.\.\.> search starts here:\n([^]*)End of search list/.exec(
        stderr,
      )?.[1];
    expect(listed?.split('\n').slice(0, 2)).toEqual([' src', ' <headers>']);
    expect(cc(['-v']).status).toBe(0);
  });

  test('standard input', () => {
    expect(cc(['-E', '-'], 'A\n').stdout).toContain('A');
    const { status, stderr } = cc(['-fsyntax-only', '-'], 'x\n');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^<stdin>:1:1: error/);
  });

  test('dependencies for make', () => {
    const own = 'main.o: src/main.c src/own.h\n';
    const all =
      'main.o: src/main.c src/own.h sys/sys.h sys/part.h late/late.h\n';
    const made = (...args: string[]): string => cc([...search, ...args]).stdout;
    expect(made('-M', 'src/main.c')).toBe(all);
    expect(made('-MM', 'src/main.c')).toBe(own);
    expect(made('-MM', '-MP', 'src/main.c')).toBe(`${own}src/own.h:\n`);
    expect(made('-MM', '-MT', 'x y', '-MQ', 'a$b c', 'src/main.c')).toBe(
      own.replace('main.o', () => 'x y a$$b\\ c'),
    );
    expect(made('-M', '-iquote', 'with space', 'space.c')).toBe(
      'space.o: space.c with\\ space/a$$b\\#.h\n',
    );
    expect(made('-M', 'std.c')).toBe('std.o: std.c\n');
    expect(made('-E', '-MD', '-o', 'out/main.i', 'src/main.c')).toBe('');
    expect(get('out/main.d')).toBe(all.replace('main.o', 'out/main.i'));
    expect(made('-E', '-MMD', '-MF', 'my.d', 'src/main.c')).toContain('int');
    expect(get('my.d')).toBe(own);
    made('-E', '-Wp,-MD,kernel.d', 'src/main.c');
    expect(get('kernel.d')).toBe(all);
    made('-fsyntax-only', '-MD', 'src/main.c');
    expect(get('main.d')).toBe(all);
    rmSync(join(folder, 'main.d'));
    expect(cc(['-MD', '-fsyntax-only', 'wrong.c']).status).toBe(1);
    expect(existsSync(join(folder, 'wrong.d'))).toBe(false);
  });

  test('several files: each is done, the worst status counts', () => {
    const { status, stdout, stderr } = cc([
      '-E',
      'good.c',
      'nothing.c',
      'wrong.c',
      'std.c',
    ]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/int good;[^]*size_t s;/);
    expect(stderr).toMatch(/nothing\.c: No such file[^]*wrong\.c:2:/);
  });

  test('stack that is used is listed when it is asked for', () => {
    const { status, stderr } = cc([
      ...[
        '-Wframe-larger-than=0',
        '-Wunused-lable',
        '-o',
        'frame.o',
        'frame.c',
      ],
    ]);
    expect(status).toBe(0);
    expect(stderr).toMatch(/'-Wunused-lable'; did you mean '-Wunused-label'\?/);
    expect(stderr).toMatch(
      /frame\.c:1:5: warning: 'f' takes 40 bytes of stack[^]*\[-Wframe-larger-than\]/,
    );
  });

  test('warnings do not stop it, errors do; as JSON, too', () => {
    expect(cc(['-fsyntax-only', 'warn.c'])).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^warn\.c:1:2: warning: careful/),
    });
    const { status, stdout, stderr } = cc([
      '-fsyntax-only',
      '--json',
      'wrong.c',
    ]);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    const lines = (JSON.parse(stdout) as { line: number }[]).map((d) => d.line);
    expect(lines).toEqual([2, 1]); // what is missing, and what stands in front of it
  });

  test.each([
    [['-frob', '--frob', 'a.c'], /unknown option '--frob'/],
    [[], /a FILE is missing/],
    [['a.c', 'b.c', '-o', 'x'], /one OUT cannot be made of several FILEs: 'x'/],
    [['a.o'], /objects, assembly \(see `as`\) and bitcode it does not: 'a\.o'/],
    [['-emit-llvm', 'a.c'], /-emit-llvm is refused: there is no LLVM/],
    [['-mcpu=v5', 'a.c'], /-mcpu= does not take 'v5'/],
    [['-Ox', 'a.c'], /-O does not take 'x'/],
    [['-mcup=v4', 'a.c'], /unknown option '-mcup=v4'; did you mean '-mcpu='\?/],
    [['-fms-extention', 'a.c'], /did you mean '-fms-extensions'\?/],
    [['-march=bpf', 'a.c'], /-march= is refused: --target=bpf/],
    [['-save-temps=obj', 'a.c'], /-save-temps is refused: -E makes/],
    [['-MG', 'a.c'], /-MG stands beside -M or -MM/],
    [['@loop', 'a.c'], /files of options name each other: '@loop'/],
    [['-Wp,-Wp,-DA', 'a.c'], /-Wp, does not take '-Wp,-DA'/],
    [['-target', 'x86_64', 'a.c'], /-target does not take 'x86_64'/],
    [['-std=c++11', 'a.c'], /-std= does not take 'c\+\+11'/],
    [['-x', 'c++', 'a.c'], /-x does not take 'c\+\+'/],
    [['a.c', '-I'], /an argument is missing behind '-I'/],
    [['a.c', '--btf'], /an argument is missing behind '--btf'/],
    [['-Wp,-A,-B', 'a.c'], /-Wp, does not take '-A,-B'/],
  ])('%j: status 2', (args, message) => {
    const { status, stdout, stderr } = cc(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
}

describe('bpf cc', () => suite(js));
describeUnless(absent(nativeCli), 'bpfc cc', () => suite(native));

describeUnless(absent(nativeCli), 'bpf cc beside bpfc cc', () => {
  const plain = (text: string): string => text.replace(/\bbpfc\b/g, 'bpf');
  test.each([
    ['--help'],
    ['--version'],
    [''],
    ['-v'],
    ['-v -Isrc -iquote next -idirafter late -E good.c'],
    ['-frob --frob'],
    ['-E -D'],
    ['x.ll'],
    ['a.c b.c -o c'],
    ['-emit-llvm x.c'],
    ['-mcpu=probe x.c'],
    ['-fsyntax-only wrong.c warn.c missing.c'],
    ['-fsyntax-only --json wrong.c warn.c'],
    ['-E wrong.c'],
    ['-E src'],
    [`-M -MP ${search.join(' ')} src/main.c`],
    ['-MM -MT $a -MQ $a -MQ b#c good.c'],
    ['-E libc.c'],
    ['-M libc.c'],
    ['-E -dD -H -include first.h std.c'],
    ['-### -DA="x" a.c'],
    ['-E -isysroot root -v root-usr.c'],
    ['-E -mcpu=probe macros.c'],
    ['-MM -MG generated.c'],
    ['-mcpu=help'],
    ['-fms-extention x.c'],
    ['@nothing'],
    ['-E -include nothing.h good.c'],
  ])('%s', (words) => {
    const args = words === '' ? [] : words.split(' ');
    const theirs = native(args);
    expect(js(args)).toEqual({
      status: theirs.status,
      stdout: plain(theirs.stdout),
      stderr: plain(theirs.stderr),
    });
  });
});
