// What a machine or an instance refers to, as a tree: the subresource objectgraph. Pure; order, labels and what is optional
// as in KubeVirt 1.9 (pkg/virt-api/rest/objectgraph.go).

import type { StoredObject } from '../../api/meta.ts'
import { type LabelMatcher, type LabelSelector, selectorMatcher } from '../../api/selector.ts'
import { kindIndex, type MatcherField, matcherFields, matcherOf } from '../../kinds/instancetype/matcher.ts'
import { launcherPod } from '../../kinds/kubevirt/launcher-pod.ts'

export interface GraphOptions {
  includeOptionalNodes?: boolean
  labelSelector?: LabelSelector
}

export interface GraphNode {
  objectReference: { apiGroup: string; kind: string; name: string; namespace: string }
  labels: Record<string, string>
  optional?: true
  children?: GraphNode[]
}

const dependencyLabel = 'kubevirt.io/dependency-type'
const compute = 'compute'
const config = 'config'
const storage = 'storage'
const network = 'network'

/** Group and dependency type of each kind that a machine can refer to. */
const known: Record<string, [group: string, type: string]> = {
  VirtualMachine: ['kubevirt.io', compute],
  VirtualMachineInstance: ['kubevirt.io', compute],
  VirtualMachineInstancetype: ['instancetype.kubevirt.io', config],
  VirtualMachineClusterInstancetype: ['instancetype.kubevirt.io', config],
  VirtualMachinePreference: ['instancetype.kubevirt.io', config],
  VirtualMachineClusterPreference: ['instancetype.kubevirt.io', config],
  DataVolume: ['cdi.kubevirt.io', storage],
  ControllerRevision: ['apps', config],
  ConfigMap: ['', config],
  PersistentVolumeClaim: ['', storage],
  ServiceAccount: ['', config],
  Secret: ['', config],
  Pod: ['', compute],
  NetworkAttachmentDefinition: ['k8s.cni.cncf.io', network],
}

interface More {
  children?: GraphNode[]
  optional?: boolean
}

function node(kind: string, namespace: string, name: string, { children, optional }: More = {}): GraphNode {
  const [apiGroup, type] = known[kind]!
  return {
    objectReference: { apiGroup, kind, name, namespace },
    labels: { [dependencyLabel]: type },
    ...(optional && { optional: true }),
    ...(children?.length && { children }),
  }
}

export function machineGraph(
  machine: StoredObject,
  instance: StoredObject | undefined,
  options: GraphOptions,
): GraphNode {
  const { name, namespace = '' } = machine.metadata
  const spec = machine.spec.template?.spec ?? {}
  const running = machine.status?.created
    ? [node('VirtualMachineInstance', namespace, name, { children: instance ? podOf(instance) : [] })]
    : []
  const types = matcherFields.flatMap((field) => typeNodes(machine, field, namespace))
  const children = [...running, ...types, ...partsOf(spec, namespace)]
  return node('VirtualMachine', namespace, name, { children: chosen(children, options) })
}

export function instanceGraph(instance: StoredObject, options: GraphOptions): GraphNode {
  const { name, namespace = '' } = instance.metadata
  const children = [...podOf(instance), ...partsOf(instance.spec, namespace)]
  return node('VirtualMachineInstance', namespace, name, { children: chosen(children, options) })
}

function podOf(instance: StoredObject): GraphNode[] {
  const pod = launcherPod(instance)
  return pod ? [node('Pod', pod.metadata.namespace ?? '', pod.metadata.name)] : []
}

function typeNodes(machine: StoredObject, field: MatcherField, namespace: string): GraphNode[] {
  const matcher = matcherOf(machine, field)
  const index = matcher?.name ? kindIndex(field, matcher.kind) : undefined
  if (!matcher?.name || index === undefined) return []
  const state = machine.status?.[field.statusField]
  const revision = state ? state.controllerRevisionRef?.name : matcher.revisionName
  return [
    node(field.kinds[index], index === 0 ? '' : namespace, matcher.name, { optional: true }),
    ...(revision ? [node('ControllerRevision', namespace, revision)] : []),
  ]
}

const partsOf = (spec: any, namespace: string): GraphNode[] => [
  ...(spec.accessCredentials ?? []).flatMap((one: any) => {
    const name = (one.sshPublicKey ?? one.userPassword)?.source?.secret?.secretName
    return name ? [node('Secret', namespace, name)] : []
  }),
  ...(spec.volumes ?? []).flatMap((volume: any) => volumeNodes(volume, namespace)),
  ...(spec.networks ?? []).flatMap((one: any) => networkNodes(one.multus?.networkName, namespace)),
]

function volumeNodes(volume: any, namespace: string): GraphNode[] {
  const { dataVolume, persistentVolumeClaim, configMap, secret, serviceAccount } = volume
  if (dataVolume) {
    const children = [node('PersistentVolumeClaim', namespace, dataVolume.name)]
    return [node('DataVolume', namespace, dataVolume.name, { children })]
  }
  if (persistentVolumeClaim) return [node('PersistentVolumeClaim', namespace, persistentVolumeClaim.claimName)]
  if (configMap) return [node('ConfigMap', namespace, configMap.name)]
  if (secret) return [node('Secret', namespace, secret.secretName)]
  if (serviceAccount) return [node('ServiceAccount', namespace, serviceAccount.serviceAccountName)]
  const cloudInit = volume.cloudInitNoCloud ?? volume.cloudInitConfigDrive ?? {}
  return [cloudInit.secretRef, cloudInit.networkDataSecretRef].flatMap((one) =>
    one?.name ? [node('Secret', namespace, one.name)] : [],
  )
}

/** Named with its namespace, or in the machine's. */
function networkNodes(networkName: string | undefined, namespace: string): GraphNode[] {
  if (!networkName) return []
  const parts = networkName.split('/')
  const [where, name] = parts.length === 2 ? [parts[0]!, parts[1]!] : [namespace, networkName]
  return [node('NetworkAttachmentDefinition', where, name, { optional: true })]
}

function chosen(nodes: GraphNode[], { includeOptionalNodes, labelSelector }: GraphOptions): GraphNode[] {
  const matcher: LabelMatcher | undefined = labelSelector && selectorMatcher(labelSelector)
  const choose = (some: GraphNode[]): GraphNode[] =>
    some.flatMap(({ children, ...one }) => {
      if (one.optional && includeOptionalNodes === false) return []
      if (matcher && !matcher.matches(one.labels)) return []
      const below = choose(children ?? [])
      return [{ ...one, ...(below.length && { children: below }) }]
    })
  return choose(nodes)
}
