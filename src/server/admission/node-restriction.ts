// NodeRestriction: a node that speaks for itself (system:node:<name> in system:nodes) changes only itself, its Pods and
// what belongs to them (plugin/pkg/admission/noderestriction, 1.36).

import { notFound } from '../../api/errors.ts'
import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { copyJson, equalJson } from '../../api/walk/plain.ts'
import { forbiddenObject } from '../auth/authz.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'
import type { Lookup } from './lookup.ts'

const mirror = 'kubernetes.io/config.mirror'
const prefix = 'system:node:'

/** '' for a member of system:nodes that names no node; undefined for everybody else. */
const nodeOf = ({ name, groups }: UserInfo): string | undefined => {
  if (!groups.includes('system:nodes') || groups.includes('system:masters')) return undefined
  return name.startsWith(prefix) ? name.slice(prefix.length) : ''
}

type Rule = (node: string, request: AdmissionRequest, lookup: Lookup) => string | undefined

export const nodeRestriction = (lookup: Lookup): AdmissionPlugin => ({
  name: 'NodeRestriction',
  admit(request) {
    const node = nodeOf(request.user)
    if (node === undefined) return
    const { group, plural, groupResource } = request.resource
    const refuse = (text: string) => forbiddenObject(group, plural, request.name, text)
    if (node === '') throw refuse(`could not determine node from user ${JSON.stringify(request.user.name)}`)
    const problem = rules[groupResource]?.(node, request, lookup)
    if (problem) throw refuse(problem)
  },
})

const rules: Record<string, Rule> = {
  pods(node, request, lookup) {
    switch (request.subresource) {
      case '':
        return podProblem(node, request, lookup)
      case 'status':
        return podStatusProblem(node, request)
      case 'eviction':
        return ownPod(node, request, lookup)
          ? undefined
          : `node ${node} can only evict pods with spec.nodeName set to itself`
      default:
        return `unexpected pod subresource ${JSON.stringify(request.subresource)}, only 'status' and 'eviction' are allowed`
    }
  },
  nodes: nodeProblem,
  persistentvolumeclaims: claimProblem,
  serviceaccounts: tokenProblem,
  'leases.coordination.k8s.io': (node, { operation, namespace, name }) => {
    if (operation === 'CONNECT') return undefined
    if (namespace !== 'kube-node-lease') return `can only access leases in the "kube-node-lease" system namespace`
    return name === node ? undefined : 'can only access node lease with the same name as the requesting node'
  },
  'csinodes.storage.k8s.io': (node, { name }) =>
    name === node ? undefined : 'can only access CSINode with the same name as the requesting node',
}

function ownPod(node: string, { namespace, name, old }: AdmissionRequest, lookup: Lookup): boolean {
  const pod = old ?? lookup.get('', 'pods', namespace, name)
  if (!pod) throw notFound('pods', name)
  return pod.spec?.nodeName === node
}

function podProblem(node: string, request: AdmissionRequest, lookup: Lookup): string | undefined {
  const who = JSON.stringify(node)
  if (request.operation === 'DELETE')
    return ownPod(node, request, lookup)
      ? undefined
      : `node ${who} can only delete pods with spec.nodeName set to itself`
  if (request.operation !== 'CREATE')
    return `unexpected operation ${JSON.stringify(request.operation)}, node ${who} can only create and delete mirror pods`
  const { metadata, spec = {} } = request.object!
  if (metadata.annotations?.[mirror] === undefined)
    return `pod does not have "${mirror}" annotation, node ${who} can only create mirror pods`
  if (spec.nodeName !== node) return `node ${who} can only create pods with spec.nodeName set to itself`
  return ownerProblem(node, request.object!, lookup) ?? referenceProblem(who, spec)
}

function ownerProblem(node: string, { metadata }: ApiObject, lookup: Lookup): string | undefined {
  const who = JSON.stringify(node)
  const [owner, ...others] = metadata.ownerReferences ?? []
  if (others.length > 0) return `node ${who} can only create pods with a single owner reference set to itself`
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)
    return `node ${who} can only create pods with an owner reference set to itself`
  if (!owner.controller) return `node ${who} can only create pods with a controller owner reference set to itself`
  if (owner.blockOwnerDeletion) return `node ${who} must not set blockOwnerDeletion on an owner reference`
  const uid = lookup.get('', 'nodes', '', node)?.metadata.uid
  if (uid === undefined) throw notFound('nodes', node)
  return owner.uid === uid ? undefined : `node ${node} UID mismatch: expected ${owner.uid} got ${uid}`
}

/** A mirror Pod is no way to objects that the node may not see. */
function referenceProblem(who: string, spec: any): string | undefined {
  const refers = (what: string) => `node ${who} can not create pods that reference ${what}`
  if (spec.serviceAccountName) return refers('serviceaccounts')
  const text = JSON.stringify([spec.volumes, spec.containers, spec.initContainers, spec.imagePullSecrets])
  if (/"(secret|secretRef|secretKeyRef|secretName)":/.test(text) || spec.imagePullSecrets?.length)
    return refers('secrets')
  if (/"(configMap|configMapRef|configMapKeyRef)":/.test(text)) return refers('configmaps')
  if (/"persistentVolumeClaim":/.test(text)) return refers('persistentvolumeclaims')
  return undefined
}

