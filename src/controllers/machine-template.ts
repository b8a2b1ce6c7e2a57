// A VirtualMachine that is a template: booted once, saved with its memory when its guest is ready, and stopped. Others
// start from what was saved (kinds/kubevirt/template-start.ts). Who deletes the snapshot and starts it gets a new one.

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { templateAnnotation } from '../kinds/kubevirt/template-start.ts'
import { memoryAnnotation } from '../kinds/snapshot/memory.ts'
import { isTrue } from './conditions.ts'
import { type ControllerDefinition, controllerOfKind, itself, reconcileOn } from './controller.ts'
import { strategyOf } from './machine-plan.ts'
import { controllerReference } from './ownership.ts'
import { virtualMachineInstances, virtualMachineSnapshots, virtualMachines } from './resources.ts'

const isTemplate = ({ metadata }: StoredObject): boolean => metadata.annotations?.[templateAnnotation] === 'true'

const snapshotOf = (machine: StoredObject): ApiObject => ({
  apiVersion: 'snapshot.kubevirt.io/v1beta1',
  kind: 'VirtualMachineSnapshot',
  metadata: {
    name: machine.metadata.name,
    namespace: machine.metadata.namespace!,
    annotations: { [memoryAnnotation]: 'true' },
    ownerReferences: [controllerReference(machine)],
  },
  spec: { source: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: machine.metadata.name } },
})

/** Its guest is up, and the agent that is to tell copies who they are answers. */
const isBooted = ({ status }: StoredObject): boolean =>
  isTrue(status?.conditions, 'Ready') && isTrue(status?.conditions, 'AgentConnected')

export const machineTemplate: ControllerDefinition = {
  name: 'machinetemplate',
  start(context) {
    const { client, informers } = context
    const record = context.recorder('template-controller')
    const machines = informers.informer(virtualMachines)
    const instances = informers.informer(virtualMachineInstances)
    const snapshots = informers.informer(virtualMachineSnapshots)

    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const machine = machines.get(key)
      if (!machine || machine.metadata.deletionTimestamp || !isTemplate(machine)) return undefined
      const { name, namespace } = machine.metadata
      const snapshot = snapshots.get(key)
      const instance = instances.get(key)
      if (!snapshot && instance && isBooted(instance)) {
        await client.create(virtualMachineSnapshots, snapshotOf(machine)).catch((error) => {
          if (!isApiError(error, 'AlreadyExists')) throw error
        })
        return undefined
      }
      const isSaved = snapshot?.status?.phase === 'Succeeded' && snapshot.status.readyToUse
      if (!isSaved || machine.status?.snapshotInProgress || strategyOf(machine) === 'Halted') return undefined
      const spec = machine.spec.running === undefined ? { runStrategy: 'Halted' } : { running: false }
      await client.patch(virtualMachines, name, namespace, 'merge', { spec })
      record(machine, 'Normal', 'TemplateSaved', `Machines may start from the snapshot ${name}`)
      return undefined
    }

    const ofTemplate = (object: StoredObject) => (isTemplate(object) ? itself(object) : [])
    return reconcileOn(
      context,
      'machinetemplate',
      [
        { ref: virtualMachines, keys: ofTemplate },
        { ref: virtualMachineInstances, keys: controllerOfKind('VirtualMachine') },
        { ref: virtualMachineSnapshots, keys: controllerOfKind('VirtualMachine') },
      ],
      sync,
    )
  },
}
