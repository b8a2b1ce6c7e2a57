// Container images as an attacker makes them: what busybox's has, below layers of any entries, with any config.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FixtureEntry, tarOf } from '../../src/host/images/tar.fixture.ts'
import { home, run, type TestTandem } from './tandem.fixture.ts'

export interface HostileImage {
  name: string
  entries?: FixtureEntry[]
  /** The layer's bytes, for what tar entries cannot say. */
  layer?: { mediaType: string; bytes: Buffer; diffId: string }
  config?: object
}

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const layerType = 'application/vnd.oci.image.layer.v1.tar'

interface Base {
  layers: { mediaType: string; digest: string; size: number }[]
  diffIds: string[]
  blobs: Map<string, Buffer>
}

/** Busybox's own layers, out of an archive that is built. */
export async function hostileImages(tandem: TestTandem) {
  const archive = join(tandem.stateDir, 'busybox.tar')
  const built = await tandem.tandem('image', 'build', join(home, 'images/busybox'), '-f', archive)
  assert.equal(built.code, 0, built.stderr)
  const base = await baseOf(archive)

  /** What the load of all of them says; each is test.dev/<name>:1. */
  return async function load(...images: HostileImage[]) {
    const blobs = new Map(base.blobs)
    const manifests = images.map((image) => describe(image, base, blobs))
    const path = join(tandem.stateDir, `${images[0]!.name}.tar`)
    const index = JSON.stringify({ schemaVersion: 2, manifests })
    const files = [...blobs].map(([digest, content]) => ({ name: `blobs/sha256/${digest.slice(7)}`, content }))
    const layout = { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' }
    writeFileSync(path, tarOf(layout, { name: 'index.json', content: index }, ...files))
    return await tandem.tandem('image', 'load', path)
  }
}

function describe({ name, entries = [], layer, config = {} }: HostileImage, base: Base, blobs: Map<string, Buffer>) {
  const put = (bytes: Buffer) => {
    blobs.set(sha256(bytes), bytes)
    return { digest: sha256(bytes), size: bytes.length }
  }
  const tar = tarOf(...entries)
  const { mediaType, bytes, diffId } = layer ?? { mediaType: layerType, bytes: tar, diffId: sha256(tar) }
  const configBytes = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['sh'], Env: ['PATH=/bin'], ...config },
      rootfs: { type: 'layers', diff_ids: [...base.diffIds, diffId] },
    }),
  )
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...put(configBytes) },
      layers: [...base.layers, { mediaType, ...put(bytes) }],
    }),
  )
  return {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    ...put(manifest),
    annotations: { 'io.containerd.image.name': `test.dev/${name}:1` },
  }
}

async function baseOf(archive: string): Promise<Base> {
  const folder = `${archive}.d`
  assert.equal((await run('sh', ['-c', 'mkdir "$1" && tar -xf "$0" -C "$1"', archive, folder])).code, 0)
  const blob = (digest: string) => readFileSync(join(folder, 'blobs/sha256', digest.slice(7)))
  const [{ digest }] = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')).manifests
  const { config, layers } = JSON.parse(blob(digest).toString())
  return {
    layers,
    diffIds: JSON.parse(blob(config.digest).toString()).rootfs.diff_ids,
    blobs: new Map(layers.map((layer: { digest: string }) => [layer.digest, blob(layer.digest)])),
  }
}
