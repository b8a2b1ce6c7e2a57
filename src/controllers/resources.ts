// The resources that controllers speak about, by the name that their URLs have.

import type { ResourceRef } from '../api/meta.ts'

const core = (resource: string): ResourceRef => ({ group: '', version: 'v1', resource })
const apps = (resource: string): ResourceRef => ({ group: 'apps', version: 'v1', resource })
const kubevirt = (resource: string): ResourceRef => ({ group: 'kubevirt.io', version: 'v1', resource })

export const namespaces = core('namespaces')
export const nodes = core('nodes')
export const pods = core('pods')
export const services = core('services')
export const endpoints = core('endpoints')
export const configMaps = core('configmaps')
export const secrets = core('secrets')
export const serviceAccounts = core('serviceaccounts')
export const resourceQuotas = core('resourcequotas')
export const persistentVolumes = core('persistentvolumes')
export const persistentVolumeClaims = core('persistentvolumeclaims')
export const replicationControllers = core('replicationcontrollers')
export const deployments = apps('deployments')
export const replicaSets = apps('replicasets')
export const statefulSets = apps('statefulsets')
export const daemonSets = apps('daemonsets')
export const controllerRevisions = apps('controllerrevisions')
export const jobs: ResourceRef = { group: 'batch', version: 'v1', resource: 'jobs' }
export const cronJobs: ResourceRef = { group: 'batch', version: 'v1', resource: 'cronjobs' }
export const podDisruptionBudgets: ResourceRef = { group: 'policy', version: 'v1', resource: 'poddisruptionbudgets' }
export const autoscalers: ResourceRef = { group: 'autoscaling', version: 'v2', resource: 'horizontalpodautoscalers' }
export const endpointSlices: ResourceRef = { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' }
const networking = (resource: string): ResourceRef => ({ group: 'networking.k8s.io', version: 'v1', resource })
export const ipAddresses = networking('ipaddresses')
export const serviceCidrs = networking('servicecidrs')
export const ingresses = networking('ingresses')
export const ingressClasses = networking('ingressclasses')
export const leases: ResourceRef = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' }
export const storageClasses: ResourceRef = { group: 'storage.k8s.io', version: 'v1', resource: 'storageclasses' }
export const runtimeClasses: ResourceRef = { group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses' }
export const priorityClasses: ResourceRef = { group: 'scheduling.k8s.io', version: 'v1', resource: 'priorityclasses' }
export const virtualMachines = kubevirt('virtualmachines')
export const virtualMachineInstances = kubevirt('virtualmachineinstances')
export const kubevirts = kubevirt('kubevirts')
export const virtualMachineInstanceMigrations = kubevirt('virtualmachineinstancemigrations')
export const migrationPolicies: ResourceRef = {
  group: 'migrations.kubevirt.io',
  version: 'v1alpha1',
  resource: 'migrationpolicies',
}
export const virtualMachineInstanceReplicaSets = kubevirt('virtualmachineinstancereplicasets')
export const virtualMachinePools: ResourceRef = {
  group: 'pool.kubevirt.io',
  version: 'v1beta1',
  resource: 'virtualmachinepools',
}
const snapshotting = (resource: string): ResourceRef => ({
  group: 'snapshot.kubevirt.io',
  version: 'v1beta1',
  resource,
})
export const virtualMachineSnapshots = snapshotting('virtualmachinesnapshots')
export const virtualMachineSnapshotContents = snapshotting('virtualmachinesnapshotcontents')
export const virtualMachineRestores = snapshotting('virtualmachinerestores')
export const virtualMachineClones: ResourceRef = {
  group: 'clone.kubevirt.io',
  version: 'v1beta1',
  resource: 'virtualmachineclones',
}
export const virtualMachineExports: ResourceRef = {
  group: 'export.kubevirt.io',
  version: 'v1',
  resource: 'virtualmachineexports',
}
const volumeSnapshotting = (resource: string): ResourceRef => ({
  group: 'snapshot.storage.k8s.io',
  version: 'v1',
  resource,
})
export const volumeSnapshots = volumeSnapshotting('volumesnapshots')
export const volumeSnapshotContents = volumeSnapshotting('volumesnapshotcontents')
export const volumeSnapshotClasses = volumeSnapshotting('volumesnapshotclasses')
const cdi = (resource: string): ResourceRef => ({ group: 'cdi.kubevirt.io', version: 'v1beta1', resource })
export const dataVolumes = cdi('datavolumes')
export const dataSources = cdi('datasources')
export const dataImportCrons = cdi('dataimportcrons')
export const storageProfiles = cdi('storageprofiles')
export const cdis = cdi('cdis')
export const cdiConfigs = cdi('cdiconfigs')
