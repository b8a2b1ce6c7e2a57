// The kinds that Tandem serves. A kind is here when something acts on it, never before.

import type { KindDefinition } from '../api/kind.ts'
import { mutatingAdmissionPolicy } from './admissionregistration/mutatingadmissionpolicy.ts'
import { mutatingAdmissionPolicyBinding } from './admissionregistration/mutatingadmissionpolicybinding.ts'
import { mutatingWebhookConfiguration } from './admissionregistration/mutatingwebhookconfiguration.ts'
import { validatingAdmissionPolicy } from './admissionregistration/validatingadmissionpolicy.ts'
import { validatingAdmissionPolicyBinding } from './admissionregistration/validatingadmissionpolicybinding.ts'
import { validatingWebhookConfiguration } from './admissionregistration/validatingwebhookconfiguration.ts'
import { customResourceDefinition } from './apiextensions/customresourcedefinition.ts'
import { apiService } from './apiregistration/apiservice.ts'
import { controllerRevision } from './apps/controllerrevision.ts'
import { daemonSet } from './apps/daemonset.ts'
import { deployment } from './apps/deployment.ts'
import { replicaSet } from './apps/replicaset.ts'
import { statefulSet } from './apps/statefulset.ts'
import { selfSubjectReview, tokenReview } from './authentication/reviews.ts'
import {
  localSubjectAccessReview,
  selfSubjectAccessReview,
  selfSubjectRulesReview,
  subjectAccessReview,
} from './authorization/reviews.ts'
import { horizontalPodAutoscaler, horizontalPodAutoscalerV1 } from './autoscaling/horizontalpodautoscaler.ts'
import { cronJob } from './batch/cronjob.ts'
import { job } from './batch/job.ts'
import { cdi } from './cdi/cdi.ts'
import { cdiConfig } from './cdi/cdiconfig.ts'
import { dataImportCron } from './cdi/dataimportcron.ts'
import { dataSource } from './cdi/datasource.ts'
import { dataVolume } from './cdi/datavolume.ts'
import { storageProfile } from './cdi/storageprofile.ts'
import { uploadTokenRequest } from './cdi/uploadtokenrequest.ts'
import { certificateSigningRequest } from './certificates/certificatesigningrequest.ts'
import { virtualMachineClone } from './clone/virtualmachineclone.ts'
import { lease } from './coordination/lease.ts'
import { binding } from './core/binding.ts'
import { componentStatus } from './core/componentstatus.ts'
import { configMap } from './core/configmap.ts'
import { endpoints } from './core/endpoints.ts'
import { event } from './core/event.ts'
import { limitRange } from './core/limitrange.ts'
import { namespace } from './core/namespace.ts'
import { node } from './core/node.ts'
import { persistentVolume } from './core/persistentvolume.ts'
import { persistentVolumeClaim } from './core/persistentvolumeclaim.ts'
import { pod } from './core/pod.ts'
import { podTemplate } from './core/podtemplate.ts'
import { replicationController } from './core/replicationcontroller.ts'
import { resourceQuota } from './core/resourcequota.ts'
import { secret } from './core/secret.ts'
import { service } from './core/service.ts'
import { serviceAccount } from './core/serviceaccount.ts'
import { endpointSlice } from './discovery/endpointslice.ts'
import { newEvent } from './events/event.ts'
import { virtualMachineExport, virtualMachineExportV1beta1 } from './export/virtualmachineexport.ts'
import { flowSchema } from './flowcontrol/flowschema.ts'
import { priorityLevelConfiguration } from './flowcontrol/prioritylevelconfiguration.ts'
import { gateway } from './gateway/gateway.ts'
import { gatewayClass } from './gateway/gatewayclass.ts'
import { httpRoute } from './gateway/httproute.ts'
import { referenceGrant, referenceGrantV1 } from './gateway/referencegrant.ts'
import { virtualMachineClusterInstancetype, virtualMachineInstancetype } from './instancetype/instancetype.ts'
import { virtualMachineClusterPreference, virtualMachinePreference } from './instancetype/preference.ts'
import { clusterIsolationPolicy } from './isolation/clusterisolationpolicy.ts'
import { kubevirt } from './kubevirt/kubevirt.ts'
import { olderMachineKinds } from './kubevirt/older-versions.ts'
import { virtualMachine } from './kubevirt/virtualmachine.ts'
import { virtualMachineInstance } from './kubevirt/virtualmachineinstance.ts'
import { virtualMachineInstanceMigration } from './kubevirt/virtualmachineinstancemigration.ts'
import { virtualMachineInstancePreset } from './kubevirt/virtualmachineinstancepreset.ts'
import { virtualMachineInstanceReplicaSet } from './kubevirt/virtualmachineinstancereplicaset.ts'
import { nodeMetrics, podMetrics } from './metrics/metrics.ts'
import { migrationPolicy } from './migrations/migrationpolicy.ts'
import { networkAttachmentDefinition } from './networkattachment/networkattachmentdefinition.ts'
import { ingress } from './networking/ingress.ts'
import { ingressClass } from './networking/ingressclass.ts'
import { ipAddress } from './networking/ipaddress.ts'
import { networkPolicy } from './networking/networkpolicy.ts'
import { serviceCidr } from './networking/servicecidr.ts'
import { runtimeClass } from './node/runtimeclass.ts'
import { podDisruptionBudget } from './policy/poddisruptionbudget.ts'
import { virtualMachinePool } from './pool/virtualmachinepool.ts'
import { clusterRole } from './rbac/clusterrole.ts'
import { clusterRoleBinding } from './rbac/clusterrolebinding.ts'
import { role } from './rbac/role.ts'
import { roleBinding } from './rbac/rolebinding.ts'
import { deviceClass } from './resource/deviceclass.ts'
import { resourceClaim } from './resource/resourceclaim.ts'
import { resourceClaimTemplate } from './resource/resourceclaimtemplate.ts'
import { resourceSlice } from './resource/resourceslice.ts'
import { priorityClass } from './scheduling/priorityclass.ts'
import { virtualMachineRestore } from './snapshot/virtualmachinerestore.ts'
import { virtualMachineSnapshot } from './snapshot/virtualmachinesnapshot.ts'
import { virtualMachineSnapshotContent } from './snapshot/virtualmachinesnapshotcontent.ts'
import { csiDriver } from './storage/csidriver.ts'
import { csiNode } from './storage/csinode.ts'
import { csiStorageCapacity } from './storage/csistoragecapacity.ts'
import { storageClass } from './storage/storageclass.ts'
import { volumeAttachment } from './storage/volumeattachment.ts'
import { volumeAttributesClass } from './storage/volumeattributesclass.ts'
import { volumeSnapshot } from './volumesnapshot/volumesnapshot.ts'
import { volumeSnapshotClass } from './volumesnapshot/volumesnapshotclass.ts'
import { volumeSnapshotContent } from './volumesnapshot/volumesnapshotcontent.ts'

