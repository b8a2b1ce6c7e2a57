// The order in which the containers of a Pod end: main containers first, then sidecars, the last one first.

import { initContainers, isSidecar, type PodObject } from './pod.ts'
import type { ContainerRecord } from './records.ts'

/** All preStop hooks run at once; the signals wait for their turn. */
export async function stopInOrder(
  pod: PodObject,
  running: ContainerRecord[],
  stop: (record: ContainerRecord, turn?: Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  const sidecars = initContainers(pod)
    .filter(isSidecar)
    .map(({ name }) => name)
  let last: Promise<unknown> = Promise.all(
    running.filter(({ name }) => !sidecars.includes(name)).map((record) => stop(record)),
  )
  const all = [last]
  for (const name of sidecars.toReversed()) {
    const before = last
    last = Promise.all(running.filter((record) => record.name === name).map((record) => stop(record, before)))
    all.push(last)
  }
  await Promise.all(all)
}
