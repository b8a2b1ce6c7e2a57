// OCI and Docker image manifests: parsed and checked, because a hostile image may say one thing to one reader and another
// to the next (CVE-2021-41190). Facts: image-spec 1.0, Docker manifest schema 2.

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  platform?: { architecture?: string; os?: string; variant?: string }
  annotations?: Record<string, string>
}

export interface Manifest {
  config: Descriptor
  layers: Descriptor[]
}

export class ManifestError extends Error {}

export const manifestSizeLimit = 4 * 1024 * 1024

const indexTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]
const layerTypes = [
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
]

/** @throws ManifestError */
export function parseManifest(bytes: Buffer, mediaType?: string): { index: Descriptor[] } | { manifest: Manifest } {
  const document = parseJson(bytes)
  const has = (field: string) => Object.hasOwn(document, field) && document[field] !== null
  if (has('manifests') && (has('layers') || has('config')))
    throw new ManifestError('the manifest is an index and an image at once')
  const says = has('mediaType') ? document.mediaType : mediaType
  if (has('mediaType') && mediaType !== undefined && document.mediaType !== mediaType)
    throw new ManifestError(`the manifest says it is ${String(document.mediaType)}, its reference says ${mediaType}`)
  if (has('manifests')) {
    if (says !== undefined && !indexTypes.includes(says)) throw new ManifestError(`${String(says)} is no image index`)
    return { index: list(document.manifests, 'manifests').map((item) => descriptor(item)) }
  }
  if (says !== undefined && !manifestTypes.includes(says))
    throw new ManifestError(`${String(says)} is no image that Tandem knows`)
  const layers = list(document.layers, 'layers').map((item) => descriptor(item))
  for (const layer of layers) {
    if (!layerTypes.includes(layer.mediaType))
      throw new ManifestError(`layers of type ${layer.mediaType} are not supported`)
  }
  return { manifest: { config: descriptor(document.config), layers } }
}

export function parseJson(bytes: Buffer): Record<string, any> {
  let document: unknown
  try {
    document = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new ManifestError('the manifest is not JSON')
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new ManifestError('the manifest is not a JSON object')
  return document
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw new ManifestError(`the manifest has no ${what}`)
  if (value.length > 1000) throw new ManifestError(`the manifest has more than 1000 ${what}`)
  return value
}

function descriptor(value: unknown): Descriptor {
  const item = (value ?? {}) as Record<string, any>
  if (typeof item.mediaType !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(String(item.digest)))
    throw new ManifestError('a descriptor has no media type or no sha256 digest')
  if (!Number.isSafeInteger(item.size) || item.size < 0) throw new ManifestError(`${item.digest} has no valid size`)
  if (Array.isArray(item.urls) && item.urls.length > 0)
    throw new ManifestError(`${item.digest} is to be fetched from another place: foreign layers are not supported`)
  return item as Descriptor
}

/** The image for this machine: an exact platform, or one that does not say. */
export function forThisMachine(candidates: Descriptor[]): Descriptor | undefined {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const fits = ({ platform }: Descriptor) =>
    platform?.architecture === architecture && (platform.os ?? 'linux') === 'linux'
  return candidates.find(fits) ?? candidates.find(({ platform }) => !platform?.architecture)
}
