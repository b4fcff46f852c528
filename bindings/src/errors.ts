/**
 * errors.ts - every class that this package throws, beside Node's own TypeError and RangeError.
 *
 * What is wrong with an input (text, ELF, BTF) is a BpfSyntaxError that carries diagnostics; what
 * the kernel refuses is a KernelError, compatible with the BPFError of npm bpf 1.x; a program that
 * faults in the VM is a MachineError; the toolchain's own failures are an EngineError.
 */
import { libbpfErrnoMessages, LibbpfErrno } from './constants';
import type { VerifierLog } from './log';

export { EngineError } from '../../wasm/loader';

export interface DiagnosticPlace {
  /** The name given for the input. */
  file?: string;
  /** From 1. */
  line?: number;
  /** From 1, in bytes. */
  column?: number;
  endLine?: number;
  endColumn?: number;
  /** In bytes from the start of the text. */
  offset?: number;
}

export interface DiagnosticNote extends DiagnosticPlace {
  message: string;
}

/** An edit: `text` in place of what is from `line`, `column` to `endLine`, `endColumn`. */
export interface Fixit extends DiagnosticPlace {
  text: string;
}

export interface Diagnostic extends DiagnosticNote {
  severity: 'error' | 'warning' | 'note';
  /** Stable name of the kind of diagnostic, such as 'bad-register'. */
  code: string;
  /** Of a warning, the option that switches it: '-Wunused-variable'. */
  option?: string;
  /** What to do about it. */
  help?: string;
  /** The instruction that it speaks of. */
  insn?: number;
  notes: DiagnosticNote[];
  /** What would mend it, where that is plain: all of these edits together. */
  fixits?: Fixit[];
}

/** All diagnostics of one request, as data and as text for people. */
export interface Report {
  readonly diagnostics: readonly Diagnostic[];
  /** file:line:column: error: message, the source line, a caret; every line ends in a newline. */
  readonly text: string;
  /** The same with terminal colours. */
  readonly ansi: string;
}

/** An input is wrong: `diagnostics` say where and why. */
export class BpfSyntaxError extends Error implements Report {
  override readonly name: string = 'BpfSyntaxError';
  readonly diagnostics: readonly Diagnostic[];
  readonly text: string;
  readonly ansi: string;

  constructor(what: string, report: Report) {
    const errors = report.diagnostics.filter((d) => d.severity === 'error');
    const count = errors.length === 1 ? '1 error' : `${errors.length} errors`;
    super(`${what}: ${count}\n${report.text.trimEnd()}`);
    this.diagnostics = report.diagnostics;
    this.text = report.text;
    // Not enumerable: an uncaught error would print the same text three times.
    this.ansi = report.ansi;
    hide(this, 'diagnostics', 'text', 'ansi');
  }
}

/** Assembly text is wrong. */
export class AssembleError extends BpfSyntaxError {
  override readonly name: string = 'AssembleError';
}

/** C is wrong. */
export class CompileError extends BpfSyntaxError {
  override readonly name: string = 'CompileError';
}

export interface BPFErrorFields {
  /** What was being done, e.g. 'map lookup'. */
  operation: string;
  /** Positive errno, 0 where the kernel was not asked. */
  errno: number;
  /** 'EPERM', 'ENOENT', ..., or 'ERR_...' for reasons that are not the kernel's. */
  code: string;
  /** Entries that a batch processed before it failed, where that is known. */
  count?: number;
}

/** Linux's errno values from 1 on; ? where there is none. */
const errnoNames =
  'EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ? ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT ? EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL ?'.split(
    ' ',
  );
/** The kernel's own, which bpf(2) lets out. */
const ENOTSUPP = 524;

/** A failed BPF operation, as npm bpf 1.x threw it. */
export class BPFError extends Error {
  override readonly name: string = 'BPFError';
  readonly operation: string;
  readonly errno: number;
  readonly code: string;
  readonly count?: number;

