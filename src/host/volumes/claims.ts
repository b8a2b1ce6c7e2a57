// Persistent volume claims on this machine's own volumes: from a claim to the directory behind its bound volume.

import { existsSync, realpathSync, statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { isApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { parseQuantity, quantityValue } from '../../api/quantity.ts'
import type { Client } from '../../client/client.ts'
import { isBeingFilled as isBeingImported } from '../../kinds/cdi/annotations.ts'
import { isBeingFilled } from '../../kinds/snapshot/memory.ts'
import { checkHostPath, type HostPathType } from './host-path.ts'
import { VolumeNotReady } from './volumes.ts'

const claims = { group: '', version: 'v1', resource: 'persistentvolumeclaims' }
const volumes = { group: '', version: 'v1', resource: 'persistentvolumes' }

export interface BoundVolume {
  path: string
  capacityBytes: number
  readOnly: boolean
  /** A raw volume: `path` is a block device or the directory of the file that holds its bytes. */
  isBlock: boolean
}

async function boundVolume(client: Client, namespace: string, name: string): Promise<[StoredObject, StoredObject]> {
  const claim = await client.get(claims, name, namespace).catch((error: unknown) => {
    if (!isApiError(error, 'NotFound')) throw error
    throw new VolumeNotReady(`persistentvolumeclaim "${name}" not found`)
  })
  const volumeName = claim.spec?.volumeName as string | undefined
  if (!volumeName || claim.status?.phase !== 'Bound')
    throw new VolumeNotReady(`error processing PVC ${namespace}/${name}: PVC is not bound`)
  const volume = await client.get(volumes, volumeName).catch((error: unknown) => {
    if (!isApiError(error, 'NotFound')) throw error
    throw new VolumeNotReady(`persistentvolume "${volumeName}" not found`)
  })
  // A claim may name any volume; only the volume's own reference says whose it is.
  const owner = volume.spec?.claimRef
  if (owner?.uid !== claim.metadata.uid || owner?.namespace !== namespace || owner?.name !== name)
    throw new VolumeNotReady(
      `error processing PVC ${namespace}/${name}: volume ${volumeName} is bound to another claim`,
    )
  return [claim, volume]
}

function directoryOf(volume: StoredObject): string {
  const { name } = volume.metadata
  const spec = volume.spec ?? {}
  const path = (spec.local?.path ?? spec.hostPath?.path) as string | undefined
  if (!path)
    throw new Error(`volume ${name} is neither "local" nor "hostPath": Tandem has no driver for it on this machine`)
  if (!isAbsolute(path) || path.split('/').includes('..'))
    throw new Error(`volume ${name}: ${path} is not an absolute path without '..'`)
  if (spec.hostPath) checkHostPath(path, (spec.hostPath.type ?? '') as HostPathType)
  if (!existsSync(path)) throw new VolumeNotReady(`path "${path}" of volume "${name}" does not exist`)
  if (spec.volumeMode === 'Block' && statSync(path).isBlockDevice()) return realpathSync(path)
  if (!statSync(path).isDirectory()) throw new VolumeNotReady(`path "${path}" of volume "${name}" is not a directory`)
  return realpathSync(path)
}

export async function findClaim(
  client: Client,
  namespace: string,
  name: string,
  toFill = false,
): Promise<BoundVolume & { claim: StoredObject }> {
  const [claim, volume] = await boundVolume(client, namespace, name)
  if (!toFill && isBeingFilled(claim))
    throw new VolumeNotReady(`persistentvolumeclaim "${name}" is being filled from a snapshot`)
  if (!toFill && isBeingImported(claim))
    throw new VolumeNotReady(`persistentvolumeclaim "${name}" is being filled: its DataVolume or upload is not done`)
  const modes = (claim.spec?.accessModes ?? []) as string[]
  const capacity = volume.spec?.capacity?.storage ?? claim.status?.capacity?.storage ?? '0'
  return {
    claim,
    path: directoryOf(volume),
    capacityBytes: Number(quantityValue(parseQuantity(`${capacity}`))),
    isBlock: volume.spec?.volumeMode === 'Block',
    readOnly: modes.length > 0 && modes.every((mode) => mode === 'ReadOnlyMany'),
  }
}
