import assert from 'node:assert/strict'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { notFound } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { silentLogger } from '../../base/log.ts'
import type { Client } from '../../client/client.ts'
import type { Loops } from './block-devices.ts'
import { createVolumes } from './host-volumes.ts'
import { type Mounts, mountPoints } from './mounts.ts'
import { VolumeNotReady, type Volumes } from './volumes.ts'

// Hooks outside of a suite would run for the tests of every other file too.
describe('volumes of the host', () => {
  let dir: string
  let objects: Map<string, Record<string, any>>
  let mounted: Set<string>
  let asked: { path: string; body: any }[]
  let now: number
  let volumes: Volumes

  const fakeMounts: Mounts = {
    tmpfs: async (path) => void mounted.add(path),
    isOwn: (path) => mounted.has(path),
    below: (directory) => [...mounted].filter((path) => path === directory || path.startsWith(`${directory}/`)),
    unmount: async (path) => void mounted.delete(path),
  }

  let looped: Set<string>
  const fakeLoops: Loops = {
    async attach(file) {
      looped.add(file)
      return `/dev/loop of ${file}`
    },
    detach: async (file) => void looped.delete(file),
  }

  const client = {
    async get(ref: { resource: string }, name: string, namespace?: string) {
      const object = objects.get(`${ref.resource} ${namespace ?? ''}/${name}`)
      if (!object) throw notFound(ref.resource, name)
      return object
    },
    async post(path: string, body: any) {
      asked.push({ path, body })
      const expires = new Date(now + body.spec.expirationSeconds * 1000).toISOString()
      return { status: { token: `token-${asked.length}`, expirationTimestamp: expires } }
    },
  } as unknown as Client

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tandem-volumes-'))
    objects = new Map()
    mounted = new Set()
    looped = new Set()
    asked = []
    now = Date.UTC(2026, 0, 1)
    volumes = createVolumes({
      paths: { pods: join(dir, 'pods'), volumes: join(dir, 'volumes') },
      client,
      node: () => ({ name: 'node', addresses: ['192.0.2.2'], cpu: 2, memoryBytes: 1024 ** 3 }),
      log: silentLogger,
      mounts: fakeMounts,
      loops: fakeLoops,
      now: () => now,
    })
    await volumes.start()
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  const pod = (spec: Record<string, any> = {}, metadata = {}) =>
    ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'default', uid: 'u-1', labels: { app: 'web', tier: 'a"b' }, ...metadata },
      spec: {
        containers: [{ name: 'c', resources: { limits: { memory: '64Mi' } } }],
        serviceAccountName: 'sa',
        ...spec,
      },
    }) as unknown as StoredObject
  const put = (resource: string, namespace: string, name: string, object: Record<string, any>) =>
    objects.set(`${resource} ${namespace}/${name}`, { metadata: { name, namespace, uid: `uid-${name}` }, ...object })
  const read = (path: string, ...more: string[]) => readFileSync(join(path, ...more), 'utf8')
  const failsWith = (promise: Promise<unknown>, text: RegExp, ready = false) =>
    assert.rejects(promise, (error: Error) => {
      assert.match(error.message, text)
      assert.equal(error instanceof VolumeNotReady, !ready)
      return true
    })

  test('an emptyDir is open to all users, stays over a second mount and goes with the Pod', async () => {
    const { path, readOnly } = await volumes.mount(pod(), { name: 'scratch', emptyDir: {} })
    assert.equal(statSync(path).mode & 0o777, 0o777)
    assert.equal(readOnly, false)
    writeFileSync(join(path, 'kept'), '1')
    await volumes.mount(pod(), { name: 'scratch' })
    assert.ok(existsSync(join(path, 'kept')))
    await volumes.unmountAll('u-1')
    assert.ok(!existsSync(join(dir, 'pods', 'u-1')))
    await volumes.unmountAll('u-1')
  })

  test('an emptyDir in memory is a mount; other media are refused', async () => {
    const { path } = await volumes.mount(pod(), { name: 'ram', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } })
    assert.deepEqual([...mounted], [path])
    await failsWith(
      volumes.mount(pod(), { name: 'huge', emptyDir: { medium: 'HugePages' } }),
      /HugePages is not supported/,
      true,
    )
  })

  test('removal stops when something is still mounted: it would delete what is not ours', async () => {
    const { path } = await volumes.mount(pod(), { name: 'ram', emptyDir: { medium: 'Memory' } })
    writeFileSync(join(path, 'precious'), '1')
    const unmount = fakeMounts.unmount
    fakeMounts.unmount = async () => {}
    try {
      await assert.rejects(volumes.unmountAll('u-1'), /still mounted/)
    } finally {
      fakeMounts.unmount = unmount
    }
    assert.ok(existsSync(join(path, 'precious')))
  })

  test('a configMap: files, modes, refresh in place', async () => {
    put('configmaps', 'default', 'cfg', { data: { 'app.conf': 'one' } })
    const volume = { name: 'cfg', configMap: { name: 'cfg', defaultMode: 0o600 } }
    const { path, readOnly } = await volumes.mount(pod({ volumes: [volume] }), volume)
    assert.equal(read(path, 'app.conf'), 'one')
    assert.equal(readOnly, true)
    assert.equal(statSync(join(path, 'app.conf')).mode & 0o777, 0o600)
    put('configmaps', 'default', 'cfg', { data: { 'app.conf': 'two', more: 'x' } })
    await volumes.refresh(pod({ volumes: [volume] }))
    assert.equal(read(path, 'app.conf') + read(path, 'more'), 'twox')
  })

  test('a missing configMap or secret is waited for, in the words of the kubelet; an optional one is empty', async () => {
    await failsWith(
      volumes.mount(pod(), { name: 'cfg', configMap: { name: 'nope' } }),
      /^MountVolume\.SetUp failed for volume "cfg" : configmap "nope" not found$/,
    )
    await failsWith(volumes.mount(pod(), { name: 's', secret: { secretName: 'nope' } }), /secret "nope" not found$/)
    const { path } = await volumes.mount(pod(), { name: 'o', secret: { secretName: 'nope', optional: true } })
    assert.ok(existsSync(path))
  })

  test('one missing object does not keep the others from being refreshed', async () => {
    put('configmaps', 'default', 'a', { data: { k: '1' } })
    put('configmaps', 'default', 'b', { data: { k: '1' } })
    const list = ['a', 'b'].map((name) => ({ name, configMap: { name } }))
    const mountedVolumes = await Promise.all(list.map((volume) => volumes.mount(pod(), volume)))
    objects.delete('configmaps default/a')
    put('configmaps', 'default', 'b', { data: { k: '2' } })
    await failsWith(volumes.refresh(pod({ volumes: list })), /"a" not found/)
    assert.deepEqual(
      mountedVolumes.map(({ path }) => read(path, 'k')),
      ['1', '2'],
    )
  })

  test('a Secret lives in memory, and no error shows what is in it (S24)', async () => {
    const canary = 'c4n4ry-value'
    put('secrets', 'default', 's', { data: { password: Buffer.from(canary).toString('base64') } })
    const { path } = await volumes.mount(pod(), { name: 's', secret: { secretName: 's' } })
    assert.ok(mounted.has(path))
    assert.equal(read(path, 'password'), canary)
    for (const items of [[{ key: 'other', path: 'x' }], [{ key: 'password', path: '../x' }]])
      await assert.rejects(volumes.mount(pod(), { name: 't', secret: { secretName: 's', items } }), (error: Error) => {
        assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, new RegExp(canary))
        return true
      })
  })

  test('a Secret of another namespace is out of reach (S18)', async () => {
    put('secrets', 'other', 's', { data: { password: 'eA==' } })
    await failsWith(volumes.mount(pod(), { name: 's', secret: { secretName: 's' } }), /secret "s" not found/)
  })

  test('a projected volume with a token that is renewed at 80 % of its life', async () => {
    put('configmaps', 'default', 'ca', { data: { 'ca.crt': 'CA' } })
    const sources = [
      { serviceAccountToken: { path: 'token', expirationSeconds: 1000 } },
      { configMap: { name: 'ca', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
    ]
    const volume = { name: 'api', projected: { sources } }
    const runs = pod({ volumes: [volume] })
    const { path } = await volumes.mount(runs, volume)
    assert.deepEqual(
      ['token', 'ca.crt', 'namespace'].map((name) => read(path, name)),
      ['token-1', 'CA', 'default'],
    )
    assert.equal(asked[0]!.path, '/api/v1/namespaces/default/serviceaccounts/sa/token')
    assert.deepEqual(asked[0]!.body.spec.boundObjectRef, { apiVersion: 'v1', kind: 'Pod', name: 'web', uid: 'u-1' })
    now += 799_000
    await volumes.refresh(runs)
    assert.equal(read(path, 'token'), 'token-1')
    now += 2000
    await volumes.refresh(runs)
    assert.equal(read(path, 'token'), 'token-2')
  })

  test('the downward API: labels as the kubelet writes them, amounts, and what does not exist', async () => {
    const items = [
      { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
      { path: 'memory', resourceFieldRef: { containerName: 'c', resource: 'limits.memory', divisor: '1Mi' } },
    ]
    const { path } = await volumes.mount(pod(), { name: 'd', downwardAPI: { items } })
    assert.equal(read(path, 'labels'), 'app="web"\ntier="a\\"b"')
    assert.equal(read(path, 'memory'), '64')
    const wrong = { name: 'e', downwardAPI: { items: [{ path: 'x', fieldRef: { fieldPath: 'spec.nope' } }] } }
    await failsWith(volumes.mount(pod(), wrong), /unsupported fieldPath: spec.nope/)
  })

  test('fsGroup: files for its group, and an emptyDir that hands it on', async () => {
    const fsGroup = process.getgid!()
    put('configmaps', 'default', 'cfg', { data: { a: '1' } })
    const grouped = pod({ securityContext: { fsGroup } })
    const files = await volumes.mount(grouped, { name: 'cfg', configMap: { name: 'cfg', defaultMode: 0o400 } })
    assert.equal(statSync(join(files.path, 'a')).mode & 0o777, 0o440)
    const empty = await volumes.mount(grouped, { name: 'e', emptyDir: {} })
    assert.equal(statSync(empty.path).mode & 0o7777, 0o2777)
  })

  test('fsGroup never follows a link out of the volume (CVE-2025-64437)', async () => {
    const outside = join(dir, 'outside')
    writeFileSync(outside, 'x', { mode: 0o600 })
    bindClaim('data')
    const { path } = await volumes.claimPath('default', 'data')
    symlinkSync(outside, join(path, 'link'))
    const grouped = pod({ securityContext: { fsGroup: process.getgid!() } })
    await volumes.mount(grouped, { name: 'd', persistentVolumeClaim: { claimName: 'data' } })
    assert.equal(statSync(outside).mode & 0o777, 0o600)
    assert.equal(lstatSync(path).mode & 0o2070, 0o2070)
  })

  test('hostPath: every type, made where it should be, refused with the words of the kubelet', async () => {
    const at = (name: string) => join(dir, name)
    mkdirSync(at('d'))
    writeFileSync(at('f'), '')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(at('s'), resolve))
    const mount = (path: string, type?: string) => volumes.mount(pod(), { name: 'h', hostPath: { path, type } })
    try {
      for (const [name, type] of [
        ['d', 'Directory'],
        ['new/dir', 'DirectoryOrCreate'],
        ['f', 'File'],
        ['g', 'FileOrCreate'],
        ['s', 'Socket'],
        ['absent', ''],
      ] as const)
        assert.equal((await mount(at(name), type)).path, at(name))
      await mount('/dev/null', 'CharDevice')
      assert.ok(statSync(at('new/dir')).isDirectory() && statSync(at('g')).isFile())
      for (const [name, type, text] of [
        ['f', 'Directory', 'is not a directory'],
        ['absent', 'Directory', 'is not a directory'],
        ['d', 'File', 'is not a file'],
        ['f', 'Socket', 'is not a socket file'],
        ['f', 'CharDevice', 'is not a character device'],
        ['f', 'BlockDevice', 'is not a block device'],
      ] as const)
        await failsWith(mount(at(name), type), new RegExp(`hostPath type check failed: ${at(name)} ${text}`))
      await failsWith(mount(at('no/such/file'), 'FileOrCreate'), /cannot make hostPath/)
      await failsWith(mount(`${dir}/d/../f`, 'File'), /must not contain '\.\.'/, true)
      await failsWith(mount(at('d'), 'toString'), /toString is an invalid volume type/, true)
    } finally {
      server.close()
    }
  })

  function bindClaim(name: string, spec: Record<string, any> = {}, claimRef: Record<string, any> = {}) {
    const path = join(dir, 'volumes', `pv-${name}`)
    mkdirSync(path, { recursive: true })
    put('persistentvolumeclaims', 'default', name, {
      spec: { volumeName: `pv-${name}`, accessModes: ['ReadWriteOnce'] },
      status: { phase: 'Bound' },
    })
    put('persistentvolumes', '', `pv-${name}`, {
      metadata: { name: `pv-${name}` },
      spec: {
        capacity: { storage: '1Gi' },
        local: { path },
        claimRef: { namespace: 'default', name, uid: `uid-${name}`, ...claimRef },
        ...spec,
      },
    })
    return path
  }

  test('a claim is its bound volume', async () => {
    const path = bindClaim('data')
    const place = { path, capacityBytes: 1024 ** 3, readOnly: false, isBlock: false }
    assert.deepEqual(await volumes.claimPath('default', 'data'), place)
    const volume = { name: 'v', persistentVolumeClaim: { claimName: 'data', readOnly: true } }
    assert.deepEqual(await volumes.mount(pod(), volume), { name: 'v', path, readOnly: true })
    await volumes.unmountAll('u-1')
    assert.ok(existsSync(path), 'a claim outlives the Pod')
  })

  test('a claim that is absent, unbound, or whose volume is not there yet is waited for', async () => {
    await failsWith(volumes.claimPath('default', 'nope'), /^persistentvolumeclaim "nope" not found$/)
    put('persistentvolumeclaims', 'default', 'p', { spec: {}, status: { phase: 'Pending' } })
    await failsWith(volumes.claimPath('default', 'p'), /error processing PVC default\/p: PVC is not bound/)
    bindClaim('foreign', { local: { path: join(dir, 'not-there') } })
    await failsWith(volumes.claimPath('default', 'foreign'), /not-there" of volume "pv-foreign" does not exist/)
  })

  test('a claim cannot take a volume that belongs to another one (S18)', async () => {
    bindClaim('thief', {}, { namespace: 'other' })
    await failsWith(volumes.claimPath('default', 'thief'), /is bound to another claim/)
    bindClaim('old', {}, { uid: 'another-uid' })
    await failsWith(volumes.claimPath('default', 'old'), /is bound to another claim/)
  })

  test('a volume that cannot be had here says what can', async () => {
    await failsWith(
      volumes.mount(pod(), { name: 'n', nfs: { server: 'x' } }),
      /nfs is not supported.*use emptyDir/,
      true,
    )
  })

  test('a raw volume is a device as long as it says, gone with the last Pod that has it', async () => {
    const path = bindClaim('raw', { volumeMode: 'Block' })
    const volume = { name: 'v', persistentVolumeClaim: { claimName: 'raw' } }
    const user = (uid: string, use: object) => pod({ containers: [{ name: 'c', ...use }] }, { uid })
    const devices = { volumeDevices: [{ name: 'v', devicePath: '/dev/x' }] }
    const device = { name: 'v', path: `/dev/loop of ${path}/disk.img`, readOnly: false }
    assert.deepEqual(await volumes.mount(user('u-1', devices), volume), device)
    assert.deepEqual(await volumes.mount(user('u-2', devices), volume), device)
    assert.equal(statSync(join(path, 'disk.img')).size, 1024 ** 3)
    await volumes.unmountAll('u-1')
    assert.deepEqual([...looped], [join(path, 'disk.img')])
    await volumes.unmountAll('u-2')
    assert.deepEqual([...looped], [])
    assert.ok(existsSync(join(path, 'disk.img')), 'the bytes outlive the Pods')
    await failsWith(
      volumes.mount(user('u-3', { volumeMounts: [{ name: 'v', mountPath: '/x' }] }), volume),
      /volume v has volumeMode Block, but is specified in volumeMounts/,
    )
    bindClaim('files')
    await failsWith(
      volumes.mount(user('u-3', devices), { name: 'v', persistentVolumeClaim: { claimName: 'files' } }),
      /volume v has volumeMode Filesystem, but is specified in volumeDevices/,
    )
    symlinkSync('/etc/passwd', join(bindClaim('link', { volumeMode: 'Block' }), 'disk.img'))
    await assert.rejects(
      volumes.mount(user('u-4', devices), { name: 'v', persistentVolumeClaim: { claimName: 'link' } }),
      /ELOOP/,
    )
  })

  test('names that are no names never become paths (S12)', async () => {
    await assert.rejects(volumes.mount(pod(), { name: '../../etc', emptyDir: {} }), /is not the name of a volume/)
    await assert.rejects(volumes.unmountAll('../..'), /is not a uid/)
    await assert.rejects(volumes.mount(pod({}, { uid: '../x' }), { name: 'a', emptyDir: {} }), /is not a uid/)
  })

  test('mount points below a directory, innermost first, with blanks in their names', () => {
    const info = [
      '1 0 8:1 / / rw - ext4 /dev/sda rw',
      '2 1 0:5 / /state/pods/u/volumes/a rw - tmpfs tmpfs rw',
      '3 2 0:6 / /state/pods/u/volumes/a/b\\040c rw - tmpfs tmpfs rw',
      '4 1 0:7 / /state/pods/u2 rw - tmpfs tmpfs rw',
    ].join('\n')
    assert.deepEqual(mountPoints(info, '/state/pods/u'), ['/state/pods/u/volumes/a/b c', '/state/pods/u/volumes/a'])
  })
})
