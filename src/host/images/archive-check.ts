// Checks an image archive completely before anything of it is used: all parts there, each with the digest and size that
// its reference says, and a name.

import { createHash } from 'node:crypto'
import { normalizeImageName } from '../../kinds/core/image-name.ts'
import { type Descriptor, forThisMachine, ManifestError, parseJson, parseManifest } from './manifest.ts'
import type { TarEntry } from './tar-reader.ts'

export interface CheckedImage {
  names: string[]
  /** Digest of the config. */
  id: string
  /** It says what to run: a container image. A disk does not. */
  runnable: boolean
}

export interface CheckedArchive {
  images: CheckedImage[]
  /** The archive's own documents (index.json, manifest.json) as they are to be imported: only what was checked. */
  documents: Map<string, Buffer>
  /** Entries that the documents refer to. */
  wanted: Set<string>
  /** Of images that are run: what will be unpacked. */
  layers: Set<string>
}

/** Documents and manifests are small; what is larger is a layer and is only hashed. */
const documentLimit = 1024 * 1024
const documentsLimit = 64 * 1024 * 1024

interface Content {
  /** By entry name. */
  sizes: Map<string, number>
  digests: Map<string, string>
  documents: Map<string, Buffer>
  links: Map<string, string>
}

/** @throws ManifestError, TarError */
export async function checkArchive(entries: AsyncIterable<TarEntry>): Promise<CheckedArchive> {
  const content = await readContent(entries)
  if (content.documents.has('index.json') && content.documents.has('oci-layout')) return checkLayout(content)
  if (content.documents.has('manifest.json')) return checkDockerArchive(content)
  throw new ManifestError('it has neither index.json with oci-layout nor manifest.json')
}

async function readContent(entries: AsyncIterable<TarEntry>): Promise<Content> {
  const content: Content = { sizes: new Map(), digests: new Map(), documents: new Map(), links: new Map() }
  let kept = 0
  for await (const entry of entries) {
    if (entry.type === 'symlink' || entry.type === 'link') content.links.set(entry.name, entry.linkName)
    if (entry.type !== 'file') continue
    if (content.sizes.has(entry.name)) throw new ManifestError(`${entry.name} is in it twice`)
    const hash = createHash('sha256')
    const parts: Buffer[] = []
    const keep = entry.size <= documentLimit && kept + entry.size <= documentsLimit
    for await (const part of entry.body()) {
      hash.update(part)
      if (keep) parts.push(part)
    }
    content.sizes.set(entry.name, entry.size)
    content.digests.set(entry.name, `sha256:${hash.digest('hex')}`)
    if (keep) {
      content.documents.set(entry.name, Buffer.concat(parts))
      kept += entry.size
    }
  }
  return content
}

const blobPath = (digest: string) => `blobs/sha256/${digest.slice('sha256:'.length)}`

