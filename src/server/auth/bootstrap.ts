// The roles and bindings that exist from the first start: upstream's (bootstrap-policy.json; names and rules of
// plugin/pkg/auth/authorizer/rbac/bootstrappolicy, 1.36), and KubeVirt's and CDI's, which join admin, edit and view by
// their labels.

import type { ApiObject } from '../../api/meta.ts'
import { aggregatedRules } from '../../kinds/rbac/aggregation.ts'
import type { PolicyRule } from './authz.ts'
import policy from './bootstrap-policy.json' with { type: 'json' }

export interface BootstrapObject {
  plural: 'clusterroles' | 'clusterrolebindings' | 'roles' | 'rolebindings'
  object: ApiObject
  /** What is put back at each start; the rules of an aggregated role are its controller's. */
  owned: string[]
}

interface CompactRule {
  verbs: string
  groups?: string
  resources?: string
  names?: string
  urls?: string
}

const group = 'rbac.authorization.k8s.io'

const wordsOf = (text: string): string[] => text.split(' ')

function ruleOf({ verbs, groups, resources, names, urls }: CompactRule): PolicyRule {
  if (urls !== undefined) return { verbs: wordsOf(verbs), nonResourceURLs: wordsOf(urls) }
  return {
    verbs: wordsOf(verbs),
    apiGroups: wordsOf(groups ?? '').map((name) => (name === 'core' ? '' : name)),
    resources: wordsOf(resources ?? ''),
    ...(names !== undefined && { resourceNames: wordsOf(names) }),
  }
}

const readWrite = 'create delete deletecollection get list patch update watch'
const machines = 'virtualmachines virtualmachineinstances virtualmachineinstancereplicasets'
const types = 'virtualmachineinstancetypes virtualmachinepreferences'
const clusterTypes = 'virtualmachineclusterinstancetypes virtualmachineclusterpreferences'
const seen = (names: string): CompactRule => ({ verbs: 'get', groups: 'subresources.kubevirt.io', resources: names })

const viewMachines: CompactRule[] = [
  { verbs: 'get list watch', groups: 'kubevirt.io', resources: machines },
  { verbs: 'get list watch', groups: 'instancetype.kubevirt.io', resources: `${types} ${clusterTypes}` },
  { verbs: 'get list watch', groups: 'pool.kubevirt.io', resources: 'virtualmachinepools' },
  seen(
    'virtualmachineinstances/guestosinfo virtualmachineinstances/filesystemlist virtualmachineinstances/userlist virtualmachineinstances/objectgraph virtualmachines/objectgraph',
  ),
]

const editMachines: CompactRule[] = [
  { verbs: readWrite, groups: 'kubevirt.io', resources: machines },
  { verbs: readWrite, groups: 'instancetype.kubevirt.io', resources: types },
  { verbs: readWrite, groups: 'pool.kubevirt.io', resources: 'virtualmachinepools virtualmachinepools/scale' },
  seen(
    'virtualmachineinstances/console virtualmachineinstances/vnc virtualmachineinstances/vnc/screenshot virtualmachineinstances/portforward virtualmachineinstances/usbredir virtualmachines/portforward virtualmachines/expand-spec',
  ),
  {
    verbs: 'update',
    groups: 'subresources.kubevirt.io',
    resources: [
      'expand-vm-spec',
      ...['start', 'stop', 'restart', 'addvolume', 'removevolume'].map((name) => `virtualmachines/${name}`),
      ...['pause', 'unpause', 'softreboot', 'reset', 'freeze', 'unfreeze', 'addvolume', 'removevolume'].map(
        (name) => `virtualmachineinstances/${name}`,
      ),
    ].join(' '),
  },
]

const images = 'datavolumes datasources dataimportcrons'
const viewImages: CompactRule[] = [{ verbs: 'get list watch', groups: 'cdi.kubevirt.io', resources: images }]
const editImages: CompactRule[] = [{ verbs: readWrite, groups: 'cdi.kubevirt.io', resources: images }]

const snapshots = { groups: 'snapshot.storage.k8s.io', resources: 'volumesnapshots' }

/**
 * KubeVirt's and CDI's public roles, by the names that their manuals tell people to bind; and who may take snapshots of the
 * claims that he has, for which upstream leaves the roles to whoever installs it.
 */
const ownRoles: Record<string, { rules: CompactRule[]; joins?: string }> = {
  'kubevirt.io:default': {
    rules: [
      { verbs: 'get list', groups: 'subresources.kubevirt.io', resources: 'version guestfs' },
      { verbs: 'get', urls: '/apis/subresources.kubevirt.io /apis/subresources.kubevirt.io/*' },
    ],
  },
  'kubevirt.io:view': { rules: viewMachines, joins: 'view' },
  'kubevirt.io:edit': { rules: [...viewMachines, ...editMachines], joins: 'edit' },
  'kubevirt.io:admin': { rules: [...viewMachines, ...editMachines], joins: 'admin' },
  'cdi.kubevirt.io:view': { rules: viewImages, joins: 'view' },
  'cdi.kubevirt.io:edit': { rules: editImages, joins: 'edit' },
  'cdi.kubevirt.io:admin': { rules: editImages, joins: 'admin' },
  'volumesnapshots:view': { rules: [{ verbs: 'get list watch', ...snapshots }], joins: 'view' },
  'volumesnapshots:edit': { rules: [{ verbs: readWrite, ...snapshots }], joins: 'edit' },
  'volumesnapshots:admin': { rules: [{ verbs: readWrite, ...snapshots }], joins: 'admin' },
}

