// The priority levels and flow schemas that every cluster has (apiserver/pkg/apis/flowcontrol/bootstrap, 1.36).

import type { ApiObject } from '../../api/meta.ts'

const group = 'flowcontrol.apiserver.k8s.io/v1'
/** Says that the specs below hold as long as nobody sets it to false. */
export const autoUpdate = 'apf.kubernetes.io/autoupdate-spec'

const level = (name: string, spec: object): ApiObject => ({
  apiVersion: group,
  kind: 'PriorityLevelConfiguration',
  metadata: { name, annotations: { [autoUpdate]: 'true' } },
  spec,
})

const queued = (name: string, shares: number, lendablePercent: number, queues: number, handSize: number): ApiObject =>
  level(name, {
    type: 'Limited',
    limited: {
      nominalConcurrencyShares: shares,
      lendablePercent,
      limitResponse: { type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 50 } },
    },
  })

const subjects = (kind: 'Group' | 'User', ...names: string[]) =>
  names.map((name) => ({ kind, [kind.toLowerCase()]: { name } }))
const systemAccounts = { kind: 'ServiceAccount', serviceAccount: { name: '*', namespace: 'kube-system' } }
const everybody = subjects('Group', 'system:unauthenticated', 'system:authenticated')

const resources = (verbs: string[], apiGroups: string[], names: string[], clusterScope = true) => ({
  verbs,
  apiGroups,
  resources: names,
  ...(clusterScope && { clusterScope }),
  namespaces: ['*'],
})
const everything = {
  resourceRules: [resources(['*'], ['*'], ['*'])],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
}

const schema = (
  name: string,
  priorityLevel: string,
  matchingPrecedence: number,
  distinguisher: 'ByUser' | 'ByNamespace' | '',
  rule: object,
): ApiObject => ({
  apiVersion: group,
  kind: 'FlowSchema',
  metadata: { name, annotations: { [autoUpdate]: 'true' } },
  spec: {
    priorityLevelConfiguration: { name: priorityLevel },
    matchingPrecedence,
    ...(distinguisher && { distinguisherMethod: { type: distinguisher } }),
    rules: [rule],
  },
})

export const mandatoryLevels: ApiObject[] = [
  level('exempt', { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } }),
  level('catch-all', {
    type: 'Limited',
    limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } },
  }),
]

export const suggestedLevels: ApiObject[] = [
  queued('system', 30, 33, 64, 6),
  queued('node-high', 40, 25, 64, 6),
  queued('leader-election', 10, 0, 16, 4),
  queued('workload-high', 40, 50, 128, 6),
  queued('workload-low', 100, 90, 128, 6),
  queued('global-default', 20, 50, 128, 6),
]

export const mandatorySchemas: ApiObject[] = [
  schema('exempt', 'exempt', 1, '', { subjects: subjects('Group', 'system:masters'), ...everything }),
  schema('catch-all', 'catch-all', 10000, 'ByUser', { subjects: everybody, ...everything }),
]

const nodes = subjects('Group', 'system:nodes')
const leases = (verbs: string[]) => resources(verbs, ['coordination.k8s.io'], ['leases'], false)

export const suggestedSchemas: ApiObject[] = [
  schema('system-nodes', 'system', 500, 'ByUser', { subjects: nodes, ...everything }),
  schema('system-node-high', 'node-high', 400, 'ByUser', {
    subjects: nodes,
    resourceRules: [resources(['*'], [''], ['nodes', 'nodes/status']), leases(['*'])],
  }),
  schema('probes', 'exempt', 2, '', {
    subjects: everybody,
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
  }),
  schema('system-leader-election', 'leader-election', 100, 'ByUser', {
    subjects: [...subjects('User', 'system:kube-controller-manager', 'system:kube-scheduler'), systemAccounts],
    resourceRules: [leases(['get', 'create', 'update'])],
  }),
  schema('kube-controller-manager', 'workload-high', 800, 'ByNamespace', {
    subjects: subjects('User', 'system:kube-controller-manager'),
    ...everything,
  }),
  schema('kube-scheduler', 'workload-high', 800, 'ByNamespace', {
    subjects: subjects('User', 'system:kube-scheduler'),
    ...everything,
  }),
  schema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', {
    subjects: [systemAccounts],
    ...everything,
  }),
  schema('service-accounts', 'workload-low', 9000, 'ByUser', {
    subjects: subjects('Group', 'system:serviceaccounts'),
    ...everything,
  }),
  schema('global-default', 'global-default', 9900, 'ByUser', { subjects: everybody, ...everything }),
]
