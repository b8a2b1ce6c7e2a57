// What makes a clone another machine than its source: JSON patches of the restore that makes it. Pure; behaviour and names
// of KubeVirt 1.9 (pkg/virt-controller/watch/clone).

import { createHash } from 'node:crypto'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { matchesPattern } from '../api/walk/pattern.ts'
import { controllerReference } from './ownership.ts'
import { inherited } from './restore-plan.ts'

interface Operation {
  op: 'add' | 'remove'
  path: string
  value?: unknown
}

const escaped = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')

/** Keys that no filter lets through. A filter is a pattern; '!' in front of it takes away. */
export function filteredOut(keys: string[], filters: string[] | undefined): string[] {
  if (!filters) return []
  const wanted = filters.filter((filter) => !filter.startsWith('!')).map((filter) => (filter === '*' ? '.*' : filter))
  const unwanted = filters.filter((filter) => filter.startsWith('!')).map((filter) => filter.slice(1))
  const matches = (patterns: string[], key: string) => patterns.some((pattern) => isMatch(pattern, key))
  return keys.filter((key) => !matches(wanted, key) || matches(unwanted, key))
}

/** A pattern that cannot be one matches nothing, as upstream. */
function isMatch(pattern: string, key: string): boolean {
  try {
    return matchesPattern(pattern, key)
  } catch {
    return false
  }
}

const removals = (record: Record<string, string> | undefined, filters: string[] | undefined, at: string): Operation[] =>
  filteredOut(Object.keys(record ?? {}), filters).map((key) => ({ op: 'remove', path: `${at}/${escaped(key)}` }))

function identity(template: any, spec: any): Operation[] {
  const at = '/spec/template/spec/domain'
  const operations: Operation[] = []
  const { devices, firmware } = template.spec.domain
  for (const [index, card] of (devices?.interfaces ?? []).entries()) {
    const path = `${at}/devices/interfaces/${index}/macAddress`
    const value = spec.newMacAddresses?.[card.name]
    if (value) operations.push({ op: 'add', path, value })
    else if (card.macAddress) operations.push({ op: 'remove', path })
  }
  const serial = spec.newSMBiosSerial
  if (!firmware) return serial ? [...operations, { op: 'add', path: `${at}/firmware`, value: { serial } }] : operations
  if (serial) operations.push({ op: 'add', path: `${at}/firmware/serial`, value: serial })
  else if (firmware.serial) operations.push({ op: 'remove', path: `${at}/firmware/serial` })
  if (firmware.uuid) operations.push({ op: 'remove', path: `${at}/firmware/uuid` })
  return operations
}

/** `source`: the machine as it was saved. */
export function clonePatches(source: any, { spec }: StoredObject): string[] {
  const { template } = source.spec
  const operations = [
    ...identity(template, spec),
    ...removals(source.metadata.labels, spec.labelFilters, '/metadata/labels'),
    ...removals(inherited(source.metadata.annotations), spec.annotationFilters, '/metadata/annotations'),
    ...removals(template.metadata?.labels, spec.template?.labelFilters, '/spec/template/metadata/labels'),
    ...removals(
      template.metadata?.annotations,
      spec.template?.annotationFilters,
      '/spec/template/metadata/annotations',
    ),
  ]
  return [...operations.map((one) => JSON.stringify(one)), ...(spec.patches ?? [])]
}

const target = (name: string) => ({ apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name })

/** The same name whenever it is asked for. */
const targetName = ({ spec, metadata }: StoredObject, source: string): string =>
  spec.target?.name || `${source}-clone-${createHash('sha256').update(metadata.uid).digest('hex').slice(0, 5)}`

const ofClone = (clone: StoredObject, kind: string, name: string, spec: object): ApiObject => ({
  apiVersion: 'snapshot.kubevirt.io/v1beta1',
  kind,
  metadata: { name, namespace: clone.metadata.namespace!, ownerReferences: [controllerReference(clone)] },
  spec,
})

export const cloneSnapshot = (clone: StoredObject): ApiObject =>
  ofClone(clone, 'VirtualMachineSnapshot', `tmp-snapshot-${clone.metadata.uid}`, {
    source: target(clone.spec.source.name),
  })

export function cloneRestore(clone: StoredObject, source: any, snapshotName: string): ApiObject {
  const { volumeNamePolicy } = clone.spec
  const patches = clonePatches(source, clone)
  return ofClone(clone, 'VirtualMachineRestore', `tmp-restore-${clone.metadata.uid}`, {
    target: target(targetName(clone, source.metadata.name)),
    virtualMachineSnapshotName: snapshotName,
    ...(patches.length && { patches }),
    ...(volumeNamePolicy && { volumeRestorePolicy: volumeNamePolicy }),
  })
}

/** Volumes that a machine keeps and the snapshot does not hold. */
export function notBackedUp(content: StoredObject): string[] {
  const backed = new Set((content.spec.volumeBackups ?? []).map((one: any) => one.volumeName))
  const volumes: any[] = content.spec.source?.virtualMachine?.spec?.template?.spec?.volumes ?? []
  return volumes
    .filter(({ name, persistentVolumeClaim, dataVolume }) => (persistentVolumeClaim || dataVolume) && !backed.has(name))
    .map(({ name }) => name)
}
