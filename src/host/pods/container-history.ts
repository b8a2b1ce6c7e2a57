// The containers that a Pod has and had, as its worker remembers them: the newest truth of each, and for how long.

import { ignoreNotFound } from './cri/client.ts'
import { lastWords } from './last-words.ts'
import type { Shared } from './options.ts'
import type { AnyContainer } from './pod.ts'
import type { PodFiles } from './pod-files.ts'
import type { Probing } from './probing.ts'
import { type ContainerRecord, containerRecord, couldNotStart, rememberedOf } from './records.ts'
import { removeContainer } from './remove.ts'
import { isRunning, type PodView, runningContainers } from './view.ts'

/** A dead container that the last one has replaced is of no use; the one before stays for `logs --previous`. */
const keptContainers = 2

export interface History {
  put(record: ContainerRecord): Promise<void>
  /** Asks the runtime. A container that it does not know has ended, nobody can say how. */
  refresh(record: ContainerRecord): Promise<void>
  refreshAll(): Promise<unknown>
  /** Its end was reported before its start was. */
  endedEarly(id: string): void
  forgetOld(name: string): void
  /** Dead ones before the one that runs. */
  forgetDead(): void
  discard(record: ContainerRecord): Promise<void>
}

export interface HistoryParts {
  shared: Shared
  files: PodFiles
  probing: Probing
  spec(name: string): AnyContainer | undefined
  background(work: Promise<unknown>): void
}

export function createHistory(view: PodView, { shared, files, probing, spec, background }: HistoryParts): History {
  const { clock } = shared
  const { cri } = shared.containerd
  const over = new Set<string>()

  const knownOf = ({ name, id }: ContainerRecord) => view.containers.get(name)?.find((known) => known.id === id)

  /** Keeps the newest truth: an exit that was seen is not undone by an older answer. */
  async function put(record: ContainerRecord): Promise<void> {
    const known = knownOf(record)
    if (known?.state === 'exited' && record.state !== 'exited') return
    // Found half-made: that its start, which a Tandem that is gone had asked for, comes to nothing is no end of it.
    if (known?.state === 'created' && couldNotStart(record)) return
    // Its end is told by containerd's event, by its start and by the next look around, in any order.
    if (record.state === 'exited')
      record.message ||=
        known?.state === 'exited'
          ? known.message
          : await lastWords(files, view.pod.metadata.uid, spec(record.name), record)
    const list = view.containers.get(record.name) ?? []
    const index = list.findIndex(({ id }) => id === record.id)
    // Discarded meanwhile: it does not come back.
    if (known && index < 0) return
    if (index >= 0) list[index] = { ...record, ...rememberedOf(list[index]!) }
    else list.unshift(record)
    view.containers.set(record.name, list)
    if (!isRunning(record)) probing.forget(record.id)
    else if (over.delete(record.id)) await refresh(record)
    else probing.watch(record)
  }

  function forgetOld(name: string, kept = keptContainers): void {
    const list = view.containers.get(name) ?? []
    for (const record of list.splice(kept)) background(discard(record))
  }

  function forgetDead(): void {
    for (const [name, [newest]] of view.containers) if (newest && isRunning(newest)) forgetOld(name, 1)
  }

  async function discard(record: ContainerRecord): Promise<void> {
    await removeContainer(cri, record.id)
    await files.removeLogs(view.pod, record.name, record.restartCount)
    const list = view.containers.get(record.name) ?? []
    const left = list.filter(({ id }) => id !== record.id)
    if (left.length) view.containers.set(record.name, left)
    else view.containers.delete(record.name)
  }

  async function refresh(record: ContainerRecord): Promise<void> {
    const answer = await cri.containerStatus({ containerId: record.id }).catch(ignoreNotFound)
    const known = knownOf(record)
    // Discarded, or about to be: one that never ran has not ended.
    if (!known || (!answer?.status && known.state === 'created')) return
    if (answer?.status) await put(containerRecord(answer.status, record.sandboxId))
    else
      await put({
        ...record,
        state: 'exited',
        exitCode: 137,
        reason: 'ContainerStatusUnknown',
        finishedAt: clock.now(),
      })
  }

  return {
    put,
    refresh,
    refreshAll: () => Promise.all(runningContainers(view).map(refresh)),
    endedEarly: (id) => void over.add(id),
    forgetOld,
    forgetDead,
    discard,
  }
}
