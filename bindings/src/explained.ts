/**
 * explained.ts - an error of a load, with the verifier's log put in plain words.
 */
import { KernelError } from './errors';
import { explain } from './log';
import type { BpfObject } from './object';

/** A refusal by the verifier with its log explained, also in the message. */
export function explained(error: unknown, object?: BpfObject): unknown {
  if (!(error instanceof KernelError) || !error.log) return error;
  const { message, operation, errno, code, subject, reason, log } = error;
  const known = object?.programs.some(({ name }) => name === subject);
  const explanation = explain(
    log,
    known && object && subject ? { object, program: subject } : {},
  );
  if (!explanation.refused) return error;
  return new KernelError(`${message}\n${explanation.text.trimEnd()}`, {
    ...{ operation, errno, code, log, explanation },
    ...(subject !== undefined && { subject }),
    ...(reason !== undefined && { reason }),
    remedy: explanation.remedy ?? error.remedy ?? '',
  });
}
