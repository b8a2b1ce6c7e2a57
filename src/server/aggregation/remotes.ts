// The versions of groups that other servers answer, as the APIServices say it now.

import type { StoredObject } from '../../api/meta.ts'

export interface Remote {
  /** Of the APIService: 'v1alpha1.wardle.example.com' */
  name: string
  group: string
  version: string
  service: { namespace: string; name: string; port: number }
  /** PEM; undefined: the roots of the system. */
  ca?: string
  insecure: boolean
  available: boolean
  groupPriority: number
  versionPriority: number
}

export const conditionOf = (object: StoredObject): Record<string, any> | undefined =>
  (object.status?.conditions ?? []).find((one: { type: string }) => one.type === 'Available')

/** Undefined for an APIService that this server answers itself. */
export function remoteOf(object: StoredObject): Remote | undefined {
  const { service, group = '', version, caBundle, insecureSkipTLSVerify, ...priorities } = object.spec ?? {}
  // Who answers for this group decides over all others: it is never given away.
  if (!service || group === '' || group === 'apiregistration.k8s.io') return undefined
  return {
    name: object.metadata.name,
    group,
    version,
    service: { namespace: service.namespace, name: service.name, port: service.port ?? 443 },
    ...(caBundle && { ca: Buffer.from(caBundle, 'base64').toString('utf8') }),
    insecure: insecureSkipTLSVerify === true,
    available: conditionOf(object)?.status === 'True',
    groupPriority: priorities.groupPriorityMinimum ?? 0,
    versionPriority: priorities.versionPriority ?? 0,
  }
}
