// A Pod in the network of a virtual machine (kubectl debug): whether it may be, and how its sandbox is asked for.

import { join } from 'node:path'
import type { StoredObject } from '../../../api/meta.ts'
import { instanceBeside, isBeside } from '../../../kinds/kubevirt/debug-containers.ts'
import type { RuntimeHandler } from '../containerd-config.ts'
import type { Shared } from '../options.ts'
import type { PodObject } from '../pod.ts'
import { find } from '../sources.ts'

/** Of containerd; no RuntimeClass names it. */
export const besideHandler = 'beside-machine'

/** The sandbox's namespace; a Pod's own annotation of this name is never handed on. */
export const netnsAnnotation = 'tandem.dev/netns'

export const besideRuntime = (): RuntimeHandler => ({
  type: 'io.containerd.runc.v2',
  podAnnotations: [netnsAnnotation],
  options: { BinaryName: join(import.meta.dirname, 'runc-beside-machine') },
})

const instances = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }

export const wantsMachineNetwork = (pod: Pick<PodObject, 'metadata'>): boolean =>
  instanceBeside(pod as { metadata: { annotations?: Record<string, string> } }) !== undefined

/** The namespace that it is to be in. @throws Error where it may not be there */
export async function netnsOfMachine(shared: Pick<Shared, 'client' | 'network'>, pod: PodObject): Promise<string> {
  const name = instanceBeside(pod as { metadata: { annotations?: Record<string, string> } })!
  const what = `virtualmachineinstance "${name}"`
  const instance = await find(shared.client, instances, name, pod.metadata.namespace)
  if (!instance || !isBeside(pod as unknown as StoredObject, instance))
    throw new Error(`${what} does not list this Pod: kubectl debug makes one that it does`)
  if (pod.spec.runtimeClassName)
    throw new Error(`${what}: a Pod beside it is in no other isolation; leave spec.runtimeClassName out`)
  const netns = shared.network.machineNamespace(instance.metadata.uid)
  if (!netns) throw new Error(`${what} has no network to share; kubectl exec runs commands in its guest`)
  return netns
}