function checkLayout(content: Content): CheckedArchive {
  const index = parseManifest(content.documents.get('index.json')!)
  if (!('index' in index)) throw new ManifestError('index.json is not an image index')
  const wanted = new Set<string>()
  const layers = new Set<string>()
  const dockerNames = namesInDockerManifest(content)
  const images: CheckedImage[] = []
  const listed: Descriptor[] = []
  for (const top of index.index) {
    const { id, runnable, layers: own } = checkTree(content, top, wanted)
    if (runnable) for (const layer of own) layers.add(layer)
    const given = ownNames(top)
    const names = (given.length > 0 ? given : (dockerNames.get(blobPath(id)) ?? [])).map(normalizeImageName)
    if (names.length === 0) throw new ManifestError(noName)
    images.push({ names, id, runnable })
    for (const name of names) listed.push(named(top, name))
  }
  if (images.length === 0) throw new ManifestError('index.json lists no image')
  const documents = new Map([
    ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
    ['index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: listed }))],
  ])
  return { images, documents, wanted, layers }
}

const noName =
  'an image in it has no name (annotation io.containerd.image.name, or org.opencontainers.image.ref.name with a full name)'

const named = ({ mediaType, digest, size, platform }: Descriptor, name: string): Descriptor => ({
  ...{ mediaType, digest, size },
  ...(platform && { platform }),
  annotations: { 'io.containerd.image.name': name },
})

/** A reference name that is a tag alone says nothing about the image. */
function ownNames({ annotations = {} }: Descriptor): string[] {
  const full = annotations['io.containerd.image.name']
  const reference = annotations['org.opencontainers.image.ref.name']
  const name = full ?? (reference && /[/:]/.test(reference) ? reference : undefined)
  return typeof name === 'string' ? [name] : []
}

function namesInDockerManifest(content: Content): Map<string, string[]> {
  const bytes = content.documents.get('manifest.json')
  return bytes ? new Map(dockerImages(bytes).map((image) => [image.config, image.names])) : new Map()
}

interface CheckedTree extends Omit<CheckedImage, 'names'> {
  layers: string[]
}

/** Everything below a descriptor is there, with the right digest and size. */
function checkTree(content: Content, top: Descriptor, wanted: Set<string>, depth = 0): CheckedTree {
  checkBlob(content, top, wanted)
  const parsed = parseManifest(documentOf(content, top), top.mediaType)
  if ('index' in parsed) {
    const fitting = forThisMachine(parsed.index.filter(({ digest }) => content.sizes.has(blobPath(digest))))
    if (!fitting || depth > 1) throw new ManifestError('an image in it has no variant for this machine’s architecture')
    return checkTree(content, fitting, wanted, depth + 1)
  }
  const { config, layers } = parsed.manifest
  for (const blob of [config, ...layers]) checkBlob(content, blob, wanted)
  return {
    id: config.digest,
    runnable: isRunnable(documentOf(content, config)),
    layers: layers.map(({ digest }) => blobPath(digest)),
  }
}

function checkBlob(content: Content, { digest, size }: Descriptor, wanted: Set<string>): void {
  const path = blobPath(digest)
  const actual = content.sizes.get(path)
  if (actual === undefined) throw new ManifestError(`${digest} is missing`)
  if (actual !== size) throw new ManifestError(`${digest} has ${actual} bytes, its reference says ${size}`)
  if (content.digests.get(path) !== digest) throw new ManifestError(`${digest} has other content than its digest says`)
  wanted.add(path)
}

function documentOf(content: Content, { digest }: Descriptor): Buffer {
  const bytes = content.documents.get(blobPath(digest))
  if (!bytes) throw new ManifestError(`${digest} is too large for a manifest or config`)
  return bytes
}

function isRunnable(config: Buffer): boolean {
  const { Entrypoint, Cmd } = parseJson(config).config ?? {}
  return [Entrypoint, Cmd].some((argv) => Array.isArray(argv) && argv.length > 0)
}

interface DockerImage {
  config: string
  names: string[]
  layers: string[]
}

function dockerImages(bytes: Buffer): DockerImage[] {
  let list: unknown
  try {
    list = JSON.parse(bytes.toString())
  } catch {
    throw new ManifestError('manifest.json is not JSON')
  }
  if (!Array.isArray(list) || list.length === 0) throw new ManifestError('manifest.json lists no image')
  return list.map((item) => {
    const strings = (value: unknown) => (Array.isArray(value) ? value.map(String) : [])
    if (typeof item?.Config !== 'string' || !Array.isArray(item.Layers))
      throw new ManifestError('manifest.json has an image without Config or Layers')
    return { config: item.Config, names: strings(item.RepoTags), layers: strings(item.Layers) }
  })
}

/** Layers may be links to one another in what old Docker versions save. */
function checkDockerArchive(content: Content): CheckedArchive {
  const images: CheckedImage[] = []
  const wanted = new Set<string>()
  const layers = new Set<string>()
  const manifests: unknown[] = []
  for (const image of dockerImages(content.documents.get('manifest.json')!)) {
    if (image.names.length === 0) throw new ManifestError('an image in it has no name (RepoTags): save it by its name')
    const names = image.names.map(normalizeImageName)
    const files = [image.config, ...image.layers].map((name) => existing(content, name))
    checkDiffIds(content, files[0]!, image.layers.length)
    for (const file of files) wanted.add(file)
    const config = content.documents.get(files[0]!)!
    const runnable = isRunnable(config)
    if (runnable) for (const file of files.slice(1)) layers.add(file)
    images.push({ names, id: content.digests.get(files[0]!)!, runnable })
    manifests.push({ Config: files[0], RepoTags: names, Layers: files.slice(1) })
  }
  const documents = new Map([['manifest.json', Buffer.from(JSON.stringify(manifests))]])
  return { images, documents, wanted, layers }
}

/** The entry itself, or what a link of old `docker save` points at. */
function existing(content: Content, name: string): string {
  const link = content.links.get(name)
  const target = link === undefined ? name : new URL(link, `file:///${name}`).pathname.slice(1)
  if (!content.sizes.has(target)) throw new ManifestError(`${name} is missing`)
  return target
}

function checkDiffIds(content: Content, configFile: string, layers: number): void {
  const bytes = content.documents.get(configFile)
  const diffIds = bytes && parseJson(bytes).rootfs?.diff_ids
  if (!Array.isArray(diffIds) || diffIds.length !== layers)
    throw new ManifestError(`${configFile} does not describe the ${layers} layers that manifest.json lists`)
}
