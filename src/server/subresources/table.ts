// Which subresources the built-in kinds have beside status and scale: for discovery and for finding the handler.

export interface SubresourceInfo {
  subresource: string
  kind: { group: string; version: string; kind: string }
  verbs: string[]
}

const pod = (kind: string) => ({ group: '', version: 'v1', kind })
const connect = ['create', 'get']
const anyMethod = ['create', 'delete', 'get', 'patch', 'update']

/** By groupResource. */
export const subresourceTable: Record<string, SubresourceInfo[]> = {
  pods: [
    { subresource: 'attach', kind: pod('PodAttachOptions'), verbs: connect },
    { subresource: 'binding', kind: pod('Binding'), verbs: ['create'] },
    { subresource: 'ephemeralcontainers', kind: pod('Pod'), verbs: ['get', 'patch', 'update'] },
    { subresource: 'eviction', kind: { group: 'policy', version: 'v1', kind: 'Eviction' }, verbs: ['create'] },
    { subresource: 'exec', kind: pod('PodExecOptions'), verbs: connect },
    { subresource: 'log', kind: pod('Pod'), verbs: ['get'] },
    { subresource: 'portforward', kind: pod('PodPortForwardOptions'), verbs: connect },
    { subresource: 'proxy', kind: pod('PodProxyOptions'), verbs: anyMethod },
    { subresource: 'resize', kind: pod('Pod'), verbs: ['get', 'patch', 'update'] },
  ],
  services: [{ subresource: 'proxy', kind: pod('ServiceProxyOptions'), verbs: anyMethod }],
  nodes: [{ subresource: 'proxy', kind: pod('NodeProxyOptions'), verbs: anyMethod }],
  serviceaccounts: [
    {
      subresource: 'token',
      kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
      verbs: ['create'],
    },
  ],
  namespaces: [{ subresource: 'finalize', kind: pod('Namespace'), verbs: ['update'] }],
  'certificatesigningrequests.certificates.k8s.io': [
    {
      subresource: 'approval',
      kind: { group: 'certificates.k8s.io', version: 'v1', kind: 'CertificateSigningRequest' },
      verbs: ['get', 'patch', 'update'],
    },
  ],
}

/** The groups that have subresources of other groups' objects and store nothing themselves. */
export const aggregatedGroup = 'subresources.kubevirt.io'
export const aggregatedVersions = ['v1', 'v1alpha3']

/** Paths of subresources.kubevirt.io and their verbs (virt-api pkg/virt-api/api.go, 1.9). */
export const kubevirtSubresources = new Map<string, 'get' | 'update'>([
  ...[
    'start',
    'stop',
    'restart',
    'migrate',
    'addvolume',
    'removevolume',
    'memorydump',
    'removememorydump',
    'hibernate',
    'resume',
  ].map((name) => [`virtualmachines/${name}`, 'update'] as const),
  ['virtualmachines/evacuate', 'update'],
  ['virtualmachineinstances/evacuate', 'update'],
  ['expand-vm-spec', 'update'],
  ...['expand-spec', 'objectgraph', 'portforward'].map((name) => [`virtualmachines/${name}`, 'get'] as const),
  ...['pause', 'unpause', 'softreboot', 'reset', 'freeze', 'unfreeze', 'addvolume', 'removevolume'].map(
    (name) => [`virtualmachineinstances/${name}`, 'update'] as const,
  ),
  ...['console', 'vnc', 'usbredir', 'portforward', 'guestosinfo', 'userlist', 'filesystemlist', 'objectgraph'].map(
    (name) => [`virtualmachineinstances/${name}`, 'get'] as const,
  ),
])
