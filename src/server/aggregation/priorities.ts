// In which order groups and versions are shown (controlplane/apiserver/aggregator.go and cmd/kube-apiserver/app/aggregator.go, 1.36).

/** Group → [priority of the group, priority by version]. */
const table: Record<string, [number, Record<string, number>]> = {
  '': [18000, { v1: 1 }],
  apps: [17800, { v1: 15 }],
  'events.k8s.io': [17750, { v1: 15 }],
  'authentication.k8s.io': [17700, { v1: 15 }],
  'authorization.k8s.io': [17600, { v1: 15 }],
  autoscaling: [17500, { v1: 15, v2: 30 }],
  batch: [17400, { v1: 15 }],
  'certificates.k8s.io': [17300, { v1: 15 }],
  'networking.k8s.io': [17200, { v1: 15, v1beta1: 9 }],
  policy: [17100, { v1: 15 }],
  'rbac.authorization.k8s.io': [17000, { v1: 15 }],
  'storage.k8s.io': [16800, { v1: 15, v1beta1: 9 }],
  'apiextensions.k8s.io': [16700, { v1: 15 }],
  'admissionregistration.k8s.io': [16700, { v1: 15, v1beta1: 12, v1alpha1: 9 }],
  'scheduling.k8s.io': [16600, { v1: 15 }],
  'coordination.k8s.io': [16500, { v1: 15 }],
  'node.k8s.io': [16300, { v1: 15 }],
  'discovery.k8s.io': [16200, { v1: 15 }],
  'resource.k8s.io': [16200, { v1: 21, v1beta2: 15, v1beta1: 9 }],
  'flowcontrol.apiserver.k8s.io': [16100, { v1: 21 }],
}

export interface Priorities {
  groupPriorityMinimum: number
  versionPriority: number
}

/** Groups of custom resources, and those that Tandem has beside Kubernetes'. */
const custom: Priorities = { groupPriorityMinimum: 1000, versionPriority: 100 }

export const isKubernetes = (group: string): boolean => group in table

export function prioritiesOf(group: string, version: string): Priorities {
  const known = table[group]
  return known ? { groupPriorityMinimum: known[0], versionPriority: known[1][version] ?? 1 } : custom
}
