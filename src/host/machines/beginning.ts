// How a machine begins: what must be there first, the start beside the sync, and when a failed one is tried again.

import { fieldErrorBody } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { backoffDelay } from '../../base/retry.ts'
import { validateInstance } from '../../kinds/kubevirt/instance-rules.ts'
import type { LifecycleOptions } from './lifecycle.ts'
import type { Machine } from './machine.ts'
import { Inexpressible } from './option.ts'
import { type StartRooms, startMachine } from './start.ts'
import { userOf } from './user.ts'
import { Waiting } from './waiting.ts'

export interface Beginning {
  begin(machine: Machine, object: StoredObject): void
  /** Tells of a failure, and puts the next try off. */
  failed(machine: Machine, object: StoredObject, reason: string, message: string): void
  /** What a start works with; undefined where there is no emulator. */
  roomsOf(machine: Machine): StartRooms | undefined
}

const retryBackoff = { base: 1_000, max: 60_000, factor: 2 }

export function createBeginning(options: LifecycleOptions): Beginning {
  const { machines, observer, log, now, paths, record: event } = options

  function begin(machine: Machine, object: StoredObject): void {
    const problems = validateInstance(object.spec, 'spec')
    const emulator = options.emulator()
    if (problems.length)
      failed(
        machine,
        object,
        'Unsupported',
        problems.map((problem) => `${problem.field}: ${fieldErrorBody(problem)}`).join('; '),
      )
    else if (!emulator) failed(machine, object, 'QEMUNotReady', options.missing())
    else startWith(emulator, machine, object)
  }

  function roomsOf(machine: Machine): StartRooms | undefined {
    const emulator = options.emulator()
    return emulator && roomsFor(emulator, machine)
  }

  function roomsFor(emulator: { program: string; version: string }, machine: Machine): StartRooms {
    const { images, volumes, sources, network, instance, saved } = options
    const user = options.ownUsers === false ? undefined : userOf(machine, machines.values())
    const accelerator = options.accelerator()
    return {
      images,
      volumes,
      sources,
      network,
      instance,
      user,
      owner: user,
      log,
      emulator,
      saved,
      paths,
      accelerator,
      templates: options.templates,
      machines: () => machines.values(),
    }
  }

  function startWith(emulator: { program: string; version: string }, machine: Machine, object: StoredObject): void {
    const abort = new AbortController()
    const rooms = roomsFor(emulator, machine)
    machine.starting = { abort, phase: 'Scheduling', done: Promise.resolve() }
    machine.starting.done = startMachine(rooms, machine, object, observer)
      .then(
        () => {
          machine.problem = undefined
          machine.failures = 0
          event(object, 'Normal', 'Created', 'VirtualMachineInstance defined.')
          event(object, 'Normal', 'Started', 'VirtualMachineInstance started.')
        },
        (error) => {
          if (!abort.signal.aborted) failed(machine, object, ...reasonOf(error))
        },
      )
      .finally(() => {
        machine.starting = undefined
        observer.changed(machine.record.uid)
      })
  }

  function failed(machine: Machine, object: StoredObject, reason: string, message: string): void {
    if (machine.problem?.message !== message || machine.problem.reason !== reason)
      event(object, 'Warning', reason === 'Unsupported' ? 'SyncFailed' : reason, message)
    machine.problem = { reason, message }
    machine.retryAt = now() + backoffDelay(machine.failures++, retryBackoff)
  }

  return { begin, failed, roomsOf }
}

function reasonOf(error: unknown): [reason: string, message: string] {
  if (error instanceof Waiting) return [error.reason, error.message]
  return [error instanceof Inexpressible ? 'Unsupported' : 'SyncFailed', (error as Error).message]
}