const aggregateLabel = (name: string): string => `rbac.authorization.k8s.io/aggregate-to-${name}`

const make = (kind: string, name: string, fields: object, namespace = '', joins = ''): ApiObject => ({
  apiVersion: `${group}/v1`,
  kind,
  metadata: {
    name,
    ...(namespace && { namespace }),
    labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...(joins && { [aggregateLabel(joins)]: 'true' }) },
    annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  },
  ...fields,
})

/** view is a part of edit and edit of admin. */
const aggregated: Record<string, string> = { view: 'edit', edit: 'admin', admin: '' }

function clusterRoles(): ApiObject[] {
  const plain = [
    ...Object.entries(policy.clusterRoles as Record<string, CompactRule[]>),
    ...Object.entries(policy.controllerRoles as Record<string, CompactRule[]>).map(
      ([name, rules]) => [`system:controller:${name}`, rules] as const,
    ),
  ].map(([name, rules]) => {
    const joins = /^system:aggregate-to-(.+)$/.exec(name)?.[1] ?? ''
    return make('ClusterRole', name, { rules: rules.map(ruleOf) }, '', joins)
  })
  const own = Object.entries(ownRoles).map(([name, { rules, joins }]) =>
    make('ClusterRole', name, { rules: rules.map(ruleOf) }, '', joins),
  )
  const all = [...plain, ...own]
  for (const [name, joins] of Object.entries(aggregated)) {
    const clusterRoleSelectors = [{ matchLabels: { [aggregateLabel(name)]: 'true' } }]
    const role = make('ClusterRole', name, { aggregationRule: { clusterRoleSelectors }, rules: [] }, '', joins)
    role.rules = aggregatedRules(role, all)
    all.push(role)
  }
  return all
}

/** 'group system:masters', 'user system:kube-scheduler', 'account kube-system/kube-dns'. */
function subjectOf(text: string): object {
  const [kind = '', name = ''] = text.split(' ')
  if (kind !== 'account') return { apiGroup: group, kind: kind === 'user' ? 'User' : 'Group', name }
  const [namespace, account] = name.split('/')
  return { kind: 'ServiceAccount', name: account, namespace }
}

const binding = (kind: 'Role' | 'ClusterRole', name: string, role: string, to: string[], namespace = ''): ApiObject =>
  make(
    `${kind}Binding`,
    name,
    {
      roleRef: { apiGroup: group, kind, name: role },
      ...(to.length > 0 && { subjects: to.map(subjectOf) }),
    },
    namespace,
  )

interface Binding {
  role?: string
  to: string[]
}

const splitName = (key: string): [namespace: string, name: string] => {
  const slash = key.indexOf('/')
  return [key.slice(0, slash), key.slice(slash + 1)]
}

export function bootstrapObjects(): BootstrapObject[] {
  const clusterBindings: [string, Binding][] = [
    ...Object.entries(policy.clusterRoleBindings as Record<string, Binding>),
    ...Object.keys(policy.controllerRoles).map((name): [string, Binding] => [
      `system:controller:${name}`,
      { to: [`account kube-system/${name}`] },
    ]),
    ['kubevirt.io:default', { to: ['group system:authenticated', 'group system:unauthenticated'] }],
  ]
  const bindingFields = ['roleRef', 'subjects']
  return [
    ...clusterRoles().map((object) => ({
      plural: 'clusterroles' as const,
      object,
      owned: [object.aggregationRule ? 'aggregationRule' : 'rules'],
    })),
    ...clusterBindings.map(([name, { role = name, to }]) => ({
      plural: 'clusterrolebindings' as const,
      object: binding('ClusterRole', name, role, to),
      owned: bindingFields,
    })),
    ...Object.entries(policy.roles as Record<string, CompactRule[]>).map(([key, rules]) => {
      const [namespace, name] = splitName(key)
      return {
        plural: 'roles' as const,
        object: make('Role', name, { rules: rules.map(ruleOf) }, namespace),
        owned: ['rules'],
      }
    }),
    ...Object.entries(policy.roleBindings as Record<string, Binding>).map(([key, { role, to }]) => {
      const [namespace, name] = splitName(key)
      return {
        plural: 'rolebindings' as const,
        object: binding('Role', name, role ?? name, to, namespace),
        owned: bindingFields,
      }
    }),
  ]
}
