/**
 * explained.ts - an error of a load, with the verifier's log put in plain words.
 */
import { KernelError } from './errors';
import { explain } from './log';
import type { BpfObject } from './object';

/** What kernel-backend advises who is refused by the verifier; the explanation knows better. */
const general = 'change the program where the log points to';

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
  const { remedy = general } = error.remedy === general ? explanation : error;
  const line = message.replace(general, () => remedy);
  return new KernelError(`${line}\n${explanation.text.trimEnd()}`, {
    ...{ operation, errno, code, log, explanation },
    ...(subject !== undefined && { subject }),
    ...(reason !== undefined && { reason }),
    remedy,
  });
}
