// What the TypeScript package of KubeVirt does not say: quantities in maps, int-or-string fields (left out there) and
// the lists that apply merges by key. Facts of KubeVirt 1.7 (staging/src/kubevirt.io/api/core/v1).

import type { Schema } from '../../src/api/schema.ts'

const quantities: Schema = { additionalProperties: { type: 'string', format: 'quantity' } }

/** The package leaves them out, because they may be null. */
const conditionTimes: Record<string, Schema> = {
  lastProbeTime: { type: 'string', format: 'date-time', nullable: true },
  lastTransitionTime: { type: 'string', format: 'date-time', nullable: true },
}

export const kubevirtFields: {
  changed: Record<string, Partial<Schema>>
  added: Record<string, Record<string, Schema>>
} = {
  changed: {
    'kubevirt.v1.ResourceRequirements.limits': quantities,
    'kubevirt.v1.ResourceRequirements.requests': quantities,
    'kubevirt.v1.VirtualMachineInstanceSpec.topologySpreadConstraints': {
      listType: 'map',
      listMapKeys: ['topologyKey', 'whenUnsatisfiable'],
    },
    'kubevirt.v1.VirtualMachineInstanceSpec.utilityVolumes': { listType: 'map', listMapKeys: ['name'] },
    'kubevirt.v1.VirtualMachineInstanceSpec.resourceClaims': { listType: 'map', listMapKeys: ['name'] },
    'kubevirt.v1beta1.VirtualMachinePoolSpec.maxUnavailable': {
      type: undefined,
      intOrString: true,
      format: 'int-or-string',
    },
    'kubevirt.v1beta1.Error.time': { format: 'date-time' },
    'kubevirt.v1beta1.VirtualMachineCloneStatus.creationTime': { nullable: true },
    'kubevirt.v1beta1.VirtualMachineRestoreSpec.targetReadinessPolicy': {
      default: 'WaitGracePeriod',
      enum: ['StopTarget', 'WaitGracePeriod', 'FailImmediate', 'WaitEventually'],
    },
    'kubevirt.v1beta1.VirtualMachineRestoreStatus.restoreTime': { format: 'date-time' },
    'kubevirt.v1beta1.VirtualMachineSnapshotContentStatus.creationTime': { nullable: true },
    'kubevirt.v1beta1.VirtualMachineSnapshotSpec.failureDeadline': { format: 'duration' },
    'kubevirt.v1beta1.VirtualMachineSnapshotStatus.creationTime': { nullable: true },
    'kubevirt.v1.Port.port': { format: 'int32' },
    'kubevirt.v1.MigrationConfiguration.bandwidthPerMigration': { format: 'quantity' },
    'kubevirt.v1alpha1.MigrationPolicySpec.bandwidthPerMigration': { format: 'quantity' },
    'kubevirt.v1.ContainerDiskSource.imagePullPolicy': { enum: ['Always', 'IfNotPresent', 'Never'] },
    'kubevirt.v1.VirtualMachineSpec.runStrategy': {
      // Hibernated is Tandem's own.
      enum: ['Always', 'Halted', 'Hibernated', 'Manual', 'Once', 'RerunOnFailure', 'WaitAsReceiver'],
    },
  },
  added: {
    'kubevirt.v1.VirtualMachineCondition': conditionTimes,
    'kubevirt.v1.VirtualMachineInstanceCondition': conditionTimes,
    'kubevirt.v1.VirtualMachineInstanceReplicaSetCondition': conditionTimes,
    'kubevirt.v1beta1.VirtualMachinePoolCondition': conditionTimes,
    'kubevirt.v1beta1.Condition': conditionTimes,
    'kubevirt.v1.VirtualMachineInstanceMigrationCondition': conditionTimes,
    'kubevirt.v1.MigrationConfiguration': { maxDowntimeMs: { type: 'integer', format: 'int64' } },
    'kubevirt.v1alpha1.MigrationPolicySpec': {
      maxDowntimeMs: { type: 'integer', format: 'int64', minimum: 1, maximum: 2_000_000 },
    },
    'kubevirt.v1beta1.VirtualMachineCloneSpec': {
      volumeNamePolicy: { type: 'string', enum: ['RandomizeNames', 'PrefixTargetName'], keepZero: true },
    },
  },
}
