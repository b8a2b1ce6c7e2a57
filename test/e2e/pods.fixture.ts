// A real containerd of its own for the tests of the Pod driver: state in a temporary directory, a routed CNI network
// with its own range, and two images made here from Debian's busybox-static. Needs root; leaves nothing behind.

import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import { notFound } from '../../src/api/errors.ts'
import type { StoredObject } from '../../src/api/meta.ts'
import type { Client } from '../../src/client/client.ts'
import { instanceOf } from '../../src/config.ts'
import { run } from '../../src/host/exec.ts'
import { type Image, ImageError, type Images } from '../../src/host/images/images.ts'
import { type Containerd, createContainerd } from '../../src/host/pods/containerd.ts'
import type { PodsOptions } from '../../src/host/pods/pods.ts'
import { type StatePaths, statePaths } from '../../src/host/state.ts'
import type { Volumes } from '../../src/host/volumes/volumes.ts'

export const busybox = 'tandem.dev/e2e-busybox:1'
const pause = 'tandem.dev/e2e-pause:1'

export interface Machine {
  root: string
  paths: StatePaths
  containerd: Containerd
  events: string[]
  /** Objects that the API has, by "resource/name". */
  api: Map<string, StoredObject>
  options(): PodsOptions
  close(): Promise<void>
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

async function tarOf(
  entries: { name: string; body?: Buffer; linkname?: string; mode?: number; directory?: boolean }[],
): Promise<Buffer> {
  const tar = pack()
  for (const { name, body, linkname, mode = 0o755, directory } of entries) {
    const type = directory ? 'directory' : linkname ? 'symlink' : 'file'
    if (body) tar.entry({ name, mode, type, mtime: new Date(0) }, body)
    else tar.entry({ name, mode, type, linkname, mtime: new Date(0) })
  }
  tar.finalize()
  return await buffer(tar)
}

/** A docker-archive with one layer: busybox and its applets. */
async function archive(name: string, config: object): Promise<Buffer> {
  const program = await readFile('/bin/busybox')
  const applets = (await run(['/bin/busybox', '--list'])).stdout
    .trim()
    .split('\n')
    .filter((applet) => applet !== 'busybox')
  const layer = await tarOf([
    ...['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'var'].map((dir) => ({
      name: dir,
      directory: true,
      mode: dir === 'tmp' ? 0o1777 : 0o755,
    })),
    { name: 'bin/busybox', body: program },
    ...applets.map((applet) => ({ name: `bin/${applet}`, linkname: 'busybox' })),
    {
      name: 'etc/passwd',
      body: Buffer.from('root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n'),
      mode: 0o644,
    },
  ])
  const image = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config,
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    }),
  )
  const manifest = [{ Config: `${sha256(image)}.json`, RepoTags: [name], Layers: ['layer.tar'] }]
  return await tarOf([
    { name: `${sha256(image)}.json`, body: image, mode: 0o644 },
    { name: 'layer.tar', body: layer, mode: 0o644 },
    { name: 'manifest.json', body: Buffer.from(JSON.stringify(manifest)), mode: 0o644 },
  ])
}

async function importImages(machine: StatePaths): Promise<void> {
  const env = ['PATH=/bin']
  for (const [name, config] of [
    [busybox, { Env: env, Cmd: ['sh'] }],
    [pause, { Env: env, Entrypoint: ['/bin/busybox', 'sleep', '2147483647'] }],
  ] as const) {
    const file = join(machine.root, 'image.tar')
    await writeFile(file, await archive(name, config))
    await run(['ctr', '--address', machine.containerd.socket, '--namespace', 'k8s.io', 'images', 'import', file])
    await rm(file)
  }
}

function imagesOn(containerd: Containerd): Images {
  const convert = (image: { id: string; repoTags: string[]; repoDigests: string[]; size: number }): Image => ({
    id: image.id,
    repoTags: image.repoTags,
    repoDigests: image.repoDigests,
    sizeBytes: image.size,
  })
  const find: Images['find'] = async (name) => {
    const { image } = await containerd.cri.imageStatus({ image: { image: name } })
    return image && convert(image)
  }
  const never = async (): Promise<never> => {
    throw new Error('not part of this test')
  }
  return {
    find,
    list: async () => (await containerd.cri.listImages({})).images.map(convert),
    async pull(name) {
      throw new ImageError('ErrImagePull', `no registry here has ${name}`)
    },
    remove: never,
    load: never,
    containerDisk: never,
    fileOf: never,
  }
}

