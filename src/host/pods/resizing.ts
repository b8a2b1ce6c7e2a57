// The effects of an in-place resize: asks the node, changes running containers, tells in Events. What is to be done stands in
// resize.ts.

import { limitGroup, memoryUsed } from './cgroups.ts'
import type { Shared } from './options.ts'
import { fieldPathOf, wholeUnits } from './pod.ts'
import type { ContainerRecord } from './records.ts'
import { isWholeOpen, openResizes, type ResizeStep, settle, wholeGoesFirst, wholePod } from './resize.ts'
import { cgroupLimits, podCgroup, withKernel } from './resources.ts'
import { cgroupOfPod } from './spec.ts'
import { isRunning, newest, type PodView } from './view.ts'

export interface Resizing {
  /** Grants what now fits, and notices what is done. */
  settle(): void
  /** A change failed a moment ago. */
  coolsDown(): boolean
  resize(step: ResizeStep): Promise<void>
  /** Brings the Pod's own group to what is granted; the sandbox counts as busy meanwhile. */
  resizePod(): Promise<void>
  /** Limits of the Pod as a whole, where it has some. */
  limitPod(): Promise<void>
  /** When something that waits may have become possible. */
  lookAgainAt(): number | undefined
}

const retryMs = 5000

export function createResizing(view: PodView, shared: Shared, changed: () => void): Resizing {
  const { clock, node } = shared
  const { cri } = shared.containerd
  let blockedUntil = 0

  const groupOfPod = () => cgroupOfPod(view.pod, shared.cgroupParent)

  /** The kernel would kill what uses more than its new limit. */
  async function checkMemory(record: ContainerRecord, bounds: Record<string, string>): Promise<void> {
    const limit = wholeUnits(bounds.memory)
    if (limit === 0 || limit >= wholeUnits(record.bounds?.memory)) return
    const used = await memoryUsed(`${groupOfPod()}/${record.id}`)
    if (used !== undefined && used >= limit)
      throw new Error(`attempting to set pod memory limit (${limit}) below current usage (${used})`)
  }

  async function limitPod(): Promise<void> {
    const whole = view.granted.get(wholePod)
    if (!whole) return
    await limitGroup(groupOfPod(), podCgroup(whole))
    view.wholeApplied = whole
  }

  function failed(error: unknown, path?: string): void {
    const { message } = error as Error
    view.resize.inProgress = { error: message }
    blockedUntil = clock.now() + retryMs
    shared.record(view.pod, 'Warning', 'ResizeError', message, path)
  }

  return {
    limitPod,
    coolsDown: () => blockedUntil > clock.now(),
    lookAgainAt: () =>
      view.resize.pending?.reason === 'Deferred' || view.resize.inProgress?.error !== undefined
        ? clock.now() + retryMs
        : undefined,
    settle() {
      const before = JSON.stringify(view.resize)
      settle(view, { cpu: node.cpu * 1000, memory: node.memoryBytes }, () => shared.roomFor(view.pod.metadata.uid))
      // One that is being restarted for it is not done yet; one that never ran will begin with what is granted.
      const allRun = view.pod.spec.containers.every(({ name }) => !newest(view, name) || isRunning(newest(view, name)))
      if (view.resize.inProgress && allRun && !isWholeOpen(view) && openResizes(view).length === 0) {
        delete view.resize.inProgress
        shared.record(view.pod, 'Normal', 'ResizeCompleted', 'Pod resize completed')
      }
      if (JSON.stringify(view.resize) !== before) changed()
    },
    async resizePod() {
      try {
        await limitPod()
      } catch (error) {
        failed(error)
      } finally {
        view.sandboxBusy = false
      }
    },
    async resize({ container, record, resources, bounds }) {
      try {
        if (isWholeOpen(view) && wholeGoesFirst(view)) await limitPod()
        await checkMemory(record, bounds)
        const handler = view.sandbox?.handler ?? ''
        const limits = cgroupLimits(view.pod, container, node.memoryBytes, resources, bounds)
        const linux = withKernel(handler, view.pod, limits)
        // runsc has no `update`; its group is like any other.
        if (handler === 'runsc') await limitGroup(`${groupOfPod()}/${record.id}`, linux)
        else await cri.updateContainerResources({ containerId: record.id, linux })
        const now = newest(view, container.name)
        if (now?.id === record.id) Object.assign(now, { resources, bounds })
      } catch (error) {
        failed(error, fieldPathOf(view.pod, container.name))
      } finally {
        view.busy.delete(container.name)
      }
    },
  }
}
