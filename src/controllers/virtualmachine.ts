// VirtualMachine: keeps, starts and stops its instance as the run strategy says. Events of KubeVirt's virt-controller (1.9).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { controllerOf, objectKey } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { claimSizesAnnotation } from '../kinds/kubevirt/claim-sizes.ts'
import { hibernateAnnotation, savedAnnotation } from '../kinds/kubevirt/hibernation.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { createInstancetypes } from './instancetype.ts'
import { createMachineDataVolumes, templatesOf } from './machine-data-volumes.ts'
import { grownClaims, livePatch } from './machine-live.ts'
import { withoutAbsentCards } from './machine-networks.ts'
import { instanceFinalizer, instanceFor, machineFinalizer, nextStep, openRequests, type Step } from './machine-plan.ts'
import { machineStatus } from './machine-status.ts'
import { claimObjects } from './ownership.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { isFinished } from './pod-state.ts'
import {
  dataSources,
  dataVolumes,
  persistentVolumeClaims,
  virtualMachineInstances,
  virtualMachines,
} from './resources.ts'
import { claimsOfMachine } from './volume-matching.ts'

/** After how long a machine looks again for what it names and is not there, should nothing tell it. */
const missingMs = 5_000

const isHeld = (object: StoredObject, finalizer: string): boolean =>
  object.metadata.finalizers?.includes(finalizer) ?? false

async function setFinalizer(
  { client }: ControllerContext,
  ref: typeof virtualMachines,
  object: StoredObject,
  finalizer: string,
  isSet: boolean,
): Promise<void> {
  if (isHeld(object, finalizer) === isSet) return
  const { name, namespace, resourceVersion, finalizers = [] } = object.metadata
  const wanted = isSet ? [...finalizers, finalizer] : finalizers.filter((other) => other !== finalizer)
  const metadata = { resourceVersion, finalizers: wanted.length ? wanted : null }
  await client.patch(ref, name, namespace, 'merge', { metadata }).catch((error) => {
    if (!isApiError(error, 'NotFound')) throw error
  })
}

/** An instance made by hand is held as one made by a machine is: it may go when nothing of it runs any more. */
export const virtualMachineInstance: ControllerDefinition = {
  name: 'virtualmachineinstance',
  start(context) {
    const informer = context.informers.informer(virtualMachineInstances)
    const claims = context.informers.informer(persistentVolumeClaims)
    informer.addIndex('usedClaim', (instance) =>
      claimsOfMachine(instance).map((name) => `${instance.metadata.namespace}/${name}`),
    )
    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const instance = informer.get(key)
      if (!instance || instance.metadata.deletionTimestamp) return undefined
      await setFinalizer(context, virtualMachineInstances, instance, instanceFinalizer, true)
      const { name, namespace } = instance.metadata
      const sizes = grownClaims(instance, (claim) => claims.get(`${namespace}/${claim}`))
      const metadata = { annotations: { [claimSizesAnnotation]: sizes } }
      if (sizes) await context.client.patch(virtualMachineInstances, name, namespace, 'merge', { metadata })
      return undefined
    }
    return reconcileOn(
      context,
      'virtualmachineinstance',
      [
        { ref: virtualMachineInstances, keys: itself },
        {
          ref: persistentVolumeClaims,
          keys: (claim) => informer.byIndex('usedClaim', objectKey(claim)).flatMap(itself),
        },
      ],
      sync,
    )
  },
}

export const virtualMachine: ControllerDefinition = {
  name: 'virtualmachine',
  start(context) {
    const machines = context.informers.informer(virtualMachines)
    machines.addIndex('claim', (machine) =>
      claimsOfMachine(machine.spec.template ?? {}).map((name) => `${machine.metadata.namespace}/${name}`),
    )
    machines.addIndex('source', (machine) =>
      templatesOf(machine).flatMap(({ spec }) =>
        spec?.sourceRef ? `${spec.sourceRef.namespace || machine.metadata.namespace}/${spec.sourceRef.name}` : [],
      ),
    )
    // A DataVolume has its claim's name.
    const ofClaim = (claim: StoredObject) => machines.byIndex('claim', objectKey(claim)).flatMap(itself)
    return reconcileOn(
      context,
      'virtualmachine',
      [
        { ref: virtualMachines, keys: itself },
        {
          ref: virtualMachineInstances,
          // The instance has its machine's name, also when it is not the machine's.
          keys: (instance) => [objectKey(instance), ...controllerOfKind('VirtualMachine')(instance)],
        },
        { ref: persistentVolumeClaims, keys: ofClaim },
        { ref: dataVolumes, keys: ofClaim },
        // Disks and instance types of machines may wait for it.
        { ref: dataSources, keys: (source) => machines.byIndex('source', objectKey(source)).flatMap(itself) },
      ],
      createSync(context),
    )
  },
}

