// The status of the KubeVirt object: everything is there from the first second, and always of this version.

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Condition, withCondition } from './conditions.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { kubevirts } from './resources.ts'

/** The version whose behaviour Tandem has, as /apis/subresources.kubevirt.io/v1/version tells it. */
const version = 'v1.9.0'

const conditions: [type: string, status: 'True' | 'False', reason: string, message: string][] = [
  ['Available', 'True', 'AllComponentsReady', 'All components are ready.'],
  ['Progressing', 'False', 'AllComponentsReady', 'All components are ready.'],
  ['Degraded', 'False', 'AllComponentsReady', 'All components are ready.'],
  ['Created', 'True', 'AllResourcesCreated', 'All resources were created.'],
]

/** Texts and fields of KubeVirt's operator (1.9). Pure. */
export function kubevirtStatus({ metadata, status = {} }: StoredObject, now: number): Record<string, any> {
  let told: Condition[] = status.conditions ?? []
  for (const [type, value, reason, message] of conditions)
    told = withCondition(told, { type, status: value, reason, message }, formatTime(now))
  return {
    ...status,
    phase: 'Deployed',
    conditions: told,
    operatorVersion: version,
    observedKubeVirtVersion: version,
    targetKubeVirtVersion: version,
    observedGeneration: metadata.generation ?? 1,
    outdatedVirtualMachineInstanceWorkloads: 0,
    defaultArchitecture: 'amd64',
  }
}

export const kubevirt: ControllerDefinition = {
  name: 'kubevirt',
  start(context) {
    const { client, informers, clock } = context
    const informer = informers.informer(kubevirts)
    return reconcileOn(context, 'kubevirt', [{ ref: kubevirts, keys: itself }], async (key) => {
      const object = informer.get(key)
      if (!object || object.metadata.deletionTimestamp) return undefined
      const status = kubevirtStatus(object, clock.now())
      if (!semanticallyEqual(status, object.status)) await client.updateStatus(kubevirts, { ...object, status })
      return undefined
    })
  },
}