function podStatusProblem(node: string, { operation, object, old }: AdmissionRequest): string | undefined {
  const who = JSON.stringify(node)
  if (operation !== 'UPDATE') return `unexpected operation ${JSON.stringify(operation)}`
  if (old!.spec?.nodeName !== node)
    return `node ${who} can only update pod status for pods with spec.nodeName set to itself`
  if (!equalJson(old!.metadata.labels ?? {}, object!.metadata.labels ?? {}))
    return `node ${who} cannot update labels through pod status`
  if (!equalJson(old!.status?.resourceClaimStatuses ?? [], object!.status?.resourceClaimStatuses ?? []))
    return `node ${who} cannot update resource claim statues`
  return undefined
}

/** Labels below kubernetes.io that a kubelet says of itself. */
const kubeletLabels = new Set([
  ...['kubernetes.io/hostname', 'kubernetes.io/arch', 'kubernetes.io/os', 'node.kubernetes.io/instance-type'],
  ...[
    'topology.kubernetes.io/zone',
    'topology.kubernetes.io/region',
    'beta.kubernetes.io/arch',
    'beta.kubernetes.io/os',
  ],
  ...['beta.kubernetes.io/instance-type', 'failure-domain.beta.kubernetes.io/zone'],
  ...['failure-domain.beta.kubernetes.io/region', 'node.kubernetes.io/windows-build'],
])
const kubeletDomains = ['kubelet.kubernetes.io', 'node.kubernetes.io']

const within = (domain: string, of: string): boolean => domain === of || domain.endsWith(`.${of}`)

function isForbiddenLabel(key: string): boolean {
  const domain = key.includes('/') ? key.slice(0, key.indexOf('/')) : ''
  if (within(domain, 'node-restriction.kubernetes.io')) return true
  if (!within(domain, 'kubernetes.io') && !within(domain, 'k8s.io')) return false
  return !kubeletLabels.has(key) && !kubeletDomains.some((one) => within(domain, one))
}

function changedLabels(after: Record<string, string> = {}, before: Record<string, string> = {}): string[] {
  const keys = new Set([...Object.keys(after), ...Object.keys(before)])
  return [...keys].filter((key) => after[key] !== before[key]).sort()
}

function nodeProblem(node: string, { operation, name, object, old }: AdmissionRequest): string | undefined {
  const who = JSON.stringify(node)
  if (name !== node) return `node ${who} is not allowed to modify node ${JSON.stringify(name)}`
  if (operation !== 'CREATE' && operation !== 'UPDATE') return undefined
  const forbidden = changedLabels(object!.metadata.labels, old?.metadata.labels).filter(isForbiddenLabel)
  if (operation === 'CREATE')
    return forbidden.length > 0
      ? `node ${who} is not allowed to set the following labels: ${forbidden.join(', ')}`
      : undefined
  if (!equalJson(object!.spec?.taints ?? [], old!.spec?.taints ?? []))
    return `node ${who} is not allowed to modify taints`
  if (!equalJson(object!.metadata.ownerReferences ?? [], old!.metadata.ownerReferences ?? []))
    return `node ${who} is not allowed to modify ownerReferences`
  return forbidden.length > 0 ? `is not allowed to modify labels: ${forbidden.join(', ')}` : undefined
}

const ofVolume = ['capacity', 'conditions', 'allocatedResourceStatuses', 'allocatedResources']

function claimProblem(node: string, { subresource, operation, object, old }: AdmissionRequest): string | undefined {
  if (subresource !== 'status') return 'may only update PVC status'
  if (operation !== 'UPDATE') return `unexpected operation ${JSON.stringify(operation)}`
  const rest = (claim: ApiObject) => {
    const { status, ...copy } = copyJson(claim)
    delete copy.metadata.resourceVersion
    delete copy.metadata.managedFields
    return { ...copy, status: Object.entries(status ?? {}).filter(([field]) => !ofVolume.includes(field)) }
  }
  return equalJson(rest(object!), rest(old!))
    ? undefined
    : `node ${JSON.stringify(node)} is not allowed to update fields other than status.quantity and status.conditions`
}

function tokenProblem(node: string, request: AdmissionRequest, lookup: Lookup): string | undefined {
  const { operation, subresource, namespace, object } = request
  if (operation !== 'CREATE' || subresource !== 'token') return undefined
  const ref = object!.spec?.boundObjectRef
  if (ref?.apiVersion !== 'v1' || ref.kind !== 'Pod' || !ref.name) return 'node requested token not bound to a pod'
  if (!ref.uid) return 'node requested token with a pod binding without a uid'
  const pod = lookup.get('', 'pods', namespace, ref.name)
  if (!pod) throw notFound('pods', ref.name)
  if (pod.metadata.uid !== ref.uid)
    return `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`
  return pod.spec?.nodeName === node ? undefined : 'node requested token bound to a pod scheduled on a different node'
}