  /** 'EPERM' for 1, 'LIBBPF_ERRNO__FORMAT' for 4001. */
  static getCode(errno: number): string {
    if (errno === ENOTSUPP) return 'ENOTSUPP';
    const libbpf: string | undefined = LibbpfErrno[errno];
    if (libbpf !== undefined) return `LIBBPF_ERRNO__${libbpf}`;
    const name = errnoNames[errno - 1];
    return name === undefined || name === '?' ? `E${errno}` : name;
  }

  constructor(message: string, fields: BPFErrorFields);
  /** As in npm bpf 1.x. */
  constructor(errno: number, operation: string, count?: number);
  constructor(
    what: string | number,
    about: BPFErrorFields | string,
    count?: number,
  ) {
    const fields =
      typeof about === 'string' ? ancestral(Number(what), about, count) : about;
    super(
      typeof what === 'string'
        ? what
        : (libbpfErrnoMessages[what] ?? fields.code),
    );
    this.operation = fields.operation;
    this.errno = fields.errno;
    this.code = fields.code;
    if (fields.count !== undefined) this.count = fields.count;
  }
}

function ancestral(
  errno: number,
  operation: string,
  count?: number,
): BPFErrorFields {
  const code = BPFError.getCode(errno);
  return { operation, errno, code, ...(count !== undefined && { count }) };
}

export interface KernelErrorFields extends BPFErrorFields {
  /** The program or map that it is about, where there is one. */
  subject?: string;
  /** Why it failed, e.g. 'this process lacks CAP_BPF'. */
  reason?: string;
  /** What to do about it, e.g. 'run it as root, or give it the capability'. */
  remedy?: string;
  /** The verifier's log, complete, where there is one. */
  log?: string;
  /** What that log means: cause, line of C, remedy. load() tells. */
  explanation?: VerifierLog;
}

/**
 * The kernel, or the way to it, refused an operation. The message has all of it in a line:
 * "operation 'subject': reason (code); remedy".
 */
export class KernelError extends BPFError {
  override readonly name: string = 'KernelError';
  readonly subject?: string;
  readonly reason?: string;
  readonly remedy?: string;
  readonly log?: string;
  readonly explanation?: VerifierLog;

  constructor(message: string, fields: KernelErrorFields) {
    super(message, fields);
    if (fields.subject !== undefined) this.subject = fields.subject;
    if (fields.reason !== undefined) this.reason = fields.reason;
    if (fields.remedy !== undefined) this.remedy = fields.remedy;
    if (fields.log !== undefined) {
      this.log = fields.log;
      hide(this, 'log');
    }
    if (fields.explanation !== undefined) {
      this.explanation = fields.explanation;
      hide(this, 'explanation');
    }
  }
}

/** A KernelError whose message is made of its fields. */
export function kernelError(
  fields: KernelErrorFields & { reason: string; remedy: string },
  cause?: unknown,
): KernelError {
  const { operation, subject, reason, code, remedy } = fields;
  const about = subject === undefined ? '' : ` '${subject}'`;
  const error = new KernelError(
    `${operation}${about}: ${reason} (${code}); ${remedy}`,
    fields,
  );
  if (cause !== undefined) error.cause = cause;
  return error;
}

/** A program did something in the VM that the kernel would not have allowed, or ran too long. */
export class MachineError extends Error {
  override readonly name: string = 'MachineError';
  /** 'fault', 'budget', 'helper' */
  readonly code: string;
  /** The instruction where it stopped, as a slot of its section. */
  readonly insn: number;
  /** Instructions that were run. */
  readonly executed: bigint;

  constructor(
    message: string,
    fields: { code: string; insn: number; executed: bigint },
  ) {
    super(message);
    this.code = fields.code;
    this.insn = fields.insn;
    this.executed = fields.executed;
  }
}

/** A handle was used after close(). */
export class ClosedError extends Error {
  override readonly name: string = 'ClosedError';
  readonly code = 'ERR_CLOSED';
}

function hide(target: object, ...names: string[]): void {
  for (const name of names) {
    Object.defineProperty(target, name, { enumerable: false });
  }
}
