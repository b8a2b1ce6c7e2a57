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
  'admissionregistration.v1.MatchResources.matchPolicy': 'Equivalent',
  'admissionregistration.v1.MutatingWebhook.failurePolicy': 'Fail',
  'admissionregistration.v1.MutatingWebhook.matchPolicy': 'Equivalent',
  'admissionregistration.v1.MutatingWebhook.namespaceSelector': {},
  'admissionregistration.v1.MutatingWebhook.objectSelector': {},
  'admissionregistration.v1.MutatingWebhook.reinvocationPolicy': 'Never',
  'admissionregistration.v1.MutatingWebhook.timeoutSeconds': 10,
  'admissionregistration.v1.MutatingAdmissionPolicySpec.failurePolicy': 'Fail',
  'admissionregistration.v1.NamedRuleWithOperations.scope': '*',
  'admissionregistration.v1.RuleWithOperations.scope': '*',
  'admissionregistration.v1.ServiceReference.port': 443,
  'admissionregistration.v1.ValidatingAdmissionPolicySpec.failurePolicy': 'Fail',
  'admissionregistration.v1.ValidatingWebhook.failurePolicy': 'Fail',
  'admissionregistration.v1.ValidatingWebhook.matchPolicy': 'Equivalent',
  'admissionregistration.v1.ValidatingWebhook.namespaceSelector': {},
  'admissionregistration.v1.ValidatingWebhook.objectSelector': {},
  'admissionregistration.v1.ValidatingWebhook.timeoutSeconds': 10,
  'apiregistration.v1.ServiceReference.port': 443,
  'apps.v1.DaemonSetSpec.revisionHistoryLimit': 10,
  'apps.v1.DaemonSetUpdateStrategy.type': 'RollingUpdate',
  'apps.v1.StatefulSetSpec.podManagementPolicy': 'OrderedReady',
  'apps.v1.StatefulSetSpec.replicas': 1,
  'apps.v1.StatefulSetSpec.revisionHistoryLimit': 10,
  'apps.v1.StatefulSetUpdateStrategy.type': 'RollingUpdate',
  'apps.v1.DeploymentSpec.replicas': 1,
  'apps.v1.DeploymentSpec.revisionHistoryLimit': 10,
  'apps.v1.DeploymentSpec.progressDeadlineSeconds': 600,
  'apps.v1.DeploymentStrategy.type': 'RollingUpdate',
  'apps.v1.ReplicaSetSpec.replicas': 1,
  'autoscaling.v1.HorizontalPodAutoscalerSpec.minReplicas': 1,
  'autoscaling.v2.HorizontalPodAutoscalerSpec.minReplicas': 1,
  'batch.v1.CronJobSpec.concurrencyPolicy': 'Allow',
  'batch.v1.CronJobSpec.failedJobsHistoryLimit': 1,
  'batch.v1.CronJobSpec.successfulJobsHistoryLimit': 3,
  'batch.v1.CronJobSpec.suspend': false,
  'discovery.v1.EndpointPort.name': '',
  'discovery.v1.EndpointPort.protocol': 'TCP',
  'networking.v1.NetworkPolicyPort.protocol': 'TCP',
  'storage.v1.CSIDriverSpec.attachRequired': true,
  'storage.v1.CSIDriverSpec.fsGroupPolicy': 'ReadWriteOnceWithFSType',
  'storage.v1.CSIDriverSpec.podInfoOnMount': false,
  'storage.v1.CSIDriverSpec.requiresRepublish': false,
  'storage.v1.CSIDriverSpec.seLinuxMount': false,
  'storage.v1.CSIDriverSpec.storageCapacity': false,
  'storage.v1.CSIDriverSpec.volumeLifecycleModes': ['Persistent'],
  'storage.v1.StorageClass.reclaimPolicy': 'Delete',
  'storage.v1.StorageClass.volumeBindingMode': 'Immediate',
  'authentication.v1.TokenRequestSpec.expirationSeconds': 3600,
  'scheduling.v1.PriorityClass.preemptionPolicy': 'PreemptLowerPriority',
  'rbac.v1.RoleRef.apiGroup': 'rbac.authorization.k8s.io',
}

const jsonSchema: Schema = { ref: 'apiextensions.v1.JSONSchemaProps' }

export const sharedExceptions: Record<string, Partial<Schema>> = {
  // Templates that Go programs write carry "creationTimestamp: null".
  'meta.v1.ObjectMeta.creationTimestamp': { nullable: true },
  // KubeVirt's own copy of CDI's types is an older one.
  'kubevirt.v1.DataVolumeTemplateSpec.spec': { ref: 'cdi.v1beta1.DataVolumeSpec' },
  // Types of Go that are one of several things, and the numbers of these in protobuf.
  'apiextensions.v1.JSONSchemaProps.items': {
    protoChoice: { 1: jsonSchema, 2: { type: 'array', items: jsonSchema } },
  },
  'apiextensions.v1.JSONSchemaProps.additionalProperties': { protoChoice: { 1: { type: 'boolean' }, 2: jsonSchema } },
  'apiextensions.v1.JSONSchemaProps.additionalItems': { protoChoice: { 1: { type: 'boolean' }, 2: jsonSchema } },
  // A named list that is none of its own in protobuf.
  'apiextensions.v1.JSONSchemaProps.x-kubernetes-validations': { protoWrapped: false },
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
