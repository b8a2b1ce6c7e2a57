// The probes of all containers of one Pod, tied to what is known about it.

import type { Shared } from './options.ts'
import { allContainers, type Container, fieldPathOf } from './pod.ts'
import { runProbe } from './probe-actions.ts'
import { type ProbeKind, type ProbeWatch, watchProbes } from './probes.ts'
import type { ContainerRecord } from './records.ts'
import { type PodView, podIPs } from './view.ts'

export interface Probing {
  /** A container runs (again): begins unless its hook still runs. */
  watch(record: ContainerRecord): void
  /** The same for one that ran before Tandem did: it stays ready until a probe says otherwise. */
  takeOver(record: ContainerRecord): void
  forget(containerId: string): void
  /** From now on nothing restarts a container. */
  onlyReadiness(): void
  stop(): void
}

interface Tools {
  shared: Shared
  changed(): void
  restart(record: ContainerRecord, message: string, graceSeconds?: number): void
}

const titles: Record<ProbeKind, string> = { startup: 'Startup', readiness: 'Readiness', liveness: 'Liveness' }

export function createProbing(view: PodView, { shared, changed, restart }: Tools): Probing {
  const watches = new Map<string, ProbeWatch>()

  function begin(record: ContainerRecord, before: { started: boolean; ready: boolean }): void {
    const container = allContainers(view.pod).find(({ name }) => name === record.name) as Container | undefined
    if (!container || record.hookRuns || watches.has(record.id) || view.terminating) return
    const { startupProbe, readinessProbe, livenessProbe } = container
    if (!startupProbe && !readinessProbe && !livenessProbe) return
    view.probes.set(record.id, before)
    const path = fieldPathOf(view.pod, record.name)
    const podIP = () => podIPs(view, shared.node)[0] ?? ''
    const watch = watchProbes(
      { startedAt: record.startedAt, startupProbe, readinessProbe, livenessProbe, ...before },
      {
        run: (_kind, probe) =>
          runProbe(shared.containerd.cri, probe, { container, containerId: record.id, podIP: podIP() }),
        changed(verdicts) {
          view.probes.set(record.id, verdicts)
          changed()
        },
        failed(kind) {
          const probe = kind === 'startup' ? startupProbe : livenessProbe
          const message = `Container ${record.name} failed ${kind} probe, will be restarted`
          restart(record, message, probe?.terminationGracePeriodSeconds)
        },
        unhealthy(kind, output) {
          shared.record(view.pod, 'Warning', 'Unhealthy', `${titles[kind]} probe failed: ${output}`, path)
        },
      },
      shared.clock,
    )
    watches.set(record.id, watch)
  }

  return {
    watch: (record) => begin(record, { started: false, ready: false }),
    takeOver(record) {
      const { containerStatuses, initContainerStatuses } = view.pod.status ?? {}
      const known = [...(containerStatuses ?? []), ...(initContainerStatuses ?? [])].find(
        ({ containerID }) => containerID === `containerd://${record.id}`,
      )
      begin(record, { started: known?.started === true, ready: known?.ready === true })
    },
    forget(containerId) {
      watches.get(containerId)?.stop()
      watches.delete(containerId)
    },
    onlyReadiness() {
      for (const watch of watches.values()) watch.onlyReadiness()
    },
    stop() {
      for (const watch of watches.values()) watch.stop()
      watches.clear()
    },
  }
}
