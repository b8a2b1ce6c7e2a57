// Data of snapshots of volumes: what is asked for, where it lies, and that half of it is never taken for the whole.

import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { copyTree, isHarmless } from '../volumes/copy-tree.ts'
import { VolumeNotReady } from '../volumes/volumes.ts'
import { contentProblem, handleOf, isWanted, localPath, mayGo, statusOf, volumePlace } from './content-plan.ts'
import { bringData } from './fill-source.ts'
import { fillVolume } from './fill-volume.ts'
import { createSnapshotStore, dataBelow, type SnapshotStore } from './snapshot-store.ts'
import { holderOf, takeVolume, writersText } from './take-volume.ts'

const folder = mkdtempSync(join(tmpdir(), 'volume-snapshots-'))
after(() => rmSync(folder, { recursive: true }))

const uid = '0f8f8a2e-53f0-4d43-b1bd-27f4d0f51d0c'
const handle = `snapshot-${uid}`
const { signal } = new AbortController()
let next = 0
const fresh = (): string => {
  const path = join(folder, `${next++}`)
  mkdirSync(path)
  return path
}

const object = (fields: object) => fields as unknown as StoredObject
const content = (source: object, reference: object = {}, more: object = {}) =>
  object({
    metadata: { name: 'c', uid: 'c' },
    spec: { source, driver: 'tandem.dev/local', volumeSnapshotRef: { name: 's', namespace: 'd', ...reference } },
    ...more,
  })

test('a handle is a name, never a way', () => {
  const store = createSnapshotStore(fresh())
  for (const text of ['', '..', '../..', `${handle}/..`, `${handle}.new`, 'snapshot-', `x${handle}`]) {
    assert.equal(handleOf(content({ snapshotHandle: text })), undefined, text)
    assert.equal(store.find(text), undefined)
  }
  assert.equal(handleOf(content({ snapshotHandle: handle })), handle)
  assert.equal(handleOf(content({ volumeHandle: 'pvc-1' }, { uid })), handle)
  assert.equal(handleOf(content({ volumeHandle: 'pvc-1' }, { uid: '../x' })), undefined)
})

test('a snapshot is taken once: what is lost later, or was never here, is told', () => {
  assert.equal(contentProblem(content({ volumeHandle: 'pvc-1' }, { uid })), undefined)
  const lost = content({ volumeHandle: 'pvc-1' }, { uid }, { status: { snapshotHandle: handle } })
  assert.match(contentProblem(lost)!, /is not on this machine/)
  assert.match(contentProblem(content({ snapshotHandle: 'elsewhere' }))!, /elsewhere is not on this machine/)
  assert.match(contentProblem(content({ volumeHandle: 'pvc-1' }))!, /uid names no snapshot/)
  assert.deepEqual(statusOf(handle, { takenAt: 1_767_225_600_123, size: 1024 }), {
    snapshotHandle: handle,
    creationTime: 1_767_225_600_123_000_000,
    restoreSize: 1024,
    readyToUse: true,
  })
  assert.match(JSON.stringify(statusOf(handle, { takenAt: 1_767_225_600_123, size: 1 })), /1767225600123000000/)
})

test('a content waits for its snapshot, and data for its last content', () => {
  const deleted = { metadata: { name: 'c', uid: 'c', deletionTimestamp: 'now' } }
  assert.equal(mayGo(content({ snapshotHandle: handle }, { uid }, deleted)), false)
  assert.equal(mayGo(content({ snapshotHandle: handle }, {}, deleted)), true)
  const annotations = { 'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted': 'yes' }
  assert.equal(mayGo(content({ volumeHandle: 'v' }, { uid }, { metadata: { ...deleted.metadata, annotations } })), true)
  const own = content({ volumeHandle: 'v' }, { uid }, deleted)
  const other = content({ snapshotHandle: handle }, {}, { metadata: { name: 'o', uid: 'o' } })
  assert.equal(isWanted(handle, own, [own]), false)
  assert.equal(isWanted(handle, own, [own, other]), true)
  assert.equal(isWanted(handle, own, [own, { ...other, spec: { ...other.spec, driver: 'other' } }]), false)
})

