// What virtctl 1.9 sends, second half: vmexport (also through a forwarded port and with a service URL of one's own),
// objectgraph, usbredir, guestfs, adm and create vm, by their wire forms against a real Tandem.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type RequestOptions, request } from 'node:https'
import { after, before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import WebSocket from 'ws'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'
import { kubectlOf, start, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const token = 'ThisIsTheTokenOfTheTest'
const tokenHeader = { 'x-kubevirt-export-token': token }
const doors = '/apis/subresources.kubevirt.io/v1/namespaces/default'
const disk = randomBytes(2 * 1024 * 1024)

let tandem: TestTandem
let access: ReturnType<typeof accessFromKubeconfig>

interface Answer {
  status: number
  body: Buffer
}

/** As the administrator; `anonymous` has nothing to show but its headers. */
function ask(
  method: string,
  url: string,
  { body, anonymous = false, ...options }: RequestOptions & { body?: string | Buffer; anonymous?: boolean } = {},
): Promise<Answer> {
  const identity = anonymous ? {} : { cert: access.clientCertificate, key: access.clientKey }
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const headers = { ...length, ...options.headers }
  return new Promise((resolve, reject) => {
    const asked = request(
      new URL(url, access.server),
      { ca: access.ca, ...identity, timeout: 300_000, ...options, method, headers },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }))
        response.on('error', reject)
      },
    )
    asked.on('timeout', () => asked.destroy(new Error('not answered in time')))
    asked.on('error', reject)
    asked.end(body)
  })
}

const kubectlEnvironment = () => ({ ...process.env, KUBECONFIG: tandem.kubeconfig, HOME: tandem.stateDir })

const field = (what: string, path: string) => tandem.kubectl('get', what, '-o', `jsonpath=${path}`)

/** A claim with a disk in it, by the way of virtctl image-upload. */
async function upload(name: string): Promise<void> {
  await tandem.apply({
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataVolume',
    metadata: { name, annotations: { 'cdi.kubevirt.io/storage.bind.immediate.requested': '' } },
    spec: { source: { upload: {} }, storage: { resources: { requests: { storage: '8Mi' } } } },
  })
  const phase = () => field(`dv/${name}`, '{.status.phase}')
  await until('it waits for the upload', async () => (await phase()) === 'UploadReady')
  const asked = await ask('POST', '/apis/upload.cdi.kubevirt.io/v1beta1/namespaces/default/uploadtokenrequests', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'upload.cdi.kubevirt.io/v1beta1',
      kind: 'UploadTokenRequest',
      metadata: { name: 'token' },
      spec: { pvcName: name },
    }),
  })
  const { status } = JSON.parse(asked.body.toString())
  const headers = { authorization: `Bearer ${status.token}`, 'content-type': 'application/octet-stream' }
  const sent = await ask('POST', '/v1beta1/upload-async', { anonymous: true, headers, body: disk })
  assert.equal(sent.status, 200, sent.body.toString())
  await until('it is full', async () => (await phase()) === 'Succeeded')
}

async function offer(name: string, source: object): Promise<any> {
  await tandem.apply([
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: `secret-${name}` }, stringData: { token } },
    {
      apiVersion: 'export.kubevirt.io/v1',
      kind: 'VirtualMachineExport',
      metadata: { name },
      spec: { tokenSecretRef: `secret-${name}`, source, ttlDuration: '10m0s' },
    },
  ])
  await until(`${name} is ready`, async () => (await field(`vmexport/${name}`, '{.status.phase}')) === 'Ready')
  return JSON.parse(await field(`vmexport/${name}`, '{.status}'))
}

const urlOf = (links: any, format: string): string =>
  links.volumes[0].formats.find((one: any) => one.format === format).url

const holdsTheDisk = (data: Buffer) => assert.ok(data.subarray(0, disk.length).equals(disk), 'the bytes of the disk')

/** What virtctl create vm writes for a containerDisk and a disk of one's own, and USB for clients. */
const machine = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'vm' },
  spec: {
    runStrategy: 'Halted',
    template: {
      metadata: {},
      spec: {
        domain: { devices: { clientPassthrough: {} }, memory: { guest: '128Mi' }, resources: {} },
        terminationGracePeriodSeconds: 0,
        volumes: [
          { containerDisk: { image: 'tandem.dev/minimal-vm:1' }, name: 'vm-containerdisk-0' },
          { persistentVolumeClaim: { claimName: 'data' }, name: 'data' },
          { cloudInitNoCloud: { userData: '#cloud-config\nuser: alice' }, name: 'cloudinitdisk' },
        ],
      },
    },
  },
  status: {},
}

