// The versions that KubeVirt 1.9 serves beside the one it stores (pkg/virt-operator/resource/generate/components/crds.go).

import type { KindDefinition } from '../../api/kind.ts'
import { virtualMachineClone } from '../clone/virtualmachineclone.ts'
import { olderVersion } from '../older-version.ts'
import { virtualMachinePool } from '../pool/virtualmachinepool.ts'
import { virtualMachineRestore } from '../snapshot/virtualmachinerestore.ts'
import { virtualMachineSnapshot } from '../snapshot/virtualmachinesnapshot.ts'
import { virtualMachineSnapshotContent } from '../snapshot/virtualmachinesnapshotcontent.ts'
import { kubevirt } from './kubevirt.ts'
import { virtualMachine } from './virtualmachine.ts'
import { virtualMachineInstance } from './virtualmachineinstance.ts'
import { virtualMachineInstanceMigration } from './virtualmachineinstancemigration.ts'
import { presetDeprecation, virtualMachineInstancePreset } from './virtualmachineinstancepreset.ts'
import { virtualMachineInstanceReplicaSet } from './virtualmachineinstancereplicaset.ts'

const alpha = 'v1alpha3'

export const olderMachineKinds: KindDefinition[] = [
  ...[virtualMachine, virtualMachineInstance, virtualMachineInstanceMigration, virtualMachineInstanceReplicaSet].map(
    (kind) => olderVersion(kind, alpha),
  ),
  olderVersion(virtualMachineInstancePreset, alpha, presetDeprecation(alpha)),
  olderVersion(kubevirt, alpha),
  ...[virtualMachinePool, virtualMachineSnapshot, virtualMachineSnapshotContent, virtualMachineRestore].map((kind) =>
    olderVersion(kind, 'v1alpha1'),
  ),
  olderVersion(virtualMachineClone, 'v1alpha1'),
]