const withOpenRequests = (machine: StoredObject, instance: StoredObject | undefined): StoredObject => ({
  ...machine,
  status: { ...machine.status, stateChangeRequests: openRequests(machine, instance) },
})

interface Outcome {
  failure?: { reason: string; message: string; error: unknown }
  addStart?: boolean
  requeueAfter?: number
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('virtualmachine-controller')
  const machines = informers.informer(virtualMachines)
  const instances = informers.informer(virtualMachineInstances)
  const claims = informers.informer(persistentVolumeClaims)
  const volumes = informers.informer(dataVolumes)
  const ownVolumes = createMachineDataVolumes(context)
  const instancetypes = createInstancetypes(context)

  /** The instance of the machine's name, if it is the machine's or nobody's. */
  async function instanceOf(machine: StoredObject): Promise<StoredObject | undefined | 'foreign'> {
    const found = instances.get(objectKey(machine))
    if (!found) return undefined
    const owner = { ref: virtualMachines, object: machine }
    const [claimed] = await claimObjects(client, owner, virtualMachineInstances, [found], () => true)
    if (claimed) return claimed
    return controllerOf(found)?.uid === machine.metadata.uid ? found : 'foreign'
  }

  async function start(machine: StoredObject, paused: boolean): Promise<Outcome> {
    const { name } = machine.metadata
    try {
      await client.create(virtualMachineInstances, instanceFor(machine, paused, await instancetypes.expanded(machine)))
      const text = `Started the virtual machine by creating the new virtual machine instance ${name}`
      record(machine, 'Normal', 'SuccessfulCreate', text)
      return {}
    } catch (error) {
      if (isNamespaceTerminating(error) || isApiError(error, 'AlreadyExists')) return {}
      const message = `Error creating virtual machine instance ${name}: ${(error as Error).message}`
      record(machine, 'Warning', 'FailedCreate', message)
      return { failure: { reason: 'FailedCreate', message: (error as Error).message, error } }
    }
  }

  async function stop(machine: StoredObject, instance: StoredObject): Promise<Outcome> {
    const { name, namespace, uid } = instance.metadata
    try {
      await client.delete(virtualMachineInstances, name, namespace, { preconditions: { uid } })
      const text = `Stopped the virtual machine by deleting the virtual machine instance ${uid}`
      record(machine, 'Normal', 'SuccessfulDelete', text)
      return {}
    } catch (error) {
      if (isApiError(error, 'NotFound')) return {}
      const message = `Error deleting virtual machine instance ${name}: ${(error as Error).message}`
      record(machine, 'Warning', 'FailedDelete', message)
      return { failure: { reason: 'FailedDelete', message: (error as Error).message, error } }
    }
  }

  /** What of a changed template a running guest can take. */
  async function applyLive(machine: StoredObject, instance: StoredObject): Promise<void> {
    const patch = livePatch(machine, instance)
    const { name, namespace } = instance.metadata
    if (patch) await client.patch(virtualMachineInstances, name, namespace, 'merge', patch)
  }

  /** First both sides know that the memory is to be saved, then the instance goes. */
  async function hibernate(machine: StoredObject, instance: StoredObject): Promise<Outcome> {
    if (isFinished(instance)) return stop(machine, instance)
    const mark = (name: string) => ({ metadata: { annotations: { [name]: 'true' } } })
    const { name, namespace } = machine.metadata
    await client.patch(virtualMachines, name, namespace, 'merge', mark(savedAnnotation))
    await client.patch(virtualMachineInstances, name, namespace, 'merge', mark(hibernateAnnotation))
    return stop(machine, instance)
  }

  async function forgetSaved(machine: StoredObject): Promise<Outcome> {
    const { name, namespace } = machine.metadata
    await client.patch(virtualMachines, name, namespace, 'merge', {
      metadata: { annotations: { [savedAnnotation]: null } },
    })
    record(machine, 'Normal', 'Resumed', 'The virtual machine went on where it was hibernated')
    return {}
  }

  /** False when the machine was changed by it. @throws what is missing */
  async function prepared(machine: StoredObject): Promise<boolean> {
    try {
      return !(await instancetypes.prepare(machine))
    } catch (error) {
      if (!isApiError(error, 'Conflict')) record(machine, 'Warning', 'FailedCreate', (error as Error).message)
      throw error
    }
  }

  /** False as long as a disk that comes with the machine is not there. @throws what is missing */
  async function filled(machine: StoredObject): Promise<boolean> {
    return templatesOf(machine).length === 0 || (await ownVolumes.ensure(machine))
  }

