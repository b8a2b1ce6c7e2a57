// A snapshot of a machine, as it is at this moment: running, with or without its memory, or off.

import type { Client } from '../../client/client.ts'
import { isRunning, type Machine, type Observer } from './machine.ts'
import type { SavedState } from './saved-states.ts'
import { copyLive } from './snapshot-live.ts'
import { copyWithMemory } from './snapshot-memory.ts'

export interface SnapshotOrder {
  /** The directory to fill. */
  into: string
  /** Files of claims, and where their copies are to be. */
  disks: { volume: string; size: number; from: string; to: string }[]
  memory: boolean
}

export interface SnapshotTaker {
  /**
   * Copies the disks of a machine that runs; 'off' when it does not, and nothing is done. The state of its memory where
   * that was asked for. @throws Error when it cannot be done now
   */
  snapshot(machine: { namespace: string; name: string }, order: SnapshotOrder): Promise<'off' | 'copied' | SavedState>
}

const instances = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }

interface TakerOptions {
  machines: Map<string, Machine>
  observer: Observer
  client: Client
}

export function createSnapshotTaker(options: TakerOptions): SnapshotTaker {
  /** The jobs of a QEMU have one set of names: whoever comes second waits. */
  const turns = new WeakMap<Machine, Promise<unknown>>()

  function inTurn<T>(machine: Machine, work: () => Promise<T>): Promise<T> {
    const mine = (turns.get(machine) ?? Promise.resolve()).then(work)
    turns.set(
      machine,
      mine.catch(() => {}),
    )
    return mine
  }

  return {
    async snapshot(named, order) {
      const machine = [...options.machines.values()].find(
        ({ record }) => record.namespace === named.namespace && record.name === named.name && !record.result,
      )
      return machine ? inTurn(machine, () => take(options, machine, order)) : 'off'
    },
  }
}

async function take(
  { observer, client }: TakerOptions,
  machine: Machine,
  { into, disks, memory }: SnapshotOrder,
): Promise<'off' | 'copied' | SavedState> {
  const { namespace, name, result } = machine.record
  if (result) return 'off'
  if (machine.starting || machine.saving || !isRunning(machine))
    throw new Error(`${namespace}/${name} is on its way up or down: a snapshot waits for it`)
  if (memory) return copyWithMemory(machine, observer, await client.get(instances, name, namespace), into, disks)
  await copyLive(machine, observer, disks)
  return 'copied'
}
