// DataVolumes for real: downloads of all formats, hostile images, clones, uploads, imports that are cut off, machines that
// bring their disks along, and images that are imported on schedule. And snapshots of volumes, which fill others, and claims
// that are copies of others.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  globSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { run, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const image = 'docker://tandem.dev/minimal-vm:1'
const mebibyte = 1024 * 1024
const diskSize = 24 * mebibyte

let tandem: TestTandem
let files: string
let server: Server
let origin: string
/** Requests for /slow wait here after their first half. */
const held: ServerResponse[] = []
let lateIsThere = false

function serveFiles(): Promise<void> {
  server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1)
    if (name === 'late.raw' && !lateIsThere) return void response.writeHead(404).end()
    const data = readFileSync(join(files, name === 'slow' || name === 'late.raw' ? 'disk.raw' : name))
    response.writeHead(200, { 'content-length': data.length })
    if (name !== 'slow') return void response.end(data)
    response.write(data.subarray(0, data.length / 2))
    held.push(response)
  })
  return new Promise((done) => server.listen(0, '127.0.0.1', done))
}

function makeFiles(): void {
  const at = (name: string) => join(files, name)
  writeFileSync(at('disk.raw'), randomBytes(3 * mebibyte))
  truncateSync(at('disk.raw'), diskSize)
  const qemu = (...argv: string[]) => execFileSync('qemu-img', argv, { stdio: 'ignore' })
  for (const [name, ...options] of [
    ['disk.qcow2', '-O', 'qcow2'],
    ['disk.vdi', '-O', 'vdi'],
    ['disk.vhdx', '-O', 'vhdx'],
    ['disk.vmdk', '-O', 'vmdk', '-o', 'subformat=streamOptimized'],
  ] as [string, ...string[]][])
    qemu('convert', ...options, at('disk.raw'), at(name))
  execFileSync('gzip', ['-k', at('disk.raw')])
  execFileSync('xz', ['-k', at('disk.raw')])
  qemu('create', '-f', 'qcow2', '-b', '/etc/passwd', '-F', 'raw', at('backing.qcow2'))
  qemu('create', '-f', 'qcow2', at('huge.qcow2'), '1T')
  writeFileSync(
    at('extents.vmdk'),
    '# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\nRW 2048 FLAT "/etc/passwd" 0\n',
  )
}

const storage = { resources: { requests: { storage: '32Mi' } } }

const volume = (name: string, source: object, rest: object = { storage }) => ({
  apiVersion: 'cdi.kubevirt.io/v1beta1',
  kind: 'DataVolume',
  metadata: { name },
  spec: { source, ...rest },
})

const from = (name: string, more: object = {}) => ({ http: { url: `${origin}/${name}`, ...more } })

const field = (kind: string, name: string, path: string) => tandem.kubectl('get', kind, name, '-o', `jsonpath=${path}`)
const phase = (name: string) => field('dv', name, '{.status.phase}')
const succeeded = (name: string) => until(`${name} is full`, async () => (await phase(name)) === 'Succeeded')
const message = (name: string) => field('dv', name, '{.status.conditions[?(@.type=="Running")].message}')

const diskOf = (claim: string): string => {
  const [path] = globSync(join(tandem.stateDir, 'volumes', `*_default_${claim}`, 'disk.img'))
  assert.ok(path, `a disk in ${claim}`)
  return path
}

/** Of the part that was imported: the disk is as long as its claim. */
function sumOf(path: string): string {
  const data = Buffer.alloc(diskSize)
  readSync(openSync(path, 'r'), data, 0, diskSize, 0)
  return createHash('sha256').update(data).digest('hex')
}

const snapshot = (name: string, source: object, rest: object = {}) => ({
  apiVersion: 'snapshot.storage.k8s.io/v1',
  kind: 'VolumeSnapshot',
  metadata: { name },
  spec: { source, ...rest },
})

const claim = (name: string, storage: string, from?: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name },
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage } },
    ...(from && { dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: from } }),
  },
})

const copy = (name: string, storage: string, from: string, more: object = {}) => {
  const { spec, ...rest } = claim(name, storage)
  return { ...rest, spec: { ...spec, dataSource: { kind: 'PersistentVolumeClaim', name: from }, ...more } }
}

