// The roles and bindings that exist from the first start (plugin/pkg/auth/authorizer/rbac/bootstrappolicy, 1.36), for the
// resources that Tandem serves, and KubeVirt's and CDI's parts of admin, edit and view.

import type { PolicyRule } from './authz.ts'

export interface BootstrapObject {
  plural: 'clusterroles' | 'clusterrolebindings'
  object: Record<string, unknown> & { metadata: { name: string } }
}

const rbac = 'rbac.authorization.k8s.io'
const read = ['get', 'list', 'watch']
const readWrite = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const write = ['create', 'delete', 'deletecollection', 'patch', 'update']

const rule = (apiGroups: string[], resources: string[], verbs: string[]): PolicyRule => ({
  verbs,
  apiGroups,
  resources,
})
const urls = (nonResourceURLs: string[], verbs = ['get']): PolicyRule => ({ verbs, nonResourceURLs })

const viewRules: PolicyRule[] = [
  rule(
    [''],
    [
      'configmaps',
      'endpoints',
      'persistentvolumeclaims',
      'persistentvolumeclaims/status',
      'pods',
      'pods/log',
      'pods/status',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'replicationcontrollers/status',
      'serviceaccounts',
      'services',
      'services/status',
      'bindings',
      'events',
      'limitranges',
      'namespaces',
      'namespaces/status',
      'resourcequotas',
      'resourcequotas/status',
    ],
    read,
  ),
  rule(['discovery.k8s.io'], ['endpointslices'], read),
  rule(
    ['apps'],
    ['controllerrevisions', 'daemonsets', 'deployments', 'replicasets', 'statefulsets'].flatMap(withStatusAndScale),
    read,
  ),
  rule(['autoscaling'], ['horizontalpodautoscalers', 'horizontalpodautoscalers/status'], read),
  rule(['batch'], ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'], read),
  rule(['policy'], ['poddisruptionbudgets', 'poddisruptionbudgets/status'], read),
  rule(['networking.k8s.io'], ['ingresses', 'ingresses/status', 'networkpolicies'], read),
  rule(['kubevirt.io'], ['virtualmachines', 'virtualmachineinstances', 'virtualmachineinstancereplicasets'], read),
  rule(
    ['subresources.kubevirt.io'],
    [
      'virtualmachineinstances/guestosinfo',
      'virtualmachineinstances/filesystemlist',
      'virtualmachineinstances/userlist',
    ],
    ['get'],
  ),
  rule(['cdi.kubevirt.io'], ['datavolumes', 'datasources', 'dataimportcrons'], read),
  rule(['metrics.k8s.io'], ['pods', 'nodes'], read),
]

const editRules: PolicyRule[] = [
  rule([''], ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'], read),
  rule([''], ['serviceaccounts'], ['impersonate']),
  rule([''], ['pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'], write),
  rule([''], ['pods/eviction', 'serviceaccounts/token'], ['create']),
  rule(
    [''],
    [
      'configmaps',
      'events',
      'persistentvolumeclaims',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'secrets',
      'serviceaccounts',
      'services',
      'services/proxy',
    ],
    write,
  ),
  rule(
    ['apps'],
    ['daemonsets', 'deployments', 'deployments/rollback', 'deployments/scale', 'replicasets', 'replicasets/scale'],
    write,
  ),
  rule(['apps'], ['statefulsets', 'statefulsets/scale'], write),
  rule(['autoscaling'], ['horizontalpodautoscalers'], write),
  rule(['batch'], ['cronjobs', 'jobs'], write),
  rule(['policy'], ['poddisruptionbudgets'], write),
  rule(['networking.k8s.io'], ['ingresses', 'networkpolicies'], write),
  rule(['coordination.k8s.io'], ['leases'], readWrite),
  rule(['kubevirt.io'], ['virtualmachines', 'virtualmachineinstances', 'virtualmachineinstancereplicasets'], readWrite),
  rule(
    ['subresources.kubevirt.io'],
    [
      'virtualmachineinstances/console',
      'virtualmachineinstances/vnc',
      'virtualmachineinstances/vnc/screenshot',
      'virtualmachineinstances/portforward',
      'virtualmachines/portforward',
      'virtualmachines/expand-spec',
    ],
    ['get'],
  ),
  rule(
    ['subresources.kubevirt.io'],
    [
      ...['start', 'stop', 'restart', 'addvolume', 'removevolume'].map((name) => `virtualmachines/${name}`),
      ...['pause', 'unpause', 'softreboot', 'reset', 'freeze', 'unfreeze', 'addvolume', 'removevolume'].map(
        (name) => `virtualmachineinstances/${name}`,
      ),
    ],
    ['update'],
  ),
  rule(['cdi.kubevirt.io'], ['datavolumes', 'datasources', 'dataimportcrons'], readWrite),
]

const adminRules: PolicyRule[] = [
  rule(['authorization.k8s.io'], ['localsubjectaccessreviews'], ['create']),
  rule([rbac], ['rolebindings', 'roles'], readWrite),
]

function withStatusAndScale(plural: string): string[] {
  return plural === 'controllerrevisions' ? [plural] : [plural, `${plural}/scale`, `${plural}/status`]
}

const roles: Record<string, PolicyRule[]> = {
  'cluster-admin': [rule(['*'], ['*'], ['*']), urls(['*'], ['*'])],
  admin: [...viewRules, ...editRules, ...adminRules],
  edit: [...viewRules, ...editRules],
  view: viewRules,
  'system:discovery': [
    urls([
      '/api',
      '/api/*',
      '/apis',
      '/apis/*',
      '/healthz',
      '/livez',
      '/openapi',
      '/openapi/*',
      '/readyz',
      '/version',
      '/version/',
    ]),
  ],
  'system:public-info-viewer': [urls(['/healthz', '/livez', '/readyz', '/version', '/version/'])],
  'system:basic-user': [
    rule(['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
    rule(['authentication.k8s.io'], ['selfsubjectreviews'], ['create']),
  ],
  'system:service-account-issuer-discovery': [urls(['/.well-known/openid-configuration', '/openid/v1/jwks'])],
  'system:auth-delegator': [
    rule(['authentication.k8s.io'], ['tokenreviews'], ['create']),
    rule(['authorization.k8s.io'], ['subjectaccessreviews'], ['create']),
  ],
  'system:node': [
    rule([''], ['nodes'], ['create', ...read, 'update', 'patch', 'delete']),
    rule([''], ['nodes/status', 'pods/status'], ['update', 'patch']),
    rule([''], ['pods'], ['create', 'delete', ...read]),
    rule([''], ['pods/eviction', 'serviceaccounts/token'], ['create']),
    rule([''], ['configmaps', 'secrets', 'services', 'persistentvolumeclaims', 'persistentvolumes'], read),
    rule([''], ['events'], ['create', 'update', 'patch']),
    rule(['coordination.k8s.io'], ['leases'], ['create', 'get', 'update', 'patch', 'delete']),
    rule(['node.k8s.io'], ['runtimeclasses'], read),
    rule(['storage.k8s.io'], ['csidrivers', 'csinodes'], read),
  ],
  // KubeVirt's public roles, by the names that its manual tells people to bind.
  'kubevirt.io:default': [
    rule(['subresources.kubevirt.io'], ['version', 'guestfs'], ['get', 'list']),
    urls(['/apis/subresources.kubevirt.io', '/apis/subresources.kubevirt.io/*']),
  ],
  'kubevirt.io:view': viewRules.filter((one) => one.apiGroups?.some((name) => name.includes('kubevirt'))),
  'kubevirt.io:edit': [...viewRules, ...editRules].filter((one) =>
    one.apiGroups?.some((name) => name.includes('kubevirt')),
  ),
  'kubevirt.io:admin': [...viewRules, ...editRules].filter((one) =>
    one.apiGroups?.some((name) => name.includes('kubevirt')),
  ),
}

const bindings: Record<string, { role?: string; groups: string[] }> = {
  'cluster-admin': { groups: ['system:masters'] },
  'system:discovery': { groups: ['system:authenticated'] },
  'system:basic-user': { groups: ['system:authenticated'] },
  'system:public-info-viewer': { groups: ['system:authenticated', 'system:unauthenticated'] },
  'system:service-account-issuer-discovery': { groups: ['system:serviceaccounts'] },
  'kubevirt.io:default': { groups: ['system:authenticated', 'system:unauthenticated'] },
}

const metadata = (name: string) => ({
  name,
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
})

export function bootstrapObjects(): BootstrapObject[] {
  const result: BootstrapObject[] = []
  for (const [name, rules] of Object.entries(roles))
    result.push({
      plural: 'clusterroles',
      object: { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: metadata(name), rules },
    })
  for (const [name, { role = name, groups }] of Object.entries(bindings))
    result.push({
      plural: 'clusterrolebindings',
      object: {
        apiVersion: `${rbac}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: metadata(name),
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
        subjects: groups.map((group) => ({ apiGroup: rbac, kind: 'Group', name: group })),
      },
    })
  return result
}