function volumesIn(paths: StatePaths): Volumes {
  const directory = (uid: string, name: string) => join(paths.pods, uid, 'volumes', name)
  return {
    async start() {},
    async mount(pod, volume) {
      const { path } = (volume.hostPath ?? {}) as { path?: string }
      if (path) return { name: volume.name, path, readOnly: false }
      const made = directory(pod.metadata.uid, volume.name)
      await mkdir(made, { recursive: true })
      await chmod(made, 0o777)
      return { name: volume.name, path: made, readOnly: false }
    },
    async refresh() {},
    unmountAll: (uid) => rm(join(paths.pods, uid, 'volumes'), { recursive: true, force: true }),
    claimPath: async () => {
      throw new Error('not part of this test')
    },
  }
}

function clientOf(api: Machine['api']): Client {
  const client: Partial<Client> = {
    async get(ref, name) {
      const found = api.get(`${ref.resource}/${name}`)
      if (!found) throw notFound(ref.resource, name)
      return found as never
    },
    async list(ref) {
      const items = [...api].filter(([key]) => key.startsWith(`${ref.resource}/`)).map(([, object]) => object)
      return { apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: '1' }, items } as never
    },
  }
  return client as Client
}

export async function openMachine(root?: string): Promise<Machine> {
  const at = root ?? (await mkdtemp(join(tmpdir(), 'tandem-pods-')))
  const instance = instanceOf(at)
  const paths = statePaths(at, instance)
  const events: string[] = []
  const api: Machine['api'] = new Map()
  const containerd = createContainerd({ paths, sandboxImage: pause, cgroupParent: `/tandem-${instance}` })
  await mkdir(paths.cni.conf, { recursive: true })
  const octet = Number.parseInt(instance.slice(0, 2), 16)
  const subnet = `10.231.${octet}.0/24`
  const ipam = { type: 'host-local', dataDir: paths.cni.data, ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] }
  const list = {
    cniVersion: '1.0.0',
    name: `e2e-${instance}`,
    plugins: [{ type: 'ptp', mtu: 1500, ipMasq: false, ipam }],
  }
  await writeFile(paths.cni.podConfList, JSON.stringify(list))
  await containerd.start()
  if (!root) await importImages(paths)
  return {
    root: at,
    paths,
    containerd,
    events,
    api,
    options: () => ({
      paths,
      machineHandlers: new Set<string>(),
      containerd,
      client: clientOf(api),
      volumes: volumesIn(paths),
      images: imagesOn(containerd),
      network: {
        resolver: (namespace) => ({
          nameservers: ['10.96.0.10'],
          searches: [`${namespace}.svc.cluster.local`],
          options: ['ndots:5'],
        }),
        protect: async () => {},
        joinPod: async () => [],
        leavePod: async () => {},
        machineNamespace: () => undefined,
      },
      record: (object, type, reason, message) => events.push(`${object.metadata.name} ${type} ${reason} ${message}`),
      node: { name: 'e2e', addresses: ['192.0.2.1'], cpu: 2, memoryBytes: 2 ** 33 },
      clusterDomain: 'cluster.local',
      cgroupParent: `/tandem-${instance}`,
    }),
    async close() {
      await containerd.destroy()
      for (const left of [at, dirname(paths.containerd.socket)]) await rm(left, { recursive: true, force: true })
    },
  }
}

let counter = 0

export function podObject(spec: object, name = `pod-${++counter}`, extra: object = {}): StoredObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: `00000000-0000-4000-8000-${Buffer.from(name).toString('hex').slice(-12).padStart(12, '0')}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: new Date().toISOString(),
      ...extra,
    },
    spec: { restartPolicy: 'Always', terminationGracePeriodSeconds: 2, ...spec },
  }
}

export const shell = (script: string, more: object = {}) => ({
  name: 'main',
  image: busybox,
  command: ['sh', '-c', script],
  ...more,
})
