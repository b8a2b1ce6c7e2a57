// A machine's firmware UUID when its manifest names none: the same for the same VM at every start (RFC 9562 version 5).

import { createHash } from 'node:crypto'
import type { StoredObject } from '../../api/meta.ts'
import { specOf } from './vmi.ts'

/** Tandem's namespace for machine names; any fixed value does. */
const machineNames = 'a0c1bb4e-6b0f-4c52-9d25-6f5b57e0a7d1'

export function firmwareUuid(object: StoredObject): string {
  const given = specOf(object).domain.firmware?.uuid
  return given || uuidV5(machineNames, `${object.metadata.namespace}/${object.metadata.name}`)
}

export function uuidV5(namespace: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
  hash[6] = (hash[6]! & 0x0f) | 0x50
  hash[8] = (hash[8]! & 0x3f) | 0x80
  const hex = hash.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}
