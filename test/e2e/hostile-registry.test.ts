// Images that a hostile registry serves. S3: layers that unpack to too much end at the limit that is said, and leave
// nothing; S4: what is not what its reference says is refused, and credentials go to the registry alone.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { paxEntry, tarOf, withChecksum } from '../../src/host/images/tar.fixture.ts'
import { tarFile } from '../../src/host/images/tar-writer.ts'
import {
  type HostileLayer,
  type HostileRegistry,
  registryUser,
  type Stranger,
  startHostileRegistry,
  startStranger,
} from './hostile-registry.fixture.ts'
import { run, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const mebibyte = 2 ** 20
const layerType = 'application/vnd.oci.image.layer.v1.tar'

let tandem: TestTandem
let registry: HostileRegistry
let stranger: Stranger

before(async () => {
  process.env.TANDEM_LAYER_BYTES = '32Mi'
  process.env.TANDEM_LAYER_ENTRIES = '3000'
  registry = await startHostileRegistry()
  stranger = await startStranger(layerOf('foreign').bytes)
  tandem = await startTandem()
  const { name, password } = registryUser
  const login = ['--docker-server', registry.address, '--docker-username', name, '--docker-password', password]
  await tandem.kubectl('create', 'secret', 'docker-registry', 'login', ...login)
})

after(async () => {
  registry?.close()
  stranger?.close()
  await tandem?.close()
})

const pod = (name: string, image: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    containers: [{ name: 'main', image }],
    imagePullSecrets: [{ name: 'login' }],
    terminationGracePeriodSeconds: 0,
  },
})

const messageOf = async (name: string): Promise<string> => {
  const { status } = JSON.parse(await tandem.kubectl('get', 'pod', name, '-o', 'json'))
  return status.containerStatuses?.[0]?.state.waiting?.message ?? ''
}

/** Each image is refused with its words, in the Pod's status and in an event. */
async function refused(cases: Record<string, [image: string, words: RegExp]>): Promise<void> {
  await tandem.apply(Object.entries(cases).map(([name, [image]]) => pod(name, image)))
  for (const [name, [, words]] of Object.entries(cases)) {
    let message = ''
    await until(`the image of ${name} is refused`, async () => {
      message = await messageOf(name)
      return message !== ''
    })
    assert.match(message, words, name)
  }
  for (const [name, [, words]] of Object.entries(cases)) {
    const about = `--field-selector=involvedObject.name=${name},reason=Failed`
    await until(`an event of ${name} says ${words}`, async () =>
      words.test(await tandem.kubectl('get', 'events', about, '-o', 'jsonpath={.items[*].message}')),
    )
  }
  await tandem.kubectl('delete', 'pods', ...Object.keys(cases))
}

async function bytesOfContainerd(): Promise<number> {
  const { stdout } = await run('du', ['-s', '-B1', `${tandem.stateDir}/containerd`])
  return Number(stdout.split('\t')[0])
}

/** A file of 8 EiB that is one block of data and a hole, as GNU tar writes it. */
function sparse(): Buffer {
  const header = tarFile('huge', 512)
  header.write('S', 156)
  header.write('ustar  \0', 257, 'latin1')
  header.write('00000000000\0', 386, 'latin1')
  header.write('00000001000\0', 398, 'latin1')
  header.fill(0, 483, 495)
  header[483] = 0x80
  header.writeBigUInt64BE(2n ** 63n - 1n, 487)
  return Buffer.concat([withChecksum(header), Buffer.alloc(512, 'x'), Buffer.alloc(1024)])
}

const bombs = () => {
  const zeros = tarOf({ name: 'zeros', content: Buffer.alloc(512 * mebibyte) })
  const many = tarOf(...Array.from({ length: 4000 }, (_, index) => ({ name: `f${index}` })))
  const paxSparse = paxEntry({
    'GNU.sparse.major': '1',
    'GNU.sparse.minor': '0',
    'GNU.sparse.realsize': `${2n ** 63n - 1n}`,
  })
  const gzip = `${layerType}+gzip`
  return {
    'bomb-gzip': { mediaType: gzip, bytes: gzipSync(zeros) },
    'bomb-zstd': { mediaType: `${layerType}+zstd`, bytes: zstdCompressSync(zeros) },
    'bomb-sparse': { mediaType: layerType, bytes: sparse() },
    'bomb-pax': { mediaType: gzip, bytes: gzipSync(tarOf(paxSparse, { name: 'huge', content: '1\n0\n0\n' })) },
    'bomb-files': { mediaType: gzip, bytes: gzipSync(many) },
  }
}

test('S3: a layer that unpacks to too much ends at the limit, and leaves nothing', async () => {
  const before = await bytesOfContainerd()
  const tooLarge = /a layer unpacks to more than 32 MiB \(TANDEM_LAYER_BYTES sets another limit\)/
  const tooMany = /a layer has more than 3000 entries \(TANDEM_LAYER_ENTRIES sets another limit\)/
  const cases = Object.entries(bombs()).map(([name, layer]) => {
    const words = name === 'bomb-files' ? tooMany : tooLarge
    return [name, [registry.publish(name, layer), words]] as [string, [string, RegExp]]
  })
  const xz = Buffer.from('\xfd7zXZ\0 and so on', 'latin1')
  await refused({
    ...Object.fromEntries(cases),
    'bomb-xz': [registry.publish('bomb-xz', { mediaType: `${layerType}+gzip`, bytes: xz }), /xz is not supported/],
  })
  // A Pod that is deleted while its image is tried again leaves that to be cleared away.
  await until("containerd's folder is as it was", async () => (await bytesOfContainerd()) - before < 4 * mebibyte)
})

/** Content that no other image has: what is there already is not fetched again. */
function layerOf(name: string) {
  const tar = tarOf({ name: 'bin/sh', content: name })
  return { mediaType: `${layerType}+gzip`, bytes: gzipSync(tar), tar }
}

test('S4: what is not what its reference says is refused, and credentials stay with the registry', async () => {
  const image = (name: string, changes: Partial<HostileLayer>, manifest = {}) =>
    registry.publish(name, { ...layerOf(name), ...changes }, manifest)
  await refused({
    digest: [image('digest', { sent: layerOf('digesX').bytes }), /unexpected commit digest|failed to pull/],
    size: [image('size', { size: layerOf('size').bytes.length - 7 }), /unexpected commit size|failed to pull/],
    both: [image('both', {}, { manifests: [] }), /manifest/],
    lies: [
      image('lies', {}, { mediaType: 'application/vnd.oci.image.index.v1+json' }),
      /expected manifest but found index/,
    ],
    // containerd would take these.
    odd: [image('odd', { mediaType: `${layerType}+aaa+gzip` }), /layers of type \S+ are not supported/],
    foreign: [image('foreign', { urls: [`${stranger.url}/layer`] }), /foreign layers/],
  })
  // Registries do send elsewhere for blobs; with their own words only, never with the person's.
  await tandem.apply(pod('moved', image('moved', { movedTo: `${stranger.url}/blob` })))
  await until('the blob was asked for', () => stranger.seen.some(({ path }) => path === '/blob'))
  await tandem.kubectl('delete', 'pod', 'moved')
  assert.deepEqual(
    stranger.seen.filter(({ authorization }) => authorization !== undefined),
    [],
  )
})
