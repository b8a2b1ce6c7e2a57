// Which runtime classes are compared, in which order, and what somebody who breaks out of each would meet. Pure.

import type { StoredObject } from '../../api/meta.ts'
import { type Level, levelOfClass, levels } from '../../kinds/isolation/levels.ts'
import { readinessOf, reasonOf } from '../../kinds/node/runtime-readiness.ts'
import { CommandError } from '../output.ts'

export interface Isolation {
  /** Of the RuntimeClass. */
  name: string
  handler: string
  level: Level
  /** Its first Pod fetches what it needs. */
  fetches: boolean
}

export interface NotReady {
  name: string
  reason: string
}

/** The weakest first. @throws CommandError when a name that was asked for is not there, or nothing is ready */
export function isolationsOf(
  classes: StoredObject[],
  only?: string[],
): { isolations: Isolation[]; notReady: NotReady[] } {
  const strangers = (only ?? []).filter((name) => !classes.some(({ metadata }) => metadata.name === name))
  if (strangers.length)
    throw new CommandError(
      `there is no RuntimeClass ${strangers.join(', ')}: choose of ${classes.map(({ metadata }) => metadata.name).join(', ')}`,
      2,
    )
  const wanted = classes.filter(({ metadata }) => !only || only.includes(metadata.name))
  const isolations = wanted.filter(isReady).map((object) => ({
    name: object.metadata.name,
    handler: String(object.handler ?? ''),
    level: levelOfClass(object),
    fetches: readinessOf(object) === 'OnDemand',
  }))
  const notReady = wanted
    .filter((object) => !isReady(object))
    .map((object) => ({ name: object.metadata.name, reason: reasonOf(object) || 'its handler is not known here' }))
  if (isolations.length === 0) {
    const why = notReady.map(({ name, reason }) => `${name}: ${reason}`).join('; ')
    throw new CommandError(`no isolation is ready (${why}): see 'kubectl get runtimeclass'`)
  }
  return { isolations: isolations.toSorted((a, b) => orderOf(a) - orderOf(b) || (a.name < b.name ? -1 : 1)), notReady }
}

const isReady = (object: StoredObject): boolean => ['True', 'OnDemand'].includes(readinessOf(object))

const orderOf = ({ level, handler }: Isolation): number => 2 * levels.indexOf(level) + (handler === 'runc' ? 0 : 1)

const thisKernel = "this machine's kernel"
const guests = (monitor: string) => `the guest's kernel, then ${monitor}, then ${thisKernel}`

/** What stands behind the container, the nearest first. */
export function breakOut(handler: string, level: Level): string {
  if (handler === 'runsc') return `gVisor's kernel, a process that may make few system calls, then ${thisKernel}`
  if (handler === 'microvm') return guests("a QEMU without privileges in the Pod's namespaces")
  if (handler === 'kata-fc') return guests('Firecracker')
  if (handler === 'microvm-clh') return guests("a Cloud Hypervisor without privileges in the Pod's namespaces")
  if (handler === 'kata-clh') return guests('Cloud Hypervisor')
  if (handler === 'wasm') return `the sandbox of the WebAssembly runtime, then ${thisKernel}`
  if (level === 'container') return `${thisKernel}: only namespaces, capabilities and control groups are in between`
  return level === 'sandboxed' ? `another kernel's interface, then ${thisKernel}` : guests('its monitor')
}
