// Fields about storage that are taken and wait for drivers that are not here.

import type { FieldSupport, SupportTable } from '../../api/support.ts'
import { unmountableSources } from '../core/volume-sources.ts'
import { isSnapshotReference } from '../volumesnapshot/references.ts'
import { isClaimReference } from './volume-sources.ts'

const noEffect = (why: string, more: Partial<FieldSupport> = {}): FieldSupport => ({ has: 'no effect', why, ...more })

const attributes = noEffect('no driver here changes the attributes of a volume')
const filling = noEffect(
  'the local volumes are filled from PersistentVolumeClaims and VolumeSnapshots only; the claim stays Pending unless the provisioner of its class does more. For another source, make a DataVolume',
  {
    only: (source) => !isSnapshotReference(source) && !isClaimReference(source),
    values: 'other than a PersistentVolumeClaim or a VolumeSnapshot',
  },
)

export const storageSupport: SupportTable = {
  ...Object.fromEntries(
    unmountableSources.map((name) => [
      `core.v1.PersistentVolumeSpec.${name}`,
      noEffect('claims bind to the volume, but no driver here can mount it; Pods run with hostPath and local only'),
    ]),
  ),
  'core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy': noEffect(
    'there is no recycler, and the volume will be Failed when its claim goes; use Delete or Retain',
    { only: (policy) => policy === 'Recycle', values: 'Recycle' },
  ),
  'core.v1.PersistentVolumeSpec.volumeAttributesClassName': attributes,
  'core.v1.PersistentVolumeClaimSpec.volumeAttributesClassName': attributes,
  'core.v1.PersistentVolumeClaimSpec.dataSource': filling,
  'core.v1.PersistentVolumeClaimSpec.dataSourceRef': filling,
  'VolumeSnapshotClass.parameters': noEffect('snapshots of the local volumes have no parameters'),
}

export const deviceSupport: SupportTable = {
  'core.v1.PodSpec.resourceClaims': noEffect(
    'no driver of devices runs here, and the Pod waits until its claims are allocated',
  ),
}