/** With the claim as the device /dev/v. */
const rawPod = (name: string, claimName: string, script: string) => {
  const made = pod(name, claimName, script)
  const [{ volumeMounts: _, ...container }] = made.spec.containers as [any]
  const containers = [{ ...container, volumeDevices: [{ name: 'v', devicePath: '/dev/v' }] }]
  return { ...made, spec: { ...made.spec, containers } }
}

const pod = (name: string, claimName: string, script: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        image: 'tandem.dev/busybox:1',
        command: ['sh', '-c', script],
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
      },
    ],
    volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }],
  },
})

const isReady = (name: string) =>
  until(`snapshot ${name} is ready`, async () => (await field('vs', name, '{.status.readyToUse}')) === 'true')
const ended = (name: string) =>
  until(`pod ${name} is done`, async () => (await field('pod', name, '{.status.phase}')) === 'Succeeded')
const events = (reason: string) => tandem.kubectl('get', 'events', '-o', 'wide', `--field-selector=reason=${reason}`)
const kept = () => globSync(join(tandem.stateDir, 'volume-snapshots', '*'))
const nothingIsKept = () => until('no snapshot is kept', () => kept().length === 0)

const same = (claim: string) => assert.equal(sumOf(diskOf(claim)), sumOf(join(files, 'disk.raw')), claim)

