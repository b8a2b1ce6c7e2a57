// From what is asked for to what the import can work with: Secrets and ConfigMaps are read, images pulled, sources found.

import { isApiError } from '../../api/errors.ts'
import type { ResourceRef, StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import type { Informer, InformerFactory } from '../../client/informer.ts'
import type { CloneSource } from '../../kinds/cdi/clone-source.ts'
import { normalizeImageName } from '../../kinds/core/image-name.ts'
import { restorable, snapshotGroup } from '../../kinds/volumesnapshot/references.ts'
import type { Image, ImagePullAuth, Images } from '../images/images.ts'
import type { SnapshotStore } from '../volume-snapshots/snapshot-store.ts'
import { VolumeNotReady, type Volumes } from '../volumes/volumes.ts'
import { ImportError } from './failure.ts'
import type { HttpOrder, Order, RegistryOrder } from './order.ts'
import type { Material } from './perform.ts'
import { usersOf } from './users.ts'

const core = (resource: string): ResourceRef => ({ group: '', version: 'v1', resource })
const snapshotting = (resource: string): ResourceRef => ({ group: snapshotGroup, version: 'v1', resource })

export interface MaterialTools {
  client: Client
  informers: InformerFactory
  images: Pick<Images, 'find' | 'pull' | 'containerDisk'>
  volumes: Pick<Volumes, 'claimPath'>
  /** The data of snapshots of volumes. */
  snapshots: Pick<SnapshotStore, 'data'>
  clusterDomain: string
  /** 'amd64' or 'arm64'. */
  architecture: string
}

export function createMaterials(tools: MaterialTools) {
  const { client, informers, images } = tools
  const services = informers.informer(core('services'))
  const users: { pods: Informer; machines: Informer } = {
    pods: informers.informer(core('pods')),
    machines: informers.informer({ group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }),
  }
  const kept: { snapshots: Informer; contents: Informer } = {
    snapshots: informers.informer(snapshotting('volumesnapshots')),
    contents: informers.informer(snapshotting('volumesnapshotcontents')),
  }

  async function keysOf(kind: 'secrets' | 'configmaps', namespace: string, name: string): Promise<Map<string, string>> {
    const object = await client.get(core(kind), name, namespace).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
      throw new VolumeNotReady(`${kind.slice(0, -1)} "${name}" not found`)
    })
    const decode = (text: unknown) =>
      kind === 'secrets' ? Buffer.from(String(text), 'base64').toString() : String(text)
    return new Map(Object.entries(object.data ?? {}).map(([key, value]) => [key, decode(value)]))
  }

  /** CDI's Secrets hold accessKeyId and secretKey: user and password. */
  async function credentials(namespace: string, secret: string): Promise<{ user: string; password: string }> {
    const keys = await keysOf('secrets', namespace, secret)
    return { user: keys.get('accessKeyId') ?? '', password: keys.get('secretKey') ?? '' }
  }

  /** The address of a Service, which only the cluster's own DNS knows. */
  function serviceAddress(host: string, namespace: string): string | undefined {
    const known = new RegExp(`^([a-z0-9-]+)(?:\\.([a-z0-9-]+)(?:\\.svc(?:\\.${tools.clusterDomain})?)?)?\\.?$`).exec(
      host,
    )
    const service = known && services.get(`${known[2] ?? namespace}/${known[1]}`)
    const address = service?.spec?.clusterIP
    return address && address !== 'None' ? address : undefined
  }

  async function http(namespace: string, order: HttpOrder): Promise<Material> {
    const lines = [...order.headers]
    for (const secret of order.secretHeaders) lines.push(...(await keysOf('secrets', namespace, secret)).values())
    const login = order.secret ? await credentials(namespace, order.secret) : undefined
    const ca = order.certConfigMap
      ? [...(await keysOf('configmaps', namespace, order.certConfigMap)).values()].join('\n')
      : undefined
    const address = serviceAddress(new URL(order.url).hostname, namespace)
    return {
      kind: 'http',
      download: {
        url: order.url,
        headers: lines.map(headerOf),
        insecure: order.insecure,
        ...(login && { credentials: `${login.user}:${login.password}` }),
        ...(ca && { ca }),
        ...(address && { address }),
      },
      ...(order.checksum && { checksum: order.checksum }),
    }
  }

  async function image(namespace: string, name: string, secret: string | undefined): Promise<Image> {
    const login = secret ? await credentials(namespace, secret) : undefined
    const serverAddress = normalizeImageName(name).split('/')[0]!
    const auths: ImagePullAuth[] = login ? [{ username: login.user, password: login.password, serverAddress }] : []
    try {
      return await images.pull(name, auths)
    } catch (error) {
      // An image that was loaded by hand is in no registry.
      const there = await images.find(name).catch(() => undefined)
      if (there) return there
      throw new ImportError(`failed to pull image: ${(error as Error).message}`, { cause: error })
    }
  }

  async function registry(namespace: string, order: RegistryOrder): Promise<Material> {
    if (order.architecture && order.architecture !== tools.architecture)
      throw new ImportError(`this machine pulls images for ${tools.architecture}, not for ${order.architecture}`)
    await image(namespace, order.image, order.secret)
    const { path, format } = await images.containerDisk(order.image)
    return { kind: 'image', path, format }
  }

  async function clone(source: CloneSource): Promise<Material> {
    if (source.isSnapshot) return { kind: 'tree', path: snapshotData(source) }
    checkUnused(source)
    const { path } = await tools.volumes.claimPath(source.namespace, source.name)
    return { kind: 'tree', path }
  }

  /** @throws VolumeNotReady when there is none */
  function snapshotData({ namespace, name }: CloneSource): string {
    const found = restorable(name, kept.snapshots.get(`${namespace}/${name}`), (content) => kept.contents.get(content))
    if (typeof found === 'string') throw new VolumeNotReady(found, 'CloneWithoutSource')
    const data = tools.snapshots.data(found.handle)
    if (data === undefined) throw new ImportError(`the data of snapshot ${namespace}/${name} is not on this machine`)
    return data
  }

  /** @throws VolumeNotReady when it may have changed, or gone, under a copy */
  function checkSame(source: CloneSource): void {
    if (source.isSnapshot) snapshotData(source)
    else checkUnused(source)
  }

  /** @throws VolumeNotReady when somebody may write to it */
  function checkUnused({ namespace, name }: CloneSource): void {
    const [user] = usersOf(name, users.pods.list(namespace), users.machines.list(namespace))
    if (user) throw new VolumeNotReady(`${user} using PersistentVolumeClaim ${name}`, 'CloneSourceInUse')
  }

  return {
    checkSame,
    /** The image, pulled when it can be. @throws VolumeNotReady, ImportError */
    image,
    /** @throws VolumeNotReady for what may still come; ImportError */
    async find(claim: StoredObject, order: Order, source: CloneSource | undefined): Promise<Material> {
      const namespace = claim.metadata.namespace!
      const { origin } = order
      if (origin.kind === 'http') return http(namespace, origin)
      if (origin.kind === 'registry') return registry(namespace, origin)
      if (origin.kind === 'clone') {
        if (!source) throw new VolumeNotReady('the source to clone from is not there', 'CloneWithoutSource')
        return clone(source)
      }
      return { kind: 'blank' }
    },
  }
}

function headerOf(line: string): [string, string] {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(colon, 0)).trim()
  const value = line.slice(colon + 1).trim()
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || /[\r\n\0]/.test(value))
    throw new ImportError('Error getting extra headers for HTTP client: a header must be "Name: value"')
  return [name, value]
}
