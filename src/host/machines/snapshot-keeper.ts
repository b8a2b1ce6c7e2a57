// Fills the contents of snapshots from the disks of machines, and claims and saved states from the contents; what a
// content holds goes with it.

import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isApiError } from '../../api/errors.ts'
import type { ResourceRef, StoredObject } from '../../api/meta.ts'
import { objectKey } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import type { Logger } from '../../base/log.ts'
import type { Client } from '../../client/client.ts'
import type { Informer, InformerFactory } from '../../client/informer.ts'
import { createReconciler } from '../../client/reconciler.ts'
import { filledAnnotation, filledFromAnnotation, isBeingFilled, wantsMemory } from '../../kinds/snapshot/memory.ts'
import type { StatePaths } from '../state.ts'
import type { Volumes } from '../volumes/volumes.ts'
import { ensureClaimDisk } from './claim-disk.ts'
import type { Machines } from './machines.ts'
import { createSavedStates } from './saved-states.ts'
import { copyDisk, createSnapshotFiles, type SnapshotFiles } from './snapshot-files.ts'
import { restoreMemory } from './snapshot-memory.ts'

export interface SnapshotKeeperOptions {
  client: Client
  informers: InformerFactory
  paths: Pick<StatePaths, 'snapshots' | 'saved'>
  volumes: Pick<Volumes, 'claimPath'>
  machines: Pick<Machines, 'snapshot'>
  log: Logger
}

const contentRef: ResourceRef = {
  group: 'snapshot.kubevirt.io',
  version: 'v1beta1',
  resource: 'virtualmachinesnapshotcontents',
}
const claimRef: ResourceRef = { group: '', version: 'v1', resource: 'persistentvolumeclaims' }
const machineRef: ResourceRef = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachines' }

export async function keepSnapshots(options: SnapshotKeeperOptions): Promise<{ stop(): Promise<void> }> {
  const { informers, paths, log } = options
  const files = createSnapshotFiles(paths.snapshots)
  const [contents, claims, machines] = [contentRef, claimRef, machineRef].map((ref) => informers.informer(ref)) as [
    Informer,
    Informer,
    Informer,
  ]
  const work = createWork(options, files, contents)
  const syncs: Record<string, (key: string) => Promise<void>> = {
    content: (key) => work.take(contents.get(key)),
    claim: (key) => work.fillClaim(claims.get(key)),
    machine: (key) => work.fillMachine(machines.get(key)),
  }
  const reconciler = createReconciler({
    name: 'snapshot-keeper',
    log,
    reconcile: (key) => {
      const colon = key.indexOf(':')
      return syncs[key.slice(0, colon)]!(key.slice(colon + 1))
    },
  })
  const enqueue = (kind: string) => (object: StoredObject) => reconciler.enqueue(`${kind}:${objectKey(object)}`)
  const filling = (kind: string) => (object: StoredObject) => {
    if (isBeingFilled(object)) enqueue(kind)(object)
  }
  contents.addHandler({
    changed: (object) => {
      if (!object.status?.creationTime) enqueue('content')(object)
    },
    removed: (last) => void files.forget(last.metadata.uid).catch((error) => log.warn('cannot remove', { error })),
  })
  claims.addHandler({ changed: filling('claim'), removed: () => {} })
  machines.addHandler({ changed: filling('machine'), removed: () => {} })
  await contents.synced()
  const known = new Set(contents.list().map((content) => content.metadata.uid))
  for (const content of files.all()) if (!known.has(content)) await files.forget(content)
  void Promise.all([claims.synced(), machines.synced()]).then(() => reconciler.start())
  return { stop: () => reconciler.stop() }
}

