// What is saved of a machine goes with its VirtualMachine: now, for deletes that nobody saw, and at each delete.

import type { InformerFactory } from '../../client/informer.ts'
import type { StatePaths } from '../state.ts'
import { createSavedStates } from './saved-states.ts'

export async function keepSavedStates(options: {
  informers: InformerFactory
  paths: Pick<StatePaths, 'saved'>
}): Promise<void> {
  const saved = createSavedStates(options.paths.saved)
  const machines = options.informers.informer({ group: 'kubevirt.io', version: 'v1', resource: 'virtualmachines' })
  await machines.synced()
  const uids = new Set(machines.list().map((machine) => machine.metadata.uid))
  for (const [owner] of saved.all()) if (!uids.has(owner)) saved.forget(owner)
  machines.addHandler({ changed: () => {}, removed: (last) => saved.forget(last.metadata.uid) })
}
