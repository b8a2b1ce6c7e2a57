// Where a PersistentVolume's data is: the sources that there are and what each must say
// (pkg/apis/core/validation, ValidatePersistentVolumeSpec, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { forbidden, requiredValue } from '../../api/walk/rules.ts'
import { validateDriverName } from '../rules/drivers.ts'
import { types } from '../types.ts'

const sources = Object.keys(types['core.v1.PersistentVolumeSource']?.properties ?? {})

/** Those that a machine without a driver can mount. */
const mountable = ['hostPath', 'local']

export const unmountableSources = sources.filter((name) => !mountable.includes(name))

/** Fields without which a source means nothing. */
const required: Record<string, string[]> = {
  nfs: ['server', 'path'],
  iscsi: ['targetPortal', 'iqn'],
  rbd: ['monitors', 'image'],
  cephfs: ['monitors'],
  cinder: ['volumeID'],
  flexVolume: ['driver'],
  azureFile: ['secretName', 'shareName'],
  azureDisk: ['diskName', 'diskURI'],
  gcePersistentDisk: ['pdName'],
  awsElasticBlockStore: ['volumeID'],
  glusterfs: ['endpoints', 'path'],
  vsphereVolume: ['volumePath'],
  quobyte: ['registry', 'volume'],
  portworxVolume: ['volumeID'],
  scaleIO: ['gateway', 'system', 'volumeName'],
  photonPersistentDisk: ['pdID'],
  storageos: ['volumeName'],
}

export const sourceOf = (spec: any): Record<string, any> =>
  Object.fromEntries(sources.filter((name) => spec?.[name] !== undefined).map((name) => [name, spec[name]]))

function validatePath(source: any, path: string): FieldError[] {
  if (!source?.path) return [requiredValue(`${path}.path`)]
  return source.path.split('/').includes('..') ? [forbidden(`${path}.path`, "must not contain '..'")] : []
}

function validateCsi(csi: any, path: string): FieldError[] {
  const errors = validateDriverName(csi?.driver, `${path}.driver`)
  if (!csi?.volumeHandle) errors.push(requiredValue(`${path}.volumeHandle`))
  for (const field of [
    'controllerPublishSecretRef',
    'controllerExpandSecretRef',
    'nodePublishSecretRef',
    'nodeExpandSecretRef',
  ]) {
    const reference = csi?.[field]
    if (!reference) continue
    for (const part of ['name', 'namespace'])
      if (!reference[part]) errors.push(requiredValue(`${path}.${field}.${part}`))
  }
  return errors
}

function validateSource(name: string, source: any): FieldError[] {
  const path = `spec.${name}`
  if (mountable.includes(name)) return validatePath(source, path)
  if (name === 'csi') return validateCsi(source, path)
  return (required[name] ?? [])
    .filter((field) => !source?.[field]?.length)
    .map((field) => requiredValue(`${path}.${field}`))
}

/** Exactly one source, and what it needs. */
export function validateSources(spec: any): FieldError[] {
  const given = Object.entries(sourceOf(spec))
  if (given.length === 0) return [requiredValue('spec', 'must specify a volume type')]
  const errors = given.flatMap(([name, source]) => validateSource(name, source))
  for (const [name] of given.slice(1)) errors.push(forbidden(`spec.${name}`, 'may not specify more than 1 volume type'))
  if (spec.local && !spec.nodeAffinity?.required)
    errors.push(requiredValue('spec.nodeAffinity', 'Local volume requires node affinity'))
  return errors
}
