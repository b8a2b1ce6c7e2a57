// Certificates of Ingresses: Secrets of type kubernetes.io/tls as contexts for TLS, made when a name is first asked for.

import { createSecureContext, type SecureContext } from 'node:tls'
import type { StoredObject } from '../../api/meta.ts'
import { namesFor, type RoutingTable } from './routing-table.ts'

export interface Certificates {
  /** Undefined for names that no Ingress has a usable Secret for. */
  context(servername: string): SecureContext | undefined
  /** A Secret changed or the table did. */
  forget(): void
}

export interface CertificatesOptions {
  table: () => RoutingTable
  secret: (namespace: string, name: string) => StoredObject | undefined
  warn: (message: string) => void
}

const decoded = (secret: StoredObject, key: string): string =>
  Buffer.from(String(secret.data?.[key] ?? ''), 'base64').toString()

export function createCertificates({ table, secret, warn }: CertificatesOptions): Certificates {
  const made = new Map<string, SecureContext>()

  function contextOf(namespace: string, name: string): SecureContext | undefined {
    const key = `${namespace}/${name}`
    const known = made.get(key)
    if (known) return known
    const found = secret(namespace, name)
    if (!found) return undefined
    try {
      const context = createSecureContext({ cert: decoded(found, 'tls.crt'), key: decoded(found, 'tls.key') })
      made.set(key, context)
      return context
    } catch (error) {
      warn(`the Secret ${key} of an Ingress holds no usable certificate: ${(error as Error).message}`)
      return undefined
    }
  }

  return {
    context(servername) {
      const { certificates } = table()
      for (const name of namesFor(servername)) {
        const place = certificates.get(name)
        const context = place && contextOf(place.namespace, place.secret)
        if (context) return context
      }
      return undefined
    },
    forget() {
      made.clear()
    },
  }
}
