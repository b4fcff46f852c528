/**
 * lockdown.ts - how far the kernel is locked down.
 */
import { readFileSync } from 'node:fs';

const path = '/sys/kernel/security/lockdown';

/** 'none', 'integrity' or 'confidentiality'; undefined without lockdown, or without securityfs. */
export function lockdownMode(): string | undefined {
  try {
    return /\[(\w+)\]/.exec(readFileSync(path, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