describe('DataVolumes', () => {
  before(async () => {
    files = mkdtempSync(join(tmpdir(), 'data-volumes-'))
    makeFiles()
    await serveFiles()
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    tandem = await startTandem({ images: ['minimal-vm', 'busybox'] })
  })

  after(async () => {
    server?.closeAllConnections()
    server?.close()
    await tandem?.close()
    rmSync(files, { recursive: true, force: true })
  })

  test('disks of all formats come to be the same raw disk, with its holes', async () => {
    const names = ['disk.raw', 'disk.qcow2', 'disk.vdi', 'disk.vhdx', 'disk.vmdk', 'disk.raw.gz', 'disk.raw.xz']
    const checksum = `sha256:${createHash('sha256')
      .update(readFileSync(join(files, 'disk.raw.xz')))
      .digest('hex')}`
    await tandem.apply([
      ...names.map((name) => volume(name, from(name, name === 'disk.raw.xz' ? { checksum } : {}))),
      volume('blank', { blank: {} }),
    ])
    for (const name of [...names, 'blank']) await succeeded(name)
    for (const name of names) {
      same(name)
      assert.ok(statSync(diskOf(name)).blocks * 512 < 8 * mebibyte, `${name} is sparse`)
    }
    assert.equal(statSync(diskOf('blank')).size, 32 * mebibyte)
    const line = await tandem.kubectl('get', 'dv', 'disk.qcow2')
    assert.match(line, /^NAME\s+PHASE\s+PROGRESS\s+RESTARTS\s+AGE\ndisk\.qcow2\s+Succeeded\s+100\.0%/)
  })

  test('an image that leads elsewhere, is too large or another one is refused, and the reason is told', async () => {
    const wrong = `sha256:${'0'.repeat(64)}`
    await tandem.apply([
      volume('backing', from('backing.qcow2')),
      volume('extents', from('extents.vmdk')),
      volume('huge', from('huge.qcow2')),
      volume('other', from('disk.raw', { checksum: wrong })),
    ])
    const told = (name: string, text: RegExp) => until(`${name} says why`, async () => text.test(await message(name)))
    await told('backing', /backing file/)
    await told('extents', /keeps its data in other files/)
    await told('huge', /virtual image size 1099511627776 is larger than the reported available storage 33554432/)
    await told('other', /checksum mismatch/)
    assert.equal(await phase('other'), 'Failed')
    assert.equal(await phase('backing'), 'ImportInProgress')
    await tandem.kubectl('delete', 'dv', 'backing', 'extents', 'huge', 'other')
  })

  test('an import that fails is tried again', async () => {
    await tandem.apply(volume('late', from('late.raw')))
    await until('the failure is told', async () => /got 404/.test(await message('late')))
    lateIsThere = true
    await succeeded('late')
    // More than once where it failed again before anybody had seen that it failed.
    assert.ok(Number(await field('dv', 'late', '{.status.restartCount}')) >= 1)
    same('late')
  })

  test('a claim is cloned, also by the name of a DataSource', async () => {
    await tandem.apply([
      {
        apiVersion: 'cdi.kubevirt.io/v1beta1',
        kind: 'DataSource',
        metadata: { name: 'golden' },
        spec: { source: { pvc: { name: 'disk.raw', namespace: 'default' } } },
      },
      volume('clone', { pvc: { name: 'disk.raw', namespace: 'default' } }, { storage: {} }),
      {
        ...volume('by-name', {}),
        spec: { sourceRef: { kind: 'DataSource', name: 'golden' }, storage: {} },
      },
    ])
    for (const name of ['clone', 'by-name']) {
      await succeeded(name)
      same(name)
    }
  })

  test('a disk is uploaded with a token, once', async () => {
    await tandem.apply(volume('upload', { upload: {} }))
    await until('it waits for the upload', async () => (await phase('upload')) === 'UploadReady')
    const request = {
      apiVersion: 'upload.cdi.kubevirt.io/v1beta1',
      kind: 'UploadTokenRequest',
      metadata: { name: 'token' },
      spec: { pvcName: 'upload' },
    }
    const asked = await tandem.tryKubectl(
      ['create', '-f', '-', '-o', 'jsonpath={.status.token}'],
      JSON.stringify(request),
    )
    assert.equal(asked.code, 0, asked.stderr)
    const proxy = await field('cdiconfig', 'config', '{.status.uploadProxyURL}')
    const curl = async (path: string, ...argv: string[]) => {
      const show = ['-sk', '-o', '/dev/null', '-w', '%{http_code}']
      return (await run('curl', [...show, ...argv, `${proxy}/v1beta1/${path}`])).stdout
    }
    const bearer = ['-H', `Authorization: Bearer ${asked.stdout}`]
    assert.equal(await curl('upload-async', '-I', ...bearer), '200')
    assert.equal(await curl('upload-async', '-X', 'POST', '-d', 'x'), '400')
    assert.equal(await curl('upload-async', '-X', 'POST', '-d', 'x', '-H', 'Authorization: Bearer abc'), '401')
    writeFileSync(join(files, 'long.raw'), Buffer.alloc(33 * mebibyte, 1))
    assert.equal(await curl('upload-async', '--data-binary', `@${join(files, 'long.raw')}`, ...bearer), '400')
    const form = ['-F', 'comment=none', '-F', `file=@${join(files, 'disk.qcow2')}`]
    assert.equal(await curl('upload-form', ...form, ...bearer), '200')
    await succeeded('upload')
    same('upload')
    assert.equal(await curl('upload', '--data-binary', `@${join(files, 'disk.raw')}`, ...bearer), '503')
  })

  test('an import that dies with Tandem is begun anew', async () => {
    await tandem.apply(volume('slow', from('slow')))
    await until('half of it is there', () => held.length === 1)
    await until('it is under way', async () => (await phase('slow')) === 'ImportInProgress')
    await tandem.kill()
    await tandem.up()
    await until('it is asked for again', () => held.length === 2)
    const data = readFileSync(join(files, 'disk.raw'))
    held[1]!.end(data.subarray(data.length / 2))
    await succeeded('slow')
    same('slow')
    assert.deepEqual(globSync(join(tandem.stateDir, 'imports', '*')), [])
  })

  test('a machine brings its disk along, starts when it is full, and takes it away', async () => {
    const machine = (name: string, source: object) => ({
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachine',
      metadata: { name },
      spec: {
        runStrategy: 'Always',
        dataVolumeTemplates: [
          {
            metadata: { name: `${name}-root` },
            spec: { source, storage: { resources: { requests: { storage: '128Mi' } } } },
          },
        ],
        template: {
          spec: {
            domain: { memory: { guest: '128Mi' }, devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] } },
            volumes: [{ name: 'root', dataVolume: { name: `${name}-root` } }],
          },
        },
      },
    })
    await tandem.apply([
      machine('good', { registry: { url: image } }),
      machine('bad', from('late.raw', { checksum: `md5:${'0'.repeat(32)}` })),
    ])
    const status = (name: string) => field('vm', name, '{.status.printableStatus}')
    await until('the machine runs', async () => (await status('good')) === 'Running')
    await until('the other says what is wrong', async () => (await status('bad')) === 'DataVolumeError')
    assert.equal(await tandem.kubectl('get', 'vmi', '-o', 'name'), 'virtualmachineinstance.kubevirt.io/good\n')
    await tandem.kubectl('delete', 'vm', 'good', 'bad')
    await until('its claim is gone', async () => !/(good|bad)-root/.test(await tandem.kubectl('get', 'dv,pvc')))
  })

  test('a new image is imported for its DataSource', async () => {
    await tandem.apply({
      apiVersion: 'cdi.kubevirt.io/v1beta1',
      kind: 'DataImportCron',
      metadata: { name: 'minimal' },
      spec: {
        schedule: '0 0 1 1 *',
        managedDataSource: 'minimal',
        retentionPolicy: 'None',
        template: {
          spec: { source: { registry: { url: image } }, storage: { resources: { requests: { storage: '128Mi' } } } },
        },
      },
    })
    const ready = '{.status.conditions[?(@.type=="Ready")].status}'
    await until('the DataSource is there', async () => (await tandem.tryKubectl(['get', 'das', 'minimal'])).code === 0)
    await until('the DataSource is ready', async () => (await field('das', 'minimal', ready)) === 'True')
    assert.match(await field('das', 'minimal', '{.spec.source.pvc.name}'), /^minimal-[0-9a-f]{12}$/)
    await tandem.kubectl('delete', 'dic', 'minimal')
    await until('all of it is gone', async () => !/minimal/.test(await tandem.kubectl('get', 'das,dv,pvc')))
  })

  test('a snapshot of a volume fills claims, DataVolumes, and what a DataSource names', async () => {
    await tandem.apply([
      snapshot('monday', { persistentVolumeClaimName: 'disk.raw' }),
      {
        apiVersion: 'cdi.kubevirt.io/v1beta1',
        kind: 'DataSource',
        metadata: { name: 'kept' },
        spec: { source: { snapshot: { name: 'monday', namespace: 'default' } } },
      },
      volume('from-snapshot', { snapshot: { name: 'monday', namespace: 'default' } }, { storage: {} }),
      { ...volume('from-kept', {}), spec: { sourceRef: { kind: 'DataSource', name: 'kept' }, storage: {} } },
      claim('restored', '64Mi', 'monday'),
      claim('small', '16Mi', 'monday'),
      ...['restored', 'small'].map((name) => pod(name, name, 'ls /v/disk.img')),
    ])
    await isReady('monday')
    const [size, content] = [
      await field('vs', 'monday', '{.status.restoreSize}'),
      await field('vs', 'monday', '{.status.boundVolumeSnapshotContentName}'),
    ]
    const vs = await tandem.kubectl('get', 'vs', 'monday')
    assert.match(
      vs,
      /^NAME +READYTOUSE +SOURCEPVC +SOURCESNAPSHOTCONTENT +RESTORESIZE +SNAPSHOTCLASS +SNAPSHOTCONTENT +/,
    )
    assert.match(vs, new RegExp(`monday +true +disk\\.raw +${size} +local +${content} `))
    const vsc = await tandem.kubectl('get', 'vsc', content)
    assert.match(
      vsc,
      /READYTOUSE +RESTORESIZE +DELETIONPOLICY +DRIVER +VOLUMESNAPSHOTCLASS +VOLUMESNAPSHOT +VOLUMESNAPSHOTNAMESPACE/,
    )
    assert.match(vsc, /true +[0-9]+ +Delete +tandem\.dev\/local +local +monday +default/)
    assert.match(await tandem.kubectl('get', 'vsclass'), /local +tandem\.dev\/local +Delete/)
    for (const name of ['from-snapshot', 'from-kept']) {
      await succeeded(name)
      same(name)
    }
    await ended('restored')
    same('restored')
    await until('the small one says why', async () => /is less than the size/.test(await events('ProvisioningFailed')))
    assert.equal(await field('pvc', 'small', '{.status.phase}'), 'Pending')
    await tandem.kubectl('delete', 'pod,pvc', 'small', 'restored')
    await tandem.kubectl('delete', 'vs', 'monday')
    await until('its content is gone', async () => !/monday/.test(await tandem.kubectl('get', 'vsc')))
    await nothingIsKept()
  })

  test('what a Pod writes is snapshot while it runs; it is kept, and found again by its handle', async () => {
    await tandem.apply([
      {
        apiVersion: 'snapshot.storage.k8s.io/v1',
        kind: 'VolumeSnapshotClass',
        metadata: { name: 'keep' },
        driver: 'tandem.dev/local',
        deletionPolicy: 'Retain',
      },
      claim('files', '1Gi'),
      pod('writer', 'files', 'echo hello > /v/a; chmod 700 /v; chown 33 /v; while sleep 0.1; do date > /v/b; done'),
    ])
    const [written] = await until('the Pod has written', () => {
      const found = globSync(join(tandem.stateDir, 'volumes', '*_default_files', 'b'))
      return found.length > 0 && found
    })
    await tandem.apply(snapshot('tuesday', { persistentVolumeClaimName: 'files' }, { volumeSnapshotClassName: 'keep' }))
    await isReady('tuesday')
    const inUse = /pod default\/writer using PersistentVolumeClaim files/
    await until('it says who writes', async () => inUse.test(await events('SnapshotSourceInUse')))
    const name = await field('vs', 'tuesday', '{.status.boundVolumeSnapshotContentName}')
    const handle = await field('vsc', name, '{.status.snapshotHandle}')
    await tandem.kubectl('delete', 'vs', 'tuesday')
    await tandem.kubectl('delete', 'vsc', name)
    assert.deepEqual(kept(), [join(tandem.stateDir, 'volume-snapshots', handle)])
    const again = {
      deletionPolicy: 'Delete',
      driver: 'tandem.dev/local',
      source: { snapshotHandle: handle },
      volumeSnapshotRef: { name: 'again', namespace: 'default' },
    }
    await tandem.apply([
      {
        apiVersion: 'snapshot.storage.k8s.io/v1',
        kind: 'VolumeSnapshotContent',
        metadata: { name: 'old' },
        spec: again,
      },
      snapshot('again', { volumeSnapshotContentName: 'old' }),
      claim('again', '1Gi', 'again'),
      pod('reader', 'again', 'cat /v/a; stat -c %u:%a /v'),
    ])
    await ended('reader')
    assert.equal(await tandem.kubectl('logs', 'reader'), 'hello\n33:700\n')
    await tandem.kubectl('delete', 'pod', 'reader', 'writer')
    await tandem.kubectl('delete', 'vs', 'again')
    await nothingIsKept()
    assert.ok(existsSync(written!), 'the volume itself is as it was')
  })

  test('a snapshot that is cut off by the end of Tandem is taken anew, and never half', async () => {
    const [directory] = globSync(join(tandem.stateDir, 'volumes', '*_default_files'))
    const large = join(directory!, 'large')
    execFileSync('dd', ['if=/dev/urandom', `of=${large}`, 'bs=1M', 'count=500'], { stdio: 'ignore' })
    await tandem.apply(snapshot('cut', { persistentVolumeClaimName: 'files' }))
    const isUnderWay = () => globSync(join(tandem.stateDir, 'volume-snapshots', '*.new', 'data', 'large')).length > 0
    for (const end = Date.now() + 300_000; !isUnderWay() && Date.now() < end; ) await sleep(2)
    assert.ok(isUnderWay(), 'the copy has begun')
    await tandem.kill()
    assert.notEqual(kept().length, 0)
    assert.deepEqual(
      kept().filter((path) => !path.endsWith('.new')),
      [],
    )
    await tandem.up()
    await isReady('cut')
    const [taken, ...more] = kept()
    assert.deepEqual(more, [])
    execFileSync('cmp', [large, join(taken!, 'data', 'large')])
    await tandem.kubectl('delete', 'vs', 'cut')
    await nothingIsKept()
  })

  test('a claim is cloned while a Pod writes to it, and a raw one with the size that is asked for', async () => {
    const raw = { volumeMode: 'Block' }
    await tandem.apply([
      copy('small-copy', '512Mi', 'origin'),
      pod('small-copy', 'small-copy', 'true'),
      claim('origin', '1Gi'),
      pod('author', 'origin', 'echo hello > /v/a; chmod 700 /v; chown 33 /v; while sleep 0.1; do date > /v/b; done'),
      copy('raw', '16Mi', 'none', { ...raw, dataSource: undefined }),
      rawPod('raw-author', 'raw', 'echo hello | dd of=/dev/v conv=notrunc && sync'),
    ])
    const written = () => globSync(join(tandem.stateDir, 'volumes', '*_default_origin', 'b'))
    await until('the Pod has written', () => written().length > 0)
    await ended('raw-author')
    await tandem.apply([
      copy('copied', '2Gi', 'origin'),
      pod('editor', 'copied', 'cat /v/a; stat -c %u:%a /v; echo other > /v/a'),
      copy('raw-copy', '32Mi', 'raw', raw),
      rawPod('raw-reader', 'raw-copy', 'head -c 6 /dev/v; blockdev --getsize64 /dev/v'),
    ])
    await ended('editor')
    assert.equal(await tandem.kubectl('logs', 'editor'), 'hello\n33:700\n')
    await ended('raw-reader')
    assert.equal(await tandem.kubectl('logs', 'raw-reader'), `hello\n${32 * mebibyte}\n`)
    await until('the small one says why', async () => /greater than or equal/.test(await events('ProvisioningFailed')))
    const inUse = /pod default\/author using PersistentVolumeClaim origin/
    await until('it says who writes', async () => inUse.test(await events('CloneSourceInUse')))
    assert.equal(readFileSync(join(written()[0]!, '../a'), 'utf8'), 'hello\n')
    await tandem.kubectl('delete', 'pod', 'author', 'editor', 'small-copy', 'raw-author', 'raw-reader')
    await tandem.kubectl('delete', 'pvc', 'small-copy', 'copied', 'raw', 'raw-copy')
  })

  test('a clone that is cut off by the end of Tandem is made anew, and never bound before', async () => {
    const [directory] = globSync(join(tandem.stateDir, 'volumes', '*_default_origin'))
    const large = join(directory!, 'large')
    execFileSync('dd', ['if=/dev/urandom', `of=${large}`, 'bs=1M', 'count=500'], { stdio: 'ignore' })
    await tandem.apply([copy('again-whole', '1Gi', 'origin'), pod('whole', 'again-whole', 'ls /v')])
    const isUnderWay = () => globSync(join(tandem.stateDir, 'imports', '*', 'out', 'large')).length > 0
    for (const end = Date.now() + 300_000; !isUnderWay() && Date.now() < end; ) await sleep(2)
    assert.ok(isUnderWay(), 'the copy has begun')
    await tandem.kill()
    const copied = () => globSync(join(tandem.stateDir, 'volumes', '*_default_again-whole', '*'))
    assert.deepEqual(copied(), [])
    await tandem.up()
    await ended('whole')
    execFileSync('cmp', [large, copied().find((path) => path.endsWith('/large'))!])
    const finalizers = () => field('pvc', 'origin', '{.metadata.finalizers}')
    await until('the origin is let go of', async () => (await finalizers()) === '["kubernetes.io/pvc-protection"]')
    await until('nothing is on its way', () => globSync(join(tandem.stateDir, 'imports', '*')).length === 0)
    await tandem.kubectl('delete', 'pod,pvc', 'whole', 'again-whole', '--ignore-not-found')
    await tandem.kubectl('delete', 'pvc', 'origin')
  })

  test('who may not read another namespace does not clone from it', async () => {
    await tandem.kubectl('create', 'namespace', 'theirs')
    await tandem.kubectl('-n', 'theirs', 'create', 'rolebinding', 'eve', '--clusterrole=admin', '--user=eve')
    const forbidden = async (object: object, text: RegExp) => {
      const { code, stderr } = await tandem.tryKubectl(
        ['-n', 'theirs', '--as=eve', 'create', '-f', '-'],
        JSON.stringify(object),
      )
      assert.notEqual(code, 0)
      assert.match(stderr, text)
    }
    const clone = volume('stolen', { pvc: { name: 'disk.raw', namespace: 'default' } }, { storage: {} })
    await forbidden(clone, /User eve has insufficient permissions in clone source namespace default/)
    await forbidden(volume('own', from('disk.raw')), /only who may use nodes\/proxy fetches from it/)
  })
})