describe('virtctl, second half', () => {
  before(async () => {
    tandem = await startTandem({ images: ['minimal-vm', 'busybox'] })
    access = accessFromKubeconfig(readFileSync(tandem.kubeconfig, 'utf8'))
    await upload('data')
  })

  after(() => tandem?.close())

  test('vmexport download: a claim, by the external link, to whoever has the token', async () => {
    const { links } = await offer('disk', { apiGroup: '', kind: 'PersistentVolumeClaim', name: 'data' })
    const url = urlOf(links.external, 'gzip')
    const zipped = await ask('GET', url, { anonymous: true, ca: links.external.cert, headers: tokenHeader })
    assert.equal(zipped.status, 200)
    holdsTheDisk(gunzipSync(zipped.body))
    const wrong = { 'x-kubevirt-export-token': `${token}x` }
    assert.equal((await ask('GET', url, { anonymous: true, headers: wrong })).status, 401)
  })

  test('vmexport download --port-forward: by the Pod behind the Service of the export', async () => {
    const service = JSON.parse(await tandem.kubectl('get', 'service', 'virt-export-disk', '-o', 'json'))
    const selector = Object.entries(service.spec.selector).map(([key, value]) => `${key}=${value}`)
    const pods = JSON.parse(await tandem.kubectl('get', 'pods', '-l', selector.join(','), '-o', 'json'))
    assert.equal(pods.items.length, 1)
    const forward = start(
      kubectlOf('trixie'),
      ['port-forward', `pod/${pods.items[0].metadata.name}`, ':8443'],
      kubectlEnvironment(),
    )
    try {
      const port = () => /127\.0\.0\.1:(\d+)/.exec(forward.output)?.[1]
      await until('the port is forwarded', () => port() !== undefined || forward.ended)
      const at = `https://127.0.0.1:${port()}/volumes/data`
      const options = { anonymous: true, rejectUnauthorized: false, agent: false as const }
      const raw = await ask('GET', `${at}/disk.img`, { ...options, headers: tokenHeader })
      assert.equal(raw.status, 200)
      holdsTheDisk(raw.body)
      assert.equal((await ask('GET', `${at}/disk.img`, options)).status, 403)
    } finally {
      forward.child.kill()
    }
  })

  test('vmexport download --manifest --include-secret, with a service URL of one’s own', async () => {
    await tandem.apply(machine)
    const { links } = await offer('whole', { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'vm' })
    const kinds = links.internal.manifests.map(({ type }: any) => type)
    assert.deepEqual(kinds, ['all', 'auth-header-secret'])
    const texts: string[] = []
    for (const { url } of links.internal.manifests) {
      const headers = { 'x-kubevirt-export-token': token, accept: 'application/yaml' }
      const answer = await ask('GET', `${access.server}${new URL(url).pathname}`, { anonymous: true, headers })
      assert.equal(answer.status, 200, url)
      texts.push(answer.body.toString())
    }
    assert.match(texts[0]!, /kind: VirtualMachine\n[\s\S]*kind: DataVolume\n/)
    assert.match(texts[1]!, /x-kubevirt-export-token/)
    await tandem.kubectl('delete', 'vmexport', '--all')
  })

  test('guestfs: a Pod with the claim and a shell to attach to', async () => {
    await tandem.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'libguestfs-tools-data' },
      spec: {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 0,
        securityContext: {
          ...{ runAsNonRoot: false, runAsUser: 0, runAsGroup: 0, fsGroup: 0 },
          seccompProfile: { type: 'RuntimeDefault' },
        },
        volumes: [
          { name: 'volume', persistentVolumeClaim: { claimName: 'data', readOnly: false } },
          { name: 'libguestfs-tmp-dir', emptyDir: {} },
          { name: 'guestfs', emptyDir: {} },
        ],
        containers: [
          {
            name: 'libguestfs',
            image: 'tandem.dev/busybox:1',
            command: ['sh'],
            env: [{ name: 'LIBGUESTFS_BACKEND', value: 'direct' }],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            volumeMounts: [
              { name: 'libguestfs-tmp-dir', mountPath: '/tmp/guestfs' },
              { name: 'guestfs', mountPath: '/home/guestfs' },
              { name: 'volume', mountPath: '/disk' },
            ],
            workingDir: '/disk',
            stdin: true,
            tty: true,
          },
        ],
      },
    })
    await tandem.kubectl('wait', 'pod/libguestfs-tools-data', '--for=condition=Ready', '--timeout=300s')
    const attached = start(kubectlOf('trixie'), ['attach', '-i', 'libguestfs-tools-data'], kubectlEnvironment())
    try {
      attached.child.stdin.write('ls\n')
      await until('the shell shows the disk', () => attached.output.includes('disk.img') || attached.ended)
      assert.match(attached.output, /disk\.img/)
    } finally {
      attached.child.kill()
    }
    await tandem.kubectl('delete', 'pod', 'libguestfs-tools-data', '--wait')
  })

  test('adm log-verbosity: patched below the configuration, with the word that nobody hears it', async () => {
    const at = '/spec/configuration/developerConfiguration'
    const patch = [
      { op: 'add', path: at, value: {} },
      { op: 'add', path: `${at}/logVerbosity`, value: { virtAPI: 5 } },
    ]
    const argv = ['patch', 'kubevirt', 'kubevirt', '-n', 'kubevirt', '--type=json', '-p', JSON.stringify(patch)]
    const { code, stderr } = await tandem.tryKubectl(argv)
    assert.equal(code, 0, stderr)
    assert.match(stderr, /developerConfiguration\.logVerbosity has no effect/)
  })

  test('objectgraph: of the machine, with options in the body of the GET', async () => {
    await tandem.kubectl('patch', 'vm', 'vm', '--type=merge', '-p', '{"spec":{"runStrategy":"Always"}}')
    await until('it runs', async () => (await field('vm/vm', '{.status.printableStatus}')) === 'Running')
    const headers = { 'content-type': 'application/json' }
    const graph = async (options: object) => {
      const body = JSON.stringify(options)
      const answer = await ask('GET', `${doors}/virtualmachines/vm/objectgraph`, { headers, body })
      assert.equal(answer.status, 200)
      const { children } = JSON.parse(answer.body.toString())
      return children.map(({ objectReference }: any) => `${objectReference.kind}/${objectReference.name}`)
    }
    assert.deepEqual(await graph({}), ['VirtualMachineInstance/vm', 'PersistentVolumeClaim/data'])
    const matchLabels = { 'kubevirt.io/dependency-type': 'storage' }
    assert.deepEqual(await graph({ labelSelector: { matchLabels } }), ['PersistentVolumeClaim/data'])
  })

  test('usbredir: four clients at most; a device that one brings is plugged into the guest', async () => {
    const path = `${doors}/virtualmachineinstances/vm/usbredir`
    const clients: WebSocket[] = []
    const connect = () => {
      const identity = { ca: access.ca, cert: access.clientCertificate, key: access.clientKey }
      const socket = new WebSocket(`${access.server.replace(/^http/, 'ws')}${path}`, 'plain.kubevirt.io', identity)
      clients.push(socket)
      let seen = Buffer.alloc(0)
      socket.on('message', (data: Buffer) => {
        seen = Buffer.concat([seen, data])
      })
      const opened = new Promise<number>((resolve, reject) => {
        socket.on('open', () => resolve(101))
        socket.on('unexpected-response', (_, { statusCode }) => resolve(statusCode ?? 0))
        socket.on('error', reject)
      })
      return { socket, opened, seen: () => seen }
    }
    try {
      const [first, ...others] = [connect(), connect(), connect(), connect()]
      for (const one of [first!, ...others]) assert.equal(await one.opened, 101)
      assert.equal(await connect().opened, 503)
      await until('QEMU says hello', () => first!.seen().includes('qemu usb-redir guest'))
      first!.socket.send(deviceOf({ vendor: 0x1234, product: 0x5678 }))
      let resetAt = 0
      await until('the guest asks the device', async () => {
        // The firmware looks for USB devices when it begins; the device may come after it has looked.
        if (Date.now() - resetAt > firmwareMs) {
          assert.equal((await ask('PUT', `${doors}/virtualmachineinstances/vm/reset`)).status, 200)
          resetAt = Date.now()
        }
        return first!.seen().length > helloLength
      })
    } finally {
      for (const socket of clients) socket.terminate()
    }
    await until('a port is free again', async () => {
      const { socket, opened } = connect()
      const status = await opened
      socket.terminate()
      return status === 101
    })
  })
})