export const kinds: KindDefinition[] = [
  namespace,
  node,
  pod,
  podTemplate,
  replicationController,
  service,
  endpoints,
  configMap,
  secret,
  serviceAccount,
  event,
  persistentVolume,
  persistentVolumeClaim,
  binding,
  deployment,
  replicaSet,
  statefulSet,
  daemonSet,
  controllerRevision,
  job,
  cronJob,
  podDisruptionBudget,
  horizontalPodAutoscaler,
  horizontalPodAutoscalerV1,
  endpointSlice,
  storageClass,
  runtimeClass,
  lease,
  priorityClass,
  clusterIsolationPolicy,
  role,
  roleBinding,
  clusterRole,
  clusterRoleBinding,
  tokenReview,
  selfSubjectReview,
  subjectAccessReview,
  localSubjectAccessReview,
  selfSubjectAccessReview,
  selfSubjectRulesReview,
  ingress,
  ingressClass,
  ipAddress,
  gatewayClass,
  gateway,
  httpRoute,
  referenceGrantV1,
  referenceGrant,
  networkPolicy,
  networkAttachmentDefinition,
  serviceCidr,
  csiDriver,
  csiNode,
  csiStorageCapacity,
  volumeAttachment,
  volumeAttributesClass,
  volumeSnapshot,
  volumeSnapshotContent,
  volumeSnapshotClass,
  newEvent,
  customResourceDefinition,
  certificateSigningRequest,
  flowSchema,
  priorityLevelConfiguration,
  apiService,
  limitRange,
  resourceQuota,
  validatingWebhookConfiguration,
  mutatingWebhookConfiguration,
  validatingAdmissionPolicy,
  validatingAdmissionPolicyBinding,
  mutatingAdmissionPolicy,
  mutatingAdmissionPolicyBinding,
  deviceClass,
  resourceClaim,
  resourceClaimTemplate,
  resourceSlice,
  componentStatus,
  nodeMetrics,
  podMetrics,
  virtualMachine,
  virtualMachineInstance,
  virtualMachineInstanceMigration,
  migrationPolicy,
  virtualMachineInstanceReplicaSet,
  virtualMachineInstancePreset,
  virtualMachinePool,
  virtualMachineInstancetype,
  virtualMachineClusterInstancetype,
  virtualMachinePreference,
  virtualMachineClusterPreference,
  kubevirt,
  virtualMachineExport,
  virtualMachineExportV1beta1,
  virtualMachineSnapshot,
  virtualMachineSnapshotContent,
  virtualMachineRestore,
  virtualMachineClone,
  dataVolume,
  dataSource,
  dataImportCron,
  storageProfile,
  cdi,
  cdiConfig,
  uploadTokenRequest,
  ...olderMachineKinds,
]
