// The manifests that come with an export of a machine: what makes the machine anew, elsewhere, out of the exported disks.
// Pure; names and forms as in KubeVirt 1.9 (pkg/storage/export/virt-exportserver).

import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { copyJson } from '../../api/walk/plain.ts'

export interface ManifestInput {
  owner: StoredObject
  /** The machine, with its instance type written out. */
  machine: ApiObject
  /** The claims that are exported, by name. */
  claims: Map<string, StoredObject>
  side: 'internal' | 'external'
}

const headerSecret = (name: string) => `header-secret-${name}`
const authority = (name: string) => `export-ca-cm-${name}`

/** A ConfigMap with the authority, the machine, and a DataVolume for each of its disks that is not made by the machine. */
export function machineManifests({ owner, machine, claims, side }: ManifestInput): ApiObject[] {
  const { name } = owner.metadata
  const link = owner.status?.links?.[side]
  const config: ApiObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: authority(name) },
    data: { 'ca.pem': link?.cert ?? '' },
  }
  const gzipOf = (volume: string): string | undefined =>
    link?.volumes?.find((one: any) => one.name === volume)?.formats.find((one: any) => one.format === 'gzip')?.url
  const source = (url: string) => ({
    http: { url, certConfigMap: authority(name), secretExtraHeaders: [headerSecret(name)] },
  })
  const spec = copyJson<any>(machine.spec)
  const templates: any[] = spec.dataVolumeTemplates ?? []
  for (const template of templates) {
    const url = gzipOf(template.metadata?.name)
    if (!url) continue
    const { sourceRef: _, ...rest } = template.spec ?? {}
    template.spec = { ...rest, source: source(url) }
  }
  const made = new Set(templates.map((template) => template.metadata?.name))
  const disks: ApiObject[] = []
  for (const volume of spec.template?.spec?.volumes ?? []) {
    const claimName: string | undefined = volume.dataVolume?.name ?? volume.persistentVolumeClaim?.claimName
    const url = claimName && gzipOf(claimName)
    if (!claimName || !url || made.has(claimName)) continue
    delete volume.persistentVolumeClaim
    volume.dataVolume = { name: claimName }
    disks.push(dataVolume(claimName, claims.get(claimName), source(url)))
  }
  const { labels, annotations } = machine.metadata
  const metadata = { name: machine.metadata.name, ...(labels && { labels }), ...(annotations && { annotations }) }
  return [config, { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', metadata, spec }, ...disks]
}

function dataVolume(name: string, claim: StoredObject | undefined, source: object): ApiObject {
  const { accessModes, resources, volumeMode } = claim?.spec ?? {}
  return {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataVolume',
    metadata: { name },
    spec: { source, pvc: { accessModes, resources, ...(volumeMode && { volumeMode }) } },
  }
}

/** The token as a header, in the form that CDI's importer reads. */
export const tokenManifest = (owner: StoredObject, token: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: headerSecret(owner.metadata.name) },
  stringData: { token: `x-kubevirt-export-token:${token}` },
})