const volume = (path: string, more: object = {}) =>
  object({
    metadata: { name: 'pvc-1', uid: 'v', annotations: { 'pv.kubernetes.io/provisioned-by': 'tandem.dev/local' } },
    spec: { local: { path }, claimRef: { namespace: 'd', name: 'data', uid: 'k' }, ...more },
  })

test('only a volume of Tandem that a claim has is looked at', () => {
  for (const path of ['/etc', '/volumes', '/volumes/', '/volumes/..', '/volumes/a/../../etc', '/volumes/a/b'])
    assert.equal(localPath(volume(path), '/volumes'), undefined, path)
  const claim = object({ metadata: { uid: 'k' }, spec: { volumeName: 'pvc-1' } })
  const place = (made: StoredObject | undefined, found: StoredObject | undefined) => () =>
    volumePlace('pvc-1', made, () => found, '/volumes')
  assert.deepEqual(place(volume('/volumes/a'), claim)(), { claim: { namespace: 'd', name: 'data' } })
  assert.throws(place(undefined, claim), /persistentvolume "pvc-1" not found/)
  assert.throws(place(volume('/etc'), claim), /not one of tandem.dev\/local/)
  assert.throws(place(volume('/volumes/a'), undefined), /not bound to a claim/)
  assert.throws(place(volume('/volumes/a'), { ...claim, spec: { volumeName: 'b' } }), /not bound to a claim/)
})

test('the machine that has a claim as its disk is found', () => {
  const machine = (volumes: object[], more: object = {}) =>
    object({ metadata: { name: 'vm' }, spec: { volumes, domain: { devices: {} } }, ...more })
  const disk = [{ name: 'root', persistentVolumeClaim: { claimName: 'data' } }]
  assert.deepEqual(holderOf('data', [machine(disk)]), { machine: 'vm', volume: 'root' })
  assert.deepEqual(holderOf('data', [machine([{ name: 'd', dataVolume: { name: 'data' } }])])?.volume, 'd')
  assert.equal(holderOf('data', [machine(disk, { status: { phase: 'Succeeded' } })]), undefined)
  const shared = machine(disk)
  shared.spec.domain.devices.filesystems = [{ name: 'root' }]
  assert.equal(holderOf('data', [shared]), undefined)
  assert.equal(
    holderOf('data', [machine([{ name: 'e', ephemeral: { persistentVolumeClaim: { claimName: 'data' } } }])]),
    undefined,
  )
})

test('half a snapshot is none, and is swept away', async () => {
  const root = fresh()
  const store = createSnapshotStore(root)
  const data = dataBelow(store.begin(handle))
  mkdirSync(data)
  writeFileSync(join(data, 'a'), 'a')
  assert.equal(store.find(handle), undefined)
  assert.equal(store.data(handle), undefined)
  await createSnapshotStore(root).sweep()
  assert.deepEqual(readdirSync(root), [])

  mkdirSync(dataBelow(store.begin(handle)))
  store.seal(handle, { takenAt: 1, size: 2 })
  await store.sweep()
  assert.deepEqual(store.find(handle), { takenAt: 1, size: 2 })
  mkdirSync(join(root, `${handle}.gone`))
  await store.forget(handle)
  assert.deepEqual(readdirSync(root), [])
  await store.forget(handle)
})

function source(): string {
  const path = fresh()
  mkdirSync(join(path, 'inner'), { mode: 0o750 })
  writeFileSync(join(path, 'inner', 'file'), 'text')
  symlinkSync('/etc/passwd', join(path, 'link'))
  writeFileSync(join(path, 'disk.img'), 'boot')
  truncateSync(join(path, 'disk.img'), 8 * 1024 * 1024)
  return path
}

const tools = (path: string, more: object = {}): any => ({
  volumes: { claimPath: async () => ({ path, capacityBytes: 16 * 1024 * 1024, readOnly: false, isBlock: false }) },
  machines: { snapshot: async () => 'off' },
  pods: () => [],
  instances: () => [],
  ...more,
})
const claim = { namespace: 'd', name: 'data' }
const vmi = object({
  metadata: { name: 'vm', namespace: 'd' },
  spec: { volumes: [{ name: 'root', persistentVolumeClaim: { claimName: 'data' } }], domain: { devices: {} } },
})

interface Room {
  store: SnapshotStore
  imports: string
  volumes: string
}

