// kubectl debug on the Pod that shows a machine: each ephemeral container that is asked for becomes a Pod of its own in the
// machine's network, admitted as any Pod of whoever asks, and is noted on the instance.

import { conflict, invalid } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { validateEphemeralUpdate } from '../kinds/core/pod-update-rules.ts'
import {
  type DebugContainer,
  debugContainersAnnotation,
  debugContainersOf,
  debugContainersText,
  debugPod,
} from '../kinds/kubevirt/debug-containers.ts'
import { type Call, methodNotAllowed, writeOptions } from './call.ts'
import type { Stored } from './objects.ts'
import { createObject } from './persist.ts'
import type { Resource } from './registry.ts'
import { patchedObject } from './verbs/patch.ts'
import { updatedObject } from './verbs/update.ts'

export interface ShownMachine {
  /** The Pod that shows it. */
  pod: StoredObject
  instance: Stored
  instances: Resource
}

/** @returns the instance, with what was asked for */
export async function addDebugContainers(call: Call, machine: ShownMachine): Promise<StoredObject> {
  const { pod, instance } = machine
  const options = writeOptions(call)
  const wanted = askedFor(call, pod)
  const errors = validateEphemeralUpdate(wanted, pod)
  if (errors.length) throw invalid('Pod', pod.metadata.name, errors, '')
  const known = new Set((pod.spec.ephemeralContainers ?? []).map(({ name }: { name: string }) => name))
  const added: DebugContainer['container'][] = (wanted.spec.ephemeralContainers ?? []).filter(
    ({ name }: { name: string }) => !known.has(name),
  )
  const info = { ...call.info, verb: 'create', subresource: '', name: '' }
  let noted = instance.object
  for (const asked of added) {
    if (asked.targetContainerName)
      call.warnings.push(
        `spec.ephemeralContainers[${asked.name}].targetContainerName: has no effect, the processes of ${asked.targetContainerName} are those of a guest`,
      )
    const made = await createObject({ ...call, info }, debugPod(instance.object, pod, asked), options)
    const [container] = made.object.spec.containers
    const { targetContainerName } = asked
    const entry = {
      container: { ...container, ...(targetContainerName !== undefined && { targetContainerName }) },
      pod: made.object.metadata.name,
    }
    noted = options.dryRun ? withEntry(noted, entry) : await note(call, machine, entry)
  }
  return noted
}

function askedFor(call: Call, pod: StoredObject): ApiObject {
  switch (call.info.verb) {
    case 'patch':
      return patchedObject(call, pod)
    case 'update':
      return updatedObject(call)
    default:
      throw methodNotAllowed()
  }
}

function withEntry(instance: StoredObject, entry: DebugContainer): StoredObject {
  const { metadata } = instance
  const text = debugContainersText([...debugContainersOf(instance), entry])
  return {
    ...instance,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [debugContainersAnnotation]: text } },
  }
}

/** Until it is noted nothing runs; one that never is goes again (controllers/machine-debug.ts). */
function note({ engine: { objects } }: Call, { instance, instances }: ShownMachine, entry: DebugContainer) {
  const { namespace, name, uid } = instance.object.metadata
  return objects.exclusively(objects.key(instances, namespace!, name), async () => {
    const current = objects.get(instances, namespace!, name)
    if (current?.object.metadata.uid !== uid)
      throw conflict('virtualmachineinstances', name, 'the machine was stopped meanwhile', 'kubevirt.io')
    return (await objects.replace(instances, current, withEntry(current.object, entry))).object
  })
}
