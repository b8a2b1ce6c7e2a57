// Nodes: a new one takes no workloads before it is ready (TaintNodesByCondition), its place in the world goes to the Pods
// that it gets (PodTopologyLabels), and the Ingresses of a cluster have a default class (DefaultIngressClass). 1.36.

import type { StoredObject } from '../../api/meta.ts'
import { type AdmissionPlugin, isCore } from './admission.ts'
import type { Lookup } from './lookup.ts'

const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }

/** The node's controller takes the taint off when the node says that it is ready. */
export const taintNodes: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  resources: ['nodes'],
  admit(request) {
    if (request.operation !== 'CREATE' || !isCore(request, 'nodes')) return
    const object = request.object!
    const taints: { key: string; effect: string }[] = object.spec?.taints ?? []
    if (taints.some(({ key, effect }) => key === notReady.key && effect === notReady.effect)) return
    object.spec = { ...object.spec, taints: [...taints, { ...notReady }] }
  },
}

const topology = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region']

export const podTopology = (lookup: Lookup): AdmissionPlugin => ({
  name: 'PodTopologyLabels',
  resources: ['pods'],
  admit({ operation, resource, subresource, object, old }) {
    if (resource.groupResource !== 'pods' || (operation !== 'CREATE' && operation !== 'UPDATE')) return
    if (subresource !== '' && subresource !== 'binding') return
    const name = object!.spec?.nodeName
    if (!name || name === old?.spec?.nodeName) return
    const labels = lookup.get('', 'nodes', '', name)?.metadata.labels ?? {}
    const place = topology.flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]]))
    if (place.length > 0) object!.metadata.labels = { ...object!.metadata.labels, ...Object.fromEntries(place) }
  },
})

const classAnnotation = 'kubernetes.io/ingress.class'
const isDefault = 'ingressclass.kubernetes.io/is-default-class'

export const newestFirst = (a: StoredObject, b: StoredObject): number =>
  b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp) ||
  a.metadata.name.localeCompare(b.metadata.name)

export const defaultIngressClass = (lookup: Lookup): AdmissionPlugin => ({
  name: 'DefaultIngressClass',
  resources: ['ingresses.networking.k8s.io'],
  admit({ operation, resource, subresource, object }) {
    if (operation !== 'CREATE' || resource.groupResource !== 'ingresses.networking.k8s.io' || subresource) return
    const { spec, metadata } = object!
    if (!spec || spec.ingressClassName !== undefined || metadata.annotations?.[classAnnotation] !== undefined) return
    const newest = lookup
      .list('networking.k8s.io', 'ingressclasses')
      .filter((one) => one.metadata.annotations?.[isDefault] === 'true')
      .sort(newestFirst)[0]
    if (newest) spec.ingressClassName = newest.metadata.name
  },
})