const room = (): Room => ({ store: createSnapshotStore(fresh()), imports: fresh(), volumes: fresh() })
const filledFrom = (from: string) => ({ 'tandem.dev/filled-from': from })

function fill({ store, imports, volumes }: Room, made: StoredObject, from = handle, more: object = {}) {
  Object.assign(made.metadata.annotations!, filledFrom(from))
  const paths = { imports, volumes }
  const sources = { take: tools(''), store, paths, volume: () => undefined, claim: () => undefined, ...more }
  return fillVolume(paths, made, (into) => bringData(sources, made, into, signal), signal)
}

test('a volume is taken and filled with all that is in it', async () => {
  const [all, from] = [room(), source()]
  const { store, volumes, imports } = all
  const data = dataBelow(store.begin(handle))
  mkdirSync(data)
  const { writers } = await takeVolume(tools(from), claim, data, signal)
  assert.deepEqual(writers, [])
  store.seal(handle, { takenAt: 1, size: 2 })
  const path = join(volumes, 'pvc-2')
  mkdirSync(path)
  await fill(all, volume(path))
  assert.deepEqual(readdirSync(path).sort(), ['disk.img', 'inner', 'link'])
  assert.equal(readFileSync(join(path, 'inner', 'file'), 'utf8'), 'text')
  assert.equal(statSync(join(path, 'inner')).mode & 0o777, 0o750)
  const disk = statSync(join(path, 'disk.img'))
  assert.equal(disk.size, 8 * 1024 * 1024)
  assert.ok(disk.blocks * 512 < 1024 * 1024, 'holes stay holes')
  assert.deepEqual(readdirSync(imports), [])
  // Once more, as after a crash in the middle.
  await fill(all, volume(path))
  assert.equal(statSync(path).mode & 0o7777, statSync(from).mode & 0o7777)
})

test('a volume is not filled from what is not there, nor outside, nor a raw one from files', async () => {
  const all = room()
  const { store, volumes } = all
  await assert.rejects(fill(all, volume(join(volumes, 'a'))), /is not on this machine: delete the claim/)
  await assert.rejects(fill(all, volume('/etc')), /not one of the local volumes/)
  mkdirSync(dataBelow(store.begin(handle)))
  store.seal(handle, { takenAt: 1, size: 2 })
  await assert.rejects(fill(all, volume(join(volumes, 'a'), { volumeMode: 'Block' })), /a Block volume is a disk/)
})

test('the disk of a machine that runs comes from its QEMU, all else from the volume', async () => {
  const [from, data] = [source(), fresh()]
  const asked: any[] = []
  const snapshot = async (machine: object, order: any) => {
    asked.push([machine, order.disks[0].volume])
    writeFileSync(order.disks[0].to, 'live')
    return 'copied'
  }
  await takeVolume(tools(from, { instances: () => [vmi], machines: { snapshot } }), claim, data, signal)
  assert.deepEqual(asked, [[{ namespace: 'd', name: 'vm' }, 'root']])
  assert.equal(readFileSync(join(data, 'disk.img'), 'utf8'), 'live')
  assert.ok(existsSync(join(data, 'inner', 'file')))
})

test('a disk that is written to under the copy spoils it; a Pod that writes is named', async () => {
  const path = source()
  const pods = () => {
    writeFileSync(join(path, 'disk.img'), 'other')
    return []
  }
  const written = /the disk in PersistentVolumeClaim data was written to while it was copied/
  await assert.rejects(takeVolume(tools(path, { pods }), claim, fresh(), signal), written)
  const pod = object({
    metadata: { name: 'web', namespace: 'd' },
    spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] },
  })
  const { writers } = await takeVolume(tools(source(), { pods: () => [pod] }), claim, fresh(), signal)
  assert.deepEqual(writers, ['pod d/web'])
  assert.match(
    writersText(writers, 'data', 'clone'),
    /^pod d\/web using PersistentVolumeClaim data while .* before a clone/,
  )
  const unready = async () => {
    throw new VolumeNotReady('being filled')
  }
  await assert.rejects(
    takeVolume(tools('', { volumes: { claimPath: unready } }), claim, fresh(), signal),
    /being filled/,
  )
})