function createWork(
  { client, machines, volumes, paths }: SnapshotKeeperOptions,
  files: SnapshotFiles,
  contents: Informer,
) {
  const saved = createSavedStates(paths.saved)

  async function take(content: StoredObject | undefined): Promise<void> {
    if (!content || content.metadata.deletionTimestamp || content.status?.creationTime) return
    try {
      if (!files.find(content.metadata.uid)) await fill(content)
    } catch (error) {
      await files.forget(content.metadata.uid)
      const message = (error as Error).message
      if (content.status?.error?.message !== message)
        await tell(content, { readyToUse: false, error: { time: formatTime(Date.now()), message } })
      throw error
    }
    const creationTime = formatTime(files.find(content.metadata.uid)!.takenAt)
    const volumeSnapshotStatus = (content.spec.volumeBackups ?? []).map((backup: any) => ({
      volumeSnapshotName: backup.volumeSnapshotName ?? '',
      creationTime,
      readyToUse: true,
    }))
    await tell(content, {
      creationTime,
      readyToUse: true,
      ...(volumeSnapshotStatus.length && { volumeSnapshotStatus }),
    })
  }

  const tell = (content: StoredObject, status: object): Promise<unknown> =>
    client.updateStatus(contentRef, { ...content, status }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })

  async function fill(content: StoredObject): Promise<void> {
    const { uid, namespace = '' } = content.metadata
    const name: string | undefined = content.spec.source?.virtualMachine?.metadata?.name
    if (!name) throw new Error('spec.source.virtualMachine says no name')
    const into = files.begin(uid)
    const disks: { volume: string; name: string; from: string; to: string; size: number }[] = []
    for (const [index, backup] of (content.spec.volumeBackups ?? []).entries()) {
      const claim = await volumes.claimPath(namespace, backup.persistentVolumeClaim?.metadata?.name ?? '')
      const from = ensureClaimDisk(claim, claim.readOnly)
      const file = `volume-${index}.img`
      const { size } = statSync(from)
      disks.push({ volume: backup.volumeName, name: file, from, to: join(into, file), size })
    }
    const takenAt = Date.now()
    const memory = await machines.snapshot({ namespace, name }, { into, disks, memory: wantsMemory(content) })
    if (memory === 'off') {
      if (wantsMemory(content)) throw new Error('the machine is off: only of a running one the memory can be kept')
      for (const { from, to } of disks) await copyDisk(from, to)
    }
    const volumesTaken = Object.fromEntries(disks.map((disk) => [disk.volume, disk.name]))
    files.seal(uid, { volumes: volumesTaken, takenAt, ...(typeof memory === 'object' && { memory }) })
  }

  function sourceOf(object: StoredObject): { directory: string; taken: any; volume: string; content: StoredObject } {
    const from = object.metadata.annotations![filledFromAnnotation]!
    const [name = '', volume = ''] = from.split('/')
    const content = contents.get(`${object.metadata.namespace}/${name}`)
    const taken = content && files.find(content.metadata.uid)
    if (!taken) throw new Error(`the snapshot content ${name} that fills ${object.metadata.name} is not there`)
    return { directory: files.directory(content.metadata.uid), taken, volume, content }
  }

  const done = ({ metadata: { name, namespace } }: StoredObject, ref: ResourceRef) =>
    client.patch(ref, name, namespace, 'merge', { metadata: { annotations: { [filledAnnotation]: 'true' } } })

  async function fillClaim(claim: StoredObject | undefined): Promise<void> {
    if (!claim || claim.metadata.deletionTimestamp || !isBeingFilled(claim) || claim.status?.phase !== 'Bound') return
    const { directory, taken, volume } = sourceOf(claim)
    const file = taken.volumes[volume]
    if (!file) throw new Error(`the snapshot holds no volume ${volume}`)
    const { path } = await volumes.claimPath(claim.metadata.namespace!, claim.metadata.name, true)
    const disk = join(path, 'disk.img')
    rmSync(disk, { force: true, recursive: true })
    await copyDisk(join(directory, file), disk)
    await done(claim, claimRef)
  }

  async function fillMachine(machine: StoredObject | undefined): Promise<void> {
    if (!machine || machine.metadata.deletionTimestamp || !isBeingFilled(machine)) return
    const { directory, taken, content } = sourceOf(machine)
    const backed = new Set((content.spec.volumeBackups ?? []).map((backup: any) => backup.volumeName))
    const claims = new Map<string, string>()
    for (const { name, persistentVolumeClaim: claim } of machine.spec.template?.spec?.volumes ?? [])
      if (backed.has(name) && claim) claims.set(name, claim.claimName)
    await restoreMemory(saved, machine.metadata.uid, directory, taken, claims)
    await done(machine, machineRef)
  }

  return { take, fillClaim, fillMachine }
}
