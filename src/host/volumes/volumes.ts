// Volumes of Pods and disks of VMs on this machine. A volume source is prepared into a host path that a container mounts
// or a disk that QEMU opens. Contract with pods and machines.

import type { StoredObject } from '../../api/meta.ts'

/** A volume that is not ready yet (claim unbound, Secret missing): the workload waits and says this. */
export class VolumeNotReady extends Error {
  readonly reason: string
  constructor(message: string, reason = 'FailedMount') {
    super(message)
    this.name = 'VolumeNotReady'
    this.reason = reason
  }
}

export interface MountedVolume {
  name: string
  /** Host path of a directory, file or socket, to bind into containers, or of the block device of a raw volume. */
  path: string
  readOnly: boolean
}

export interface Volumes {
  start(): Promise<void>
  /**
   * Prepares one volume of a Pod spec (emptyDir, configMap, secret, projected, downwardAPI, hostPath,
   * persistentVolumeClaim). Idempotent. @throws VolumeNotReady; Error for what is not supported.
   */
  mount(pod: StoredObject, volume: { name: string; [source: string]: unknown }): Promise<MountedVolume>
  /** Refreshes configMap, secret, projected and downwardAPI volumes of a running Pod in place (atomic symlink swap). */
  refresh(pod: StoredObject): Promise<void>
  /** Unmounts and removes everything of the Pod but claims. Idempotent. */
  unmountAll(podUid: string): Promise<void>
  /**
   * Host path of the bound volume of a claim (a directory), for VM disks: disk.img inside it. `toFill`: for who fills it
   * from a snapshot; nobody else gets it before. @throws VolumeNotReady
   */
  claimPath(namespace: string, claim: string, toFill?: boolean): Promise<ClaimPlace>
}

export interface ClaimPlace {
  path: string
  capacityBytes: number
  readOnly: boolean
  /** Its disk is the whole of it: there is no file system around it. */
  isBlock: boolean
}
