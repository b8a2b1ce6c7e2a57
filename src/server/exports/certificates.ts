// Certificates for the names of exports' Services: made when somebody first asks for one of an export that exists, and
// kept as long as this process runs.

import { createSecureContext, type SecureContext } from 'node:tls'
import type { Pki } from '../auth/pki.ts'
import { serviceOf } from './address.ts'
import { type ExportsOptions, findExport } from './exports.ts'

/** More than this at a time are forgotten: each costs a signature. */
const most = 100

export function createExportCertificates(
  lookup: ExportsOptions['lookup'],
  pki: Pick<Pki, 'issueServing'>,
): (name: string) => Promise<SecureContext> | undefined {
  const made = new Map<string, Promise<SecureContext>>()
  return (name) => {
    const service = serviceOf(name)
    if (!service || !findExport(lookup, { ...service, by: 'service' })) return undefined
    const known = made.get(name)
    if (known) return known
    if (made.size >= most) made.clear()
    const fresh = pki.issueServing([name]).then(({ cert, key }) => createSecureContext({ cert, key }))
    made.set(name, fresh)
    fresh.catch(() => made.delete(name))
    return fresh
  }
}
