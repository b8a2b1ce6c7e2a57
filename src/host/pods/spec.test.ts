// Pods as CRI requests against golden files (UPDATE_GOLDEN=1 writes them anew), and what must be refused.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encode } from '../../wire/protobuf.ts'
import { containerdConfig } from './containerd-config.ts'
import { CreateContainerRequest, PodSandboxConfig } from './cri/messages.ts'
import { podOf } from './pod.fixture.ts'
import type { PodObject } from './pod.ts'
import { type ContainerInput, containerConfig, sandboxConfig } from './spec.ts'

const golden = join(import.meta.dirname, 'golden')

function matches(file: string, text: string): void {
  const path = join(golden, file)
  if (process.env.UPDATE_GOLDEN) {
    mkdirSync(golden, { recursive: true })
    writeFileSync(path, text)
  }
  assert.equal(text, readFileSync(path, 'utf8'), `${file} differs; UPDATE_GOLDEN=1 accepts it`)
}

const sandboxInput = {
  attempt: 0,
  resolver: { nameservers: ['10.96.0.10'], searches: ['shop.svc.cluster.local'], options: ['ndots:5'] },
  clusterDomain: 'cluster.local',
  cgroupParent: '/tandem-0000',
  logRoot: '/var/lib/tandem/pod-logs',
}
const input: ContainerInput = {
  restartCount: 2,
  image: 'sha256:1',
  imageUser: {},
  env: new Map([['PORT', '80']]),
  volumes: new Map([
    ['data', { path: '/volumes/data', readOnly: false }],
    ['config', { path: '/volumes/config', readOnly: true }],
  ]),
  subPaths: new Map([[1, '/sub/1']]),
  hostsFile: '/pods/etc-hosts',
  terminationMessageFile: '/pods/message',
  node: { name: 'n1', addresses: ['192.0.2.1'], cpu: 2, memoryBytes: 2 ** 30 },
}

const pods: Record<string, PodObject> = {
  plain: podOf(),
  everything: podOf(
    {
      hostname: 'front',
      subdomain: 'web',
      shareProcessNamespace: true,
      terminationGracePeriodSeconds: 5,
      securityContext: {
        runAsUser: 1000,
        runAsGroup: 1000,
        runAsNonRoot: true,
        fsGroup: 2000,
        supplementalGroups: [3000],
        sysctls: [{ name: 'net.core.somaxconn', value: '1024' }],
      },
      containers: [
        {
          name: 'main',
          image: 'nginx:1',
          command: ['serve', '--port=$(PORT)', '$$(PORT)'],
          args: ['$(NONE)'],
          workingDir: '/srv',
          stdin: true,
          tty: true,
          ports: [
            { containerPort: 80, hostPort: 8080, protocol: 'TCP' },
            { containerPort: 53, protocol: 'UDP' },
          ],
          resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { cpu: '1500m', memory: '512Mi' } },
          volumeMounts: [
            { name: 'data', mountPath: '/data', mountPropagation: 'HostToContainer' },
            { name: 'data', mountPath: '/sub', subPath: 'x', readOnly: true },
            { name: 'config', mountPath: '/etc/app' },
          ],
          terminationMessagePath: '/tmp/last',
          securityContext: {
            capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: false,
            seccompProfile: { type: 'Unconfined' },
          },
        },
      ],
    },
    { annotations: { note: 'kept' } },
  ),
  privileged: podOf({
    hostNetwork: true,
    hostPID: true,
    hostIPC: true,
    containers: [{ name: 'main', image: 'x', ports: [{ containerPort: 80 }], securityContext: { privileged: true } }],
  }),
}

for (const [name, pod] of Object.entries(pods))
  test(`CRI requests of "${name}"`, () => {
    const sandbox = sandboxConfig(pod, sandboxInput)
    const config = containerConfig(pod, pod.spec.containers[0]!, input)
    matches(`${name}.txt`, `${JSON.stringify({ sandbox, container: config }, null, 2)}\n`)
    // It must also be what the wire takes.
    assert.ok(encode(PodSandboxConfig, sandbox).length > 0)
    assert.ok(encode(CreateContainerRequest, { config, sandboxConfig: sandbox }).length > 0)
  })

test('the configuration of containerd', () => {
  const text = containerdConfig({
    root: '/var/lib/tandem/containerd',
    state: '/run/tandem-0000/containerd',
    socket: '/run/tandem-0000/containerd.sock',
    sandboxImage: 'tandem.dev/pause:1',
    cni: { confDir: '/var/lib/tandem/cni', binDir: '/usr/lib/cni' },
    registryDirs: ['/var/lib/tandem/registries', '/etc/containerd/certs.d'],
    runtimes: {
      runc: { type: 'io.containerd.runc.v2' },
      other: { type: 'x.v2', options: { BinaryName: '/x', Flag: true } },
    },
    layerFilter: { path: '/usr/bin/node', args: ['/opt/filter.ts', '/var/lib/tandem'], env: ['A=b'] },
  })
  matches('containerd.txt', text)
})

const user = (context: object, more: object = {}) =>
  containerConfig(
    podOf({ containers: [{ name: 'main', image: 'x', securityContext: context }] }),
    {
      name: 'main',
      image: 'x',
      securityContext: context,
    } as never,
    { ...input, ...more },
  )

test('users that must not be', () => {
  const refused: [object, object, RegExp][] = [
    [{ runAsNonRoot: true }, {}, /image will run as root/],
    [{ runAsNonRoot: true, runAsUser: 0 }, {}, /breaks non-root policy/],
    [{ runAsNonRoot: true }, { imageUser: { username: 'www' } }, /non-numeric user \(www\)/],
    [{}, { imageUser: { uid: 4294967296 } }, /out of range/],
    [{ runAsUser: -1 }, {}, /out of range/],
    [{ runAsUser: 2147483648 }, {}, /out of range/],
  ]
  for (const [context, more, message] of refused)
    assert.throws(() => user(context, more), { reason: 'CreateContainerConfigError', message })
  assert.deepEqual(user({ runAsNonRoot: true }, { imageUser: { uid: 33 } }).linux?.securityContext?.runAsUser, {
    value: 33,
  })
  assert.equal(user({}, { imageUser: { username: 'www' } }).linux?.securityContext?.runAsUsername, 'www')
  // containerd refuses a group without a user.
  assert.deepEqual(user({ runAsGroup: 5 }).linux?.securityContext?.runAsUser, { value: 0 })
})

test('a mount of a volume that the Pod does not have', () => {
  const container = { name: 'main', image: 'x', volumeMounts: [{ name: 'none', mountPath: '/x' }] }
  assert.throws(() => containerConfig(podOf(), container, input), /mounts volume "none"/)
})

test('labels of the user do not replace ours', () => {
  const pod = podOf({}, { labels: { 'io.kubernetes.pod.uid': 'forged' } })
  assert.equal(sandboxConfig(pod, sandboxInput).labels?.['io.kubernetes.pod.uid'], pod.metadata.uid)
})
