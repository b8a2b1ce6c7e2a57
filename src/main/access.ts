// The two files by which the person who runs Tandem says who may come in and what is written down about it: an
// AuthenticationConfiguration and an audit Policy, both as Kubernetes has them. Read once, at the start.

import { readFileSync } from 'node:fs'
import type { Logger } from '../base/log.ts'
import type { Config } from '../config.ts'
import { type Audit, createAudit } from '../server/audit/audit.ts'
import { type LogFile, openLogFile } from '../server/audit/log-file.ts'
import { readPolicy } from '../server/audit/policy.ts'
import { type AuthenticationConfig, readAuthenticationConfig } from '../server/auth/authentication-config.ts'

export interface Access {
  authentication?: AuthenticationConfig
  audit?: Audit
  close(): Promise<void>
}

/** Bytes of one audit log file, and how many old ones stay. */
const auditSize = 100 * 1024 * 1024
const auditKeep = 10

type AccessConfig = Pick<Config, 'authenticationConfig' | 'auditPolicy'> & { auditLog: string }

/** @throws Error that names the file and what is wrong in it */
export async function openAccess(config: AccessConfig, log: Logger): Promise<Access> {
  const authentication = await read(config.authenticationConfig, readAuthenticationConfig)
  const policy = await read(config.auditPolicy, readPolicy)
  let file: LogFile | undefined
  if (policy) {
    const path = config.auditLog
    const failed = (error: Error) => log.error('the audit log cannot be written', { path, error })
    file = openLogFile({ path, size: auditSize, keep: auditKeep, failed })
  }
  return {
    ...(authentication && { authentication }),
    ...(policy && file && { audit: createAudit({ policy, write: file.write }) }),
    close: async () => file?.close(),
  }
}

async function read<T>(path: string | undefined, parse: (document: unknown) => T): Promise<T | undefined> {
  if (!path) return undefined
  try {
    const { parse: parseYaml } = await import('yaml')
    return parse(parseYaml(readFileSync(path, 'utf8')))
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`)
  }
}