/** The volume 'pvc-1' of the claim d/data, a copy of it in the making, and what finds both. */
function cloning(more: object = {}) {
  const all = room()
  const [from, to] = [join(all.volumes, 'pvc-1'), join(all.volumes, 'pvc-2')]
  renameSync(source(), from)
  mkdirSync(to)
  const claimed = object({ metadata: { uid: 'k' }, spec: { volumeName: 'pvc-1' } })
  const sources = { take: tools(from), volume: () => volume(from), claim: () => claimed }
  const clone = (again: object = {}) =>
    fill(all, volume(to, { claimRef: {}, ...more }), 'volume/pvc-1', { ...sources, ...again })
  return { ...all, from, to, clone }
}

test('a volume is filled with what is in another one, as it is now', async () => {
  const { from, to, imports, clone } = cloning()
  assert.deepEqual(await clone(), { claim: 'data', writers: [] })
  assert.deepEqual(readdirSync(to).sort(), ['disk.img', 'inner', 'link'])
  assert.equal(statSync(join(to, 'inner')).mode & 0o777, 0o750)
  assert.ok(statSync(join(to, 'disk.img')).blocks * 512 < 1024 * 1024, 'holes stay holes')
  writeFileSync(join(to, 'inner', 'file'), 'other')
  assert.equal(readFileSync(join(from, 'inner', 'file'), 'utf8'), 'text')
  // Begun anew, as after a crash in the middle.
  mkdirSync(join(imports, 'v', 'out', 'inner'), { recursive: true })
  await clone()
  assert.equal(readFileSync(join(to, 'inner', 'file'), 'utf8'), 'text')
  assert.deepEqual(readdirSync(imports), [])
})

test('a raw volume that nobody has used yet is cloned as it is', async () => {
  const { from, to, clone } = cloning({ volumeMode: 'Block' })
  await clone()
  assert.equal(statSync(join(to, 'disk.img')).size, 8 * 1024 * 1024)
  for (const path of [from, to]) for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true })
  await clone()
  assert.deepEqual(readdirSync(to), [])
})

test('nothing of a clone is in its place when its source is none, or goes under the copy', async () => {
  const { from, to, imports, clone } = cloning()
  await assert.rejects(clone({ volume: () => undefined }), /persistentvolume "pvc-1" not found/)
  await assert.rejects(clone({ claim: () => undefined }), /not bound to a claim/)
  const places = [from, fresh()]
  const claimPath = async () => ({ ...(await tools('').volumes.claimPath()), path: places.shift() })
  await assert.rejects(clone({ take: tools(from, { volumes: { claimPath } }) }), /data got another volume/)
  assert.deepEqual([readdirSync(to), readdirSync(imports)], [[], []])
})

test('a clone of the disk of a machine that runs comes from its QEMU', async () => {
  const { from, to, clone } = cloning()
  const snapshot = async (_: object, { disks: [disk] }: any) => {
    writeFileSync(disk.to, 'live')
    return 'copied'
  }
  await clone({ take: tools(from, { instances: () => [vmi], machines: { snapshot } }) })
  assert.equal(readFileSync(join(to, 'disk.img'), 'utf8'), 'live')
  const unready = async () => {
    throw new Error('d/vm is on its way up or down: a snapshot waits for it')
  }
  const busy = tools(from, { instances: () => [vmi], machines: { snapshot: unready } })
  await assert.rejects(clone({ take: busy }), /on its way up or down/)
})

test('a copy that is not wanted any more ends, and says so', async () => {
  const ending = new AbortController()
  ending.abort(new Error('nobody waits for it any more'))
  await assert.rejects(copyTree(source(), fresh(), { signal: ending.signal }), /nobody waits/)
  await assert.rejects(copyTree(join(folder, 'none'), fresh()), /No such file or directory/)
})

test('a file that went while it was copied is no failure, all else is', () => {
  const gone = "cp: cannot stat '/v/tmp/a': No such file or directory\n"
  const replaced = "cp: skipping file '/v/b', as it was replaced while being copied\n"
  assert.equal(isHarmless(gone), true)
  assert.equal(isHarmless(gone + replaced), true)
  for (const said of [
    '',
    "cp: error writing '/d/a': No space left on device",
    "cp: cannot open '/v/a': Input/output error",
  ])
    assert.equal(isHarmless(gone + said), said === '', said)
  assert.equal(isHarmless(''), false)
})
