// Writes an image as one tar file that is an OCI layout and a docker-archive at once, the same bytes for the same tree.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from '../../exec.ts'
import type { ImageConfig } from './recipe.ts'

export interface OciArchiveOptions {
  /** Directory whose content becomes the one layer. */
  tree: string
  /** Work directory on the file system of `output`, if links are to work. */
  scratch: string
  output: string
  names: string[]
  epoch: number
  architecture: string
  config: ImageConfig
  /** zstd for containers; a disk image is compressed in itself or not worth it. */
  compress: boolean
}

interface Blob {
  digest: string
  size: number
}

/** @returns the digest of the manifest */
export async function writeOciArchive(options: OciArchiveOptions): Promise<string> {
  const layout = join(options.scratch, 'layout')
  const blobs = join(layout, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const layerTar = join(options.scratch, 'layer.tar')
  await tarTree(options.tree, layerTar, options.epoch)
  const diffId = await digestOf(layerTar)
  const layer = await storeLayer(layerTar, diffId, blobs, options)
  const config = await storeJson(blobs, imageConfig(options, diffId))
  const mediaType = `application/vnd.oci.image.layer.v1.tar${options.compress ? '+zstd' : ''}`
  const manifest = await storeJson(blobs, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType, ...layer }],
  })
  await writeIndexes(layout, options, manifest, config, layer)
  const partial = `${options.output}.partial`
  await mkdir(dirname(options.output), { recursive: true })
  try {
    await tarTree(layout, partial, options.epoch)
    await rename(partial, options.output)
  } finally {
    await rm(partial, { force: true })
  }
  return manifest.digest
}

/** Sorted, fixed owners as numbers, no time after the epoch, no access or change times. */
async function tarTree(directory: string, output: string, epoch: number): Promise<void> {
  await run(
    [
      'tar',
      '--create',
      ...['--file', output, '--directory', directory],
      ...['--format=posix', '--sort=name', '--numeric-owner', '--xattrs', '--xattrs-include=security.capability'],
      ...[`--mtime=@${epoch}`, '--clamp-mtime'],
      '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
      '--transform=s,^\\./,,',
      '--exclude=./lost+found',
      '.',
    ],
    { timeoutMs: 900_000, env: { LC_ALL: 'C' } },
  )
}

async function storeLayer(tar: string, diffId: string, blobs: string, options: OciArchiveOptions): Promise<Blob> {
  if (!options.compress) {
    await rename(tar, join(blobs, diffId.slice(7)))
    return { digest: diffId, size: (await stat(join(blobs, diffId.slice(7)))).size }
  }
  const packed = `${tar}.zst`
  await run(['zstd', '--quiet', '-T1', '-6', '--rm', tar, '-o', packed], { timeoutMs: 900_000 })
  const digest = await digestOf(packed)
  await rename(packed, join(blobs, digest.slice(7)))
  return { digest, size: (await stat(join(blobs, digest.slice(7)))).size }
}

async function storeJson(blobs: string, value: unknown): Promise<Blob> {
  const bytes = Buffer.from(JSON.stringify(value))
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  await writeFile(join(blobs, digest.slice(7)), bytes)
  return { digest, size: bytes.length }
}

/** OCI image configuration (image-spec 1.0 config.md). */
function imageConfig({ config, epoch, architecture }: OciArchiveOptions, diffId: string): unknown {
  const env = Object.entries(config.env).map(([name, value]) => `${name}=${value}`)
  if (!('PATH' in config.env)) env.unshift('PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
  const created = new Date(epoch * 1000).toISOString()
  return {
    created,
    architecture,
    os: 'linux',
    config: {
      ...(config.user && { User: config.user }),
      ...(config.exposedPorts.length > 0 && {
        ExposedPorts: Object.fromEntries(config.exposedPorts.map((port) => [port, {}])),
      }),
      Env: env,
      ...(config.entrypoint && { Entrypoint: config.entrypoint }),
      ...(config.cmd && { Cmd: config.cmd }),
      ...(config.workingDir && { WorkingDir: config.workingDir }),
      ...(Object.keys(config.labels).length > 0 && { Labels: config.labels }),
      ...(config.stopSignal && { StopSignal: config.stopSignal }),
    },
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, created_by: 'tandem image build' }],
  }
}

async function writeIndexes(layout: string, options: OciArchiveOptions, manifest: Blob, config: Blob, layer: Blob) {
  const write = (name: string, value: unknown) => writeFile(join(layout, name), JSON.stringify(value))
  const platform = { architecture: options.architecture, os: 'linux' }
  await write('oci-layout', { imageLayoutVersion: '1.0.0' })
  await write('index.json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: options.names.map((name) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      ...manifest,
      platform,
      annotations: {
        'io.containerd.image.name': name,
        'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
      },
    })),
  })
  const blob = ({ digest }: Blob) => `blobs/sha256/${digest.slice(7)}`
  await write('manifest.json', [{ Config: blob(config), RepoTags: options.names, Layers: [blob(layer)] }])
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return `sha256:${hash.digest('hex')}`
}
