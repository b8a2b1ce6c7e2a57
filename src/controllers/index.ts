// The list of controllers.

import { cdiConfig } from './cdi-config.ts'
import { virtualMachineClone } from './clone.ts'
import { clusterRoleAggregation } from './clusterrole-aggregation.ts'
import type { ControllerDefinition } from './controller.ts'
import { cronJob } from './cronjob.ts'
import { csrApprover, csrCleaner, csrSigner } from './csr.ts'
import { daemonSet } from './daemonset.ts'
import { dataSource } from './data-source.ts'
import { dataVolume } from './data-volume.ts'
import { deployment } from './deployment.ts'
import { disruption } from './disruption.ts'
import { endpointMirror } from './endpoint-mirror.ts'
import { endpoint, endpointSlice } from './endpoints.ts'
import { ephemeralVolumes } from './ephemeral-volumes.ts'
import { virtualMachineExport } from './export.ts'
import { flowSchemas } from './flow-schemas.ts'
import { garbageCollector } from './garbage-collector.ts'
import { horizontalPodAutoscaler } from './hpa.ts'
import { dataImportCron } from './import-cron.ts'
import { isolationPolicy } from './isolation-policy.ts'
import { job } from './job.ts'
import { jobExpiry } from './job-expiry.ts'
import { kubernetesService } from './kubernetes-service.ts'
import { kubevirt } from './kubevirt.ts'
import { machineDebug } from './machine-debug.ts'
import { machineTemplate } from './machine-template.ts'
import { memoryDump } from './memory-dump.ts'
import { virtualMachineInstanceMigration } from './migration.ts'
import { namespaceLifecycle } from './namespace.ts'
import { nodeLifecycle } from './node-lifecycle.ts'
import { podCollector } from './pod-collector.ts'
import { policyStatus } from './policy-status.ts'
import { virtualMachinePool } from './pool.ts'
import { replicaSet, replicationController } from './replicaset.ts'
import { resourceClaims } from './resource-claims.ts'
import { resourceQuota } from './resource-quota.ts'
import { virtualMachineRestore } from './restore.ts'
import { scheduler } from './scheduler.ts'
import { rootCaPublisher, serviceAccount } from './service-account.ts'
import { serviceAccountTokens } from './service-account-tokens.ts'
import { serviceAddresses } from './service-addresses.ts'
import { serviceLoadBalancer } from './service-load-balancer.ts'
import { serviceRanges } from './service-ranges.ts'
import { virtualMachineSnapshot } from './snapshot.ts'
import { statefulSet } from './statefulset.ts'
import { storageProfile } from './storage-profile.ts'
import { taintEviction } from './taint-eviction.ts'
import { tokenCleaner } from './token-cleaner.ts'
import { virtualMachine, virtualMachineInstance } from './virtualmachine.ts'
import { virtualMachineInstanceReplicaSet } from './virtualmachineinstance-replicas.ts'
import { volumeBinder } from './volume-binder.ts'
import { volumeExpander } from './volume-expander.ts'
import { claimProtection, volumeProtection } from './volume-protection.ts'
import { volumeSnapshot } from './volume-snapshot.ts'

export const controllers: ControllerDefinition[] = [
  namespaceLifecycle,
  serviceAccount,
  rootCaPublisher,
  serviceAccountTokens,
  resourceClaims,
  tokenCleaner,
  kubernetesService,
  deployment,
  replicaSet,
  replicationController,
  statefulSet,
  daemonSet,
  disruption,
  horizontalPodAutoscaler,
  isolationPolicy,
  job,
  cronJob,
  jobExpiry,
  scheduler,
  virtualMachine,
  virtualMachineInstance,
  virtualMachineInstanceMigration,
  virtualMachineInstanceReplicaSet,
  virtualMachinePool,
  virtualMachineSnapshot,
  virtualMachineRestore,
  virtualMachineClone,
  machineTemplate,
  machineDebug,
  virtualMachineExport,
  memoryDump,
  kubevirt,
  volumeBinder,
  ephemeralVolumes,
  volumeExpander,
  claimProtection,
  volumeProtection,
  volumeSnapshot,
  storageProfile,
  cdiConfig,
  dataVolume,
  dataSource,
  dataImportCron,
  endpoint,
  endpointSlice,
  endpointMirror,
  serviceAddresses,
  serviceRanges,
  serviceLoadBalancer,
  resourceQuota,
  garbageCollector,
  podCollector,
  nodeLifecycle,
  taintEviction,
  clusterRoleAggregation,
  policyStatus,
  flowSchemas,
  csrApprover,
  csrSigner,
  csrCleaner,
]