  /** What is missing stands in the status until somebody makes it: there is no hurry to look again. */
  async function missing(key: string, error: unknown): Promise<ReconcileResult> {
    if (isApiError(error, 'Conflict')) throw error
    await writeStatus(key, { failure: { reason: 'FailedCreate', message: (error as Error).message, error } })
    return { requeueAfter: missingMs }
  }

  async function take(
    key: string,
    step: Step,
    machine: StoredObject,
    instance: StoredObject | undefined,
  ): Promise<Outcome> {
    switch (step.kind) {
      case 'start':
        return start(machine, step.paused)
      case 'stop':
        // Noted first: should we end here, the machine is started again all the same.
        if (step.again) await writeStatus(key, { addStart: true })
        return stop(machine, instance!)
      case 'hibernate':
        return hibernate(machine, instance!)
      case 'resumed':
        return forgetSaved(machine)
      case 'wait':
        return { requeueAfter: step.ms }
      case 'always': {
        const strategy = machine.spec.running === undefined ? { runStrategy: 'Always' } : { running: true }
        const { name, namespace } = machine.metadata
        await client.patch(virtualMachines, name, namespace, 'merge', { spec: strategy })
        return {}
      }
      case 'none':
        if (instance) await applyLive(machine, instance)
        return {}
    }
  }

  const claimsOf = (machine: StoredObject) =>
    claimsOfMachine(machine.spec.template ?? {}).map((name) => claims.get(`${machine.metadata.namespace}/${name}`))

  const dataVolumesOf = (machine: StoredObject): StoredObject[] =>
    ((machine.spec.template?.spec?.volumes ?? []) as { dataVolume?: { name: string } }[]).flatMap(
      ({ dataVolume }) => (dataVolume && volumes.get(`${machine.metadata.namespace}/${dataVolume.name}`)) ?? [],
    )

  async function writeStatus(key: string, outcome: Outcome): Promise<void> {
    // Read again: the step has changed the machine or its instance, and the informers know.
    const machine = machines.get(key)
    if (!machine) return
    const instance = instances.get(key)
    const isOwn = instance && controllerOf(instance)?.uid === machine.metadata.uid
    const { failure, addStart } = outcome
    const status = machineStatus({
      machine,
      instance: isOwn ? instance : undefined,
      claims: claimsOf(machine),
      dataVolumes: dataVolumesOf(machine),
      failure: failure && { reason: failure.reason, message: failure.message },
      ...(addStart && { addStart }),
      now: clock.now(),
      chance: Math.random(),
    })
    if (!semanticallyEqual(status, machine.status)) await client.updateStatus(virtualMachines, { ...machine, status })
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const machine = machines.get(key)
    if (!machine) return undefined
    const instance = await instanceOf(machine)
    if (instance === 'foreign') {
      const text = `a VirtualMachineInstance named ${machine.metadata.name} exists that is not this machine's: delete it`
      const message = `Error creating virtual machine instance ${machine.metadata.name}: ${text}`
      await writeStatus(key, { failure: { reason: 'FailedCreate', message, error: undefined } })
      return undefined
    }
    if (machine.metadata.deletionTimestamp && !instance) {
      await setFinalizer(context, virtualMachines, machine, machineFinalizer, false)
      return undefined
    }
    if (!machine.metadata.deletionTimestamp && !isHeld(machine, machineFinalizer)) {
      await setFinalizer(context, virtualMachines, machine, machineFinalizer, true)
      // What comes next must be decided on the machine as it is now.
      return { requeueAfter: 0 }
    }
    const rest = withoutAbsentCards(machine, instance)
    if (rest && !machine.metadata.deletionTimestamp) {
      await client.patch(virtualMachines, machine.metadata.name, machine.metadata.namespace, 'merge', rest)
      return { requeueAfter: 0 }
    }
    let isFilled = true
    try {
      if (!machine.metadata.deletionTimestamp) {
        isFilled = await filled(machine)
        if (!(await prepared(machine))) return { requeueAfter: 0 }
      }
    } catch (error) {
      return await missing(key, error)
    }
    // A failure to start is counted before the failed instance is replaced.
    if (instance && isFinished(instance)) await writeStatus(key, {})
    const current = withOpenRequests(machines.get(key) ?? machine, instance)
    const step = nextStep(current, instance, clock.now())
    // The end of the import comes as a change of the DataVolume.
    const outcome = step.kind === 'start' && !isFilled ? {} : await take(key, step, current, instance)
    await writeStatus(key, outcome)
    if (outcome.failure) throw outcome.failure.error
    return outcome.requeueAfter === undefined ? undefined : { requeueAfter: outcome.requeueAfter }
  }
}
