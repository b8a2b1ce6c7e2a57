// Volumes with real mounts: Secrets and memory volumes are tmpfs, limits hold, and nothing stays mounted. Needs root.
// Run: node --test test/e2e/volumes.test.ts

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoredObject } from '../../src/api/meta.ts'
import { silentLogger } from '../../src/base/log.ts'
import type { Client } from '../../src/client/client.ts'
import { run } from '../../src/host/exec.ts'
import { createBlockDevices } from '../../src/host/volumes/block-devices.ts'
import { createVolumes } from '../../src/host/volumes/host-volumes.ts'
import { removeAllVolumes } from '../../src/host/volumes/teardown.ts'
import type { Volumes } from '../../src/host/volumes/volumes.ts'

const tmpfsMagic = 0x01021994
let dir: string
let volumes: Volumes

const client = {
  get: async () => ({ data: { password: Buffer.from('s3cret').toString('base64') } }),
} as unknown as Client
const pod = {
  metadata: { name: 'web', namespace: 'default', uid: 'u-1' },
  spec: { securityContext: { fsGroup: 2000 }, containers: [{ name: 'c' }] },
} as unknown as StoredObject
const mountsLeft = () =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(dir.replace(' ', '\\040')))

before(async () => {
  // A blank in the path: mountinfo writes it as \040.
  dir = mkdtempSync(join(tmpdir(), 'tandem volumes-'))
  volumes = createVolumes({
    paths: { pods: join(dir, 'pods'), volumes: join(dir, 'volumes') },
    client,
    node: () => ({ name: 'node', addresses: [], cpu: 1, memoryBytes: 1 }),
    log: silentLogger,
  })
  await volumes.start()
})

after(async () => {
  await removeAllVolumes({ pods: join(dir, 'pods') })
  rmSync(dir, { recursive: true, force: true })
})

test('a Secret is in memory, readable for the group of the Pod, and mounted once', async () => {
  const volume = { name: 'secret', secret: { secretName: 's', defaultMode: 0o400 } }
  const { path } = await volumes.mount(pod, volume)
  await volumes.mount(pod, volume)
  assert.equal(statfsSync(path).type, tmpfsMagic)
  const { mode, gid } = statSync(join(path, 'password'))
  assert.deepEqual([mode & 0o777, gid], [0o440, 2000])
  assert.equal(mountsLeft().length, 1)
})

test('a memory volume holds no more than its limit', async () => {
  const { path } = await volumes.mount(pod, { name: 'ram', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } })
  assert.throws(() => writeFileSync(join(path, 'big'), Buffer.alloc(2 * 1024 * 1024)), /ENOSPC/)
  const { mode, gid } = statSync(path)
  assert.deepEqual([mode & 0o7777, gid], [0o2777, 2000])
})

test('all goes with the Pod', async () => {
  await volumes.unmountAll('u-1')
  assert.deepEqual(mountsLeft(), [])
  assert.ok(!existsSync(join(dir, 'pods', 'u-1')))
})

test('a teardown unmounts what a killed Tandem left and keeps what is on disk', async () => {
  const disk = await volumes.mount(pod, { name: 'disk', emptyDir: {} })
  writeFileSync(join(disk.path, 'kept'), '1')
  await volumes.mount(pod, { name: 'ram', emptyDir: { medium: 'Memory' } })
  await removeAllVolumes({ pods: join(dir, 'pods') })
  assert.deepEqual(mountsLeft(), [])
  assert.ok(existsSync(join(disk.path, 'kept')))
})

test('a raw volume is one loop device for all its Pods, as long as the volume', async () => {
  const mi = 1024 * 1024
  const path = join(dir, 'volumes', 'raw')
  mkdirSync(path)
  const devices = createBlockDevices(join(dir, 'pods'))
  const device = await devices.attach('u-2', 'v', path, mi)
  assert.ok(statSync(device).isBlockDevice())
  assert.equal(await devices.attach('u-3', 'v', path, 2 * mi), device)
  assert.equal((await run(['blockdev', '--getsize64', device])).stdout.trim(), `${2 * mi}`)
  const attached = async () => (await run(['losetup', '--associated', join(path, 'disk.img')])).stdout.trim()
  await devices.detachAll('u-2')
  assert.notEqual(await attached(), '')
  await devices.detachAll('u-3')
  // Who looks at new devices, as udev does, may still hold it: the kernel lets go of it then.
  for (const end = Date.now() + 60_000; (await attached()) !== '' && Date.now() < end; ) await sleep(50)
  assert.equal(await attached(), '')
})
