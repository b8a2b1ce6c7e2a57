// Volumes of Pods and claims of VMs as directories of this machine: pods/<uid>/volumes/<name>, and what is bound or
// mounted for them.

import { chmodSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { parseQuantity, quantityValue } from '../../api/quantity.ts'
import type { Logger } from '../../base/log.ts'
import type { Client } from '../../client/client.ts'
import type { NodeFacts } from '../pods/field-values.ts'
import type { StatePaths } from '../state.ts'
import { writePayload } from './atomic-writer.ts'
import { createBlockDevices, type Loops } from './block-devices.ts'
import { findClaim } from './claims.ts'
import { checkHostPath, type HostPathType } from './host-path.ts'
import { type Mounts, removeEmpty, systemMounts } from './mounts.ts'
import { giveToGroup, rootMatches } from './ownership.ts'
import { ownershipOf } from './payload.ts'
import { createGatherer, isGathered } from './projected.ts'
import { createTokens } from './tokens.ts'
import { type MountedVolume, VolumeNotReady, type Volumes } from './volumes.ts'

export interface VolumesOptions {
  paths: Pick<StatePaths, 'pods' | 'volumes'>
  client: Client
  /** What the downward API says of this machine. */
  node: () => NodeFacts
  log: Logger
  mounts?: Mounts
  loops?: Loops
  now?: () => number
}

type Volume = { name: string; [source: string]: any }

/** Room for Secrets and tokens; each object of the API is smaller than 1 MiB. */
const secretBytes = 64 * 1024 * 1024

export function createVolumes(options: VolumesOptions): Volumes {
  const { paths, client, mounts = systemMounts } = options
  const devices = createBlockDevices(paths.pods, options.loops)
  const tokens = createTokens(client, options.now)
  const gatherer = createGatherer({ client, tokens, node: options.node })
  const podDir = (uid: string) => join(paths.pods, checkUid(uid))
  const volumesDir = (uid: string) => join(podDir(uid), 'volumes')

  async function mountEmptyDir(path: string, source: { medium?: string; sizeLimit?: string }): Promise<void> {
    if (source.medium && source.medium !== 'Memory')
      throw new Error(`emptyDir medium ${source.medium} is not supported: leave it out or use Memory`)
    mkdirSync(path, { recursive: true })
    if (source.medium === 'Memory' && !mounts.isOwn(path)) {
      const size = source.sizeLimit ? Number(quantityValue(parseQuantity(`${source.sizeLimit}`))) : undefined
      await mounts.tmpfs(path, { mode: '0777', ...(size && { size }) })
    }
    if ((statSync(path).mode & 0o777) !== 0o777) chmodSync(path, 0o777)
  }

  async function mountGathered(pod: StoredObject, volume: Volume, path: string): Promise<void> {
    const payload = await gatherer.gather(pod, volume)
    mkdirSync(path, { recursive: true, mode: 0o755 })
    // Secrets and tokens never touch the disk.
    if ((volume.secret || volume.projected) && !mounts.isOwn(path))
      await mounts.tmpfs(path, { mode: '0755', size: secretBytes })
    writePayload(path, payload!, ownershipOf(pod.spec ?? {}).group)
  }

  async function shareWithGroup(pod: StoredObject, path: string): Promise<void> {
    const { group } = ownershipOf(pod.spec ?? {})
    if (group === undefined) return
    const onlyOnMismatch = pod.spec?.securityContext?.fsGroupChangePolicy === 'OnRootMismatch'
    if (!(onlyOnMismatch && rootMatches(path, group))) await giveToGroup(path, group)
  }

  async function mountClaim(pod: StoredObject, volume: Volume): Promise<MountedVolume> {
    const { name } = volume
    const source = volume.persistentVolumeClaim
    const claimName = source?.claimName ?? `${pod.metadata.name}-${name}`
    const bound = await findClaim(client, pod.metadata.namespace!, claimName)
    const isOwned = bound.claim.metadata.ownerReferences?.some((owner) => owner.uid === pod.metadata.uid)
    if (!source && !isOwned)
      throw new VolumeNotReady(
        `PVC ${pod.metadata.namespace}/${claimName} was not created for pod ${pod.metadata.name} (pod is not owner)`,
      )
    const readOnly = Boolean(source?.readOnly) || bound.readOnly
    checkUse(pod, name, bound.isBlock)
    if (bound.isBlock) {
      const device = await devices.attach(checkUid(pod.metadata.uid), checkName(name), bound.path, bound.capacityBytes)
      return { name, path: device, readOnly }
    }
    if (!readOnly) await shareWithGroup(pod, bound.path)
    return { name, path: bound.path, readOnly }
  }

  async function prepare(pod: StoredObject, volume: Volume): Promise<MountedVolume> {
    const { name } = volume
    const path = join(volumesDir(pod.metadata.uid), checkName(name))
    if (volume.persistentVolumeClaim || volume.ephemeral) return mountClaim(pod, volume)
    if (volume.hostPath) {
      checkHostPath(volume.hostPath.path, (volume.hostPath.type ?? '') as HostPathType)
      return { name, path: volume.hostPath.path, readOnly: false }
    }
    if (isGathered(volume)) {
      await mountGathered(pod, volume, path)
      return { name, path, readOnly: true }
    }
    if (volume.csi)
      throw new VolumeNotReady(
        `kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name ${volume.csi.driver} not found in the list of registered CSI drivers`,
      )
    const [source] = Object.keys(volume).filter((key) => key !== 'name' && volume[key] !== undefined)
    if (source && source !== 'emptyDir')
      throw new Error(
        `volume "${name}": ${source} is not supported on this machine: use emptyDir, configMap, secret, projected, downwardAPI, hostPath or persistentVolumeClaim`,
      )
    const isNew = !existsSync(path)
    await mountEmptyDir(path, volume.emptyDir ?? {})
    if (isNew) await shareWithGroup(pod, path)
    return { name, path, readOnly: false }
  }

  /** The kubelet's words before the reason. */
  function explained(volume: Volume, error: unknown): unknown {
    if (!(error instanceof VolumeNotReady) && !(error instanceof ApiError)) return error
    if (volume.persistentVolumeClaim || volume.ephemeral) return new VolumeNotReady(error.message)
    return new VolumeNotReady(`MountVolume.SetUp failed for volume "${volume.name}" : ${error.message}`)
  }

  async function mount(pod: StoredObject, volume: Volume): Promise<MountedVolume> {
    return prepare(pod, volume).catch((error: unknown) => {
      throw explained(volume, error)
    })
  }

  async function refresh(pod: StoredObject): Promise<void> {
    let failure: unknown
    for (const volume of (pod.spec?.volumes ?? []) as Volume[]) {
      const path = join(volumesDir(pod.metadata.uid), checkName(volume.name))
      if (!isGathered(volume) || !existsSync(path)) continue
      // One object that is gone does not keep the other volumes old.
      await mount(pod, volume).catch((error: unknown) => {
        failure ??= error
      })
    }
    if (failure) throw failure
  }

  async function unmountAll(podUid: string): Promise<void> {
    tokens.forget(podUid)
    await devices.detachAll(checkUid(podUid))
    const directory = volumesDir(podUid)
    for (const point of mounts.below(directory)) await mounts.unmount(point)
    // Removing through a mount that is still there would delete what is not the Pod's.
    const [left] = mounts.below(directory)
    if (left) throw new Error(`cannot remove the volumes of pod ${podUid}: ${left} is still mounted`)
    rmSync(directory, { recursive: true, force: true })
    removeEmpty(podDir(podUid))
  }

  return {
    async start() {
      for (const directory of [paths.pods, paths.volumes]) mkdirSync(directory, { recursive: true, mode: 0o711 })
    },
    mount,
    refresh,
    unmountAll,
    async claimPath(namespace, claim, toFill) {
      const { path, capacityBytes, readOnly, isBlock } = await findClaim(client, namespace, claim, toFill)
      if (!statSync(path).isDirectory())
        throw new Error(
          `claim ${namespace}/${claim} is a block device: disks of machines are files, use the class "local"`,
        )
      return { path, capacityBytes, readOnly, isBlock }
    },
  }
}

/** A raw volume is a device for containers, any other one is mounted (the kubelet's words). */
function checkUse(pod: StoredObject, volume: string, isBlock: boolean): void {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {}
  const names = (field: string) =>
    [...containers, ...initContainers, ...ephemeralContainers].some((container) =>
      container[field]?.some(({ name }: { name: string }) => name === volume),
    )
  if (isBlock && names('volumeMounts'))
    throw new VolumeNotReady(`volume ${volume} has volumeMode Block, but is specified in volumeMounts`)
  if (!isBlock && names('volumeDevices'))
    throw new VolumeNotReady(`volume ${volume} has volumeMode Filesystem, but is specified in volumeDevices`)
}

/** Names become parts of paths. */
function checkName(name: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) throw new Error(`"${name}" is not the name of a volume`)
  return name
}

function checkUid(uid: string): string {
  if (!/^[A-Za-z0-9-]+$/.test(uid)) throw new Error(`"${uid}" is not a uid`)
  return uid
}