const helloLength = 12 + 68
/** The firmware has looked for devices by then. */
const firmwareMs = 15_000

/** A device without anything but its control endpoint, in the words of the usbredir protocol (0.7). */
function deviceOf({ vendor, product }: { vendor: number; product: number }): Buffer {
  const capabilities = (1 << 4) | (1 << 5) | (1 << 6)
  const hello = Buffer.alloc(helloLength)
  hello.writeUInt32LE(68, 4)
  hello.write('tandem test', 12)
  hello.writeUInt32LE(capabilities, 12 + 64)
  const packet = (type: number, body: Buffer) => {
    const head = Buffer.alloc(16)
    head.writeUInt32LE(type, 0)
    head.writeUInt32LE(body.length, 4)
    return Buffer.concat([head, body])
  }
  const endpoints = Buffer.alloc(32 * 5)
  endpoints.fill(255, 0, 32)
  for (const control of [0, 16]) {
    endpoints[control] = 0
    endpoints.writeUInt16LE(64, 96 + control * 2)
  }
  const interfaces = Buffer.alloc(4 + 4 * 32)
  interfaces.writeUInt32LE(1, 0)
  interfaces[4 + 32] = 3
  const connected = Buffer.alloc(8)
  connected[0] = 1
  connected.writeUInt16LE(vendor, 4)
  connected.writeUInt16LE(product, 6)
  return Buffer.concat([hello, packet(5, endpoints), packet(4, interfaces), packet(1, connected)])
}
