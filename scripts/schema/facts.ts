// Constant defaults that upstream sets in code (pkg/apis/*/v1/defaults.go, Kubernetes 1.36) rather than by a marker,
// and the few fields whose generated form needs a correction. Keys are "<type>.<field>".

import type { Schema } from '../../src/api/schema.ts'

const probeDefaults = (name: string) => ({
  [`core.v1.${name}.timeoutSeconds`]: 1,
  [`core.v1.${name}.periodSeconds`]: 10,
  [`core.v1.${name}.successThreshold`]: 1,
  [`core.v1.${name}.failureThreshold`]: 3,
})

const containerDefaults = (name: string) => ({
  [`core.v1.${name}.terminationMessagePath`]: '/dev/termination-log',
  [`core.v1.${name}.terminationMessagePolicy`]: 'File',
})

export const constantDefaults: Record<string, unknown> = {
  'core.v1.PodSpec.restartPolicy': 'Always',
  'core.v1.PodSpec.terminationGracePeriodSeconds': 30,
  'core.v1.PodSpec.dnsPolicy': 'ClusterFirst',
  'core.v1.PodSpec.schedulerName': 'default-scheduler',
  'core.v1.PodSpec.securityContext': {},
  ...containerDefaults('Container'),
  ...containerDefaults('EphemeralContainer'),
  ...containerDefaults('EphemeralContainerCommon'),
  'core.v1.ContainerPort.protocol': 'TCP',
  ...probeDefaults('Probe'),
  'core.v1.HTTPGetAction.path': '/',
  'core.v1.HTTPGetAction.scheme': 'HTTP',
  'core.v1.HTTPGetAction.port': 0,
  'core.v1.TCPSocketAction.port': 0,
  'core.v1.GRPCAction.service': '',
  'core.v1.ObjectFieldSelector.apiVersion': 'v1',
  'core.v1.SecretVolumeSource.defaultMode': 420,
  'core.v1.ConfigMapVolumeSource.defaultMode': 420,
  'core.v1.DownwardAPIVolumeSource.defaultMode': 420,
  'core.v1.ProjectedVolumeSource.defaultMode': 420,
  'core.v1.ServiceAccountTokenProjection.expirationSeconds': 3600,
  'core.v1.HostPathVolumeSource.type': '',
  'core.v1.ISCSIVolumeSource.iscsiInterface': 'default',
  'core.v1.RBDVolumeSource.pool': 'rbd',
  'core.v1.RBDVolumeSource.user': 'admin',
  'core.v1.RBDVolumeSource.keyring': '/etc/ceph/keyring',
  'core.v1.ServiceSpec.type': 'ClusterIP',
  'core.v1.ServiceSpec.sessionAffinity': 'None',
  'core.v1.ServicePort.protocol': 'TCP',
  'core.v1.EndpointPort.protocol': 'TCP',
  'core.v1.Secret.type': 'Opaque',
  'core.v1.NamespaceStatus.phase': 'Active',
  'core.v1.PersistentVolumeClaimStatus.phase': 'Pending',
  'core.v1.PersistentVolumeClaimSpec.volumeMode': 'Filesystem',
  'core.v1.PersistentVolumeSpec.volumeMode': 'Filesystem',
  'core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy': 'Retain',
  'core.v1.PersistentVolumeStatus.phase': 'Pending',
  'apps.v1.DeploymentSpec.replicas': 1,
  'apps.v1.DeploymentSpec.revisionHistoryLimit': 10,
  'apps.v1.DeploymentSpec.progressDeadlineSeconds': 600,
  'apps.v1.DeploymentStrategy.type': 'RollingUpdate',
  'apps.v1.ReplicaSetSpec.replicas': 1,
  'batch.v1.JobSpec.backoffLimit': 6,
  'batch.v1.JobSpec.completionMode': 'NonIndexed',
  'batch.v1.JobSpec.suspend': false,
  'discovery.v1.EndpointPort.name': '',
  'discovery.v1.EndpointPort.protocol': 'TCP',
  'storage.v1.StorageClass.reclaimPolicy': 'Delete',
  'storage.v1.StorageClass.volumeBindingMode': 'Immediate',
  'authentication.v1.TokenRequestSpec.expirationSeconds': 3600,
  'scheduling.v1.PriorityClass.preemptionPolicy': 'PreemptLowerPriority',
  'rbac.v1.RoleRef.apiGroup': 'rbac.authorization.k8s.io',
}

export const sharedExceptions: Record<string, Partial<Schema>> = {
  // Templates that Go programs write carry "creationTimestamp: null".
  'meta.v1.ObjectMeta.creationTimestamp': { nullable: true },
}

/** Fields that Go always writes and OpenAPI therefore calls required, but that validation lets be absent. */
export const notRequired = [
  'authorization.v1.SubjectRulesReviewStatus.nonResourceRules',
  'authorization.v1.SubjectRulesReviewStatus.resourceRules',
  'core.v1.HTTPHeader.value',
  'discovery.v1.Endpoint.addresses',
  'meta.v1.Condition.lastTransitionTime',
  'rbac.v1.PolicyRule.verbs',
]
