// Everything the driver knows about one Pod at one moment: plan and status are functions of it.

import type { PodObject, Resources } from './pod.ts'
import type { ContainerRecord, SandboxRecord } from './records.ts'

/** Why a container does not run yet, in the API's words. */
export interface Waiting {
  reason: string
  message?: string
  /** Not tried again before (milliseconds since 1970). */
  until?: number
}

export interface ProbeVerdicts {
  started: boolean
  ready: boolean
}

export interface PodView {
  pod: PodObject
  /** The newest one. */
  sandbox: SandboxRecord | undefined
  /** By container name, newest first. */
  containers: Map<string, ContainerRecord[]>
  waiting: Map<string, Waiting>
  /** By container id; absent = no probe has spoken. */
  probes: Map<string, ProbeVerdicts>
  /** Containers that something is being done to. */
  busy: Set<string>
  sandboxBusy: boolean
  /** Ended by the node (deadline …), whatever its containers did. */
  ended: { reason: string; message: string; disruption?: boolean; graceSeconds?: number } | undefined
  terminating: boolean
  startTime: number
  /** Requests and limits that the node has granted, by container name and '' for the Pod as a whole. */
  granted: Map<string, Resources>
  resize: ResizeState
  /** Resources of the Pod as a whole that its group has. */
  wholeApplied?: Resources
}

export interface ResizeState {
  /** What was asked for is not granted yet, or never will be. */
  pending?: { reason: 'Deferred' | 'Infeasible'; message: string }
  /** Granted and not everywhere in effect; with what went wrong last. */
  inProgress?: { error?: string }
}

export const newest = (view: PodView, name: string): ContainerRecord | undefined => view.containers.get(name)?.[0]

/** Of everything in the runtime that counts for the Pod. */
export function idsOf({ sandbox, containers }: PodView): Set<string> {
  const records = [...containers.values()].flat()
  return new Set([...(sandbox ? [sandbox.id] : []), ...records.flatMap(({ id, sandboxId }) => [id, sandboxId])])
}

export const podIPs = ({ pod, sandbox }: PodView, node: { addresses: string[] }): string[] =>
  pod.spec.hostNetwork ? node.addresses.slice(0, 1) : (sandbox?.addresses ?? [])

export type RunningRecord = ContainerRecord & { state: 'running' }

export const isRunning = (record: ContainerRecord | undefined): record is RunningRecord => record?.state === 'running'

export const runningContainers = (view: PodView): ContainerRecord[] =>
  [...view.containers.values()].flat().filter(isRunning)

/** Has passed its startup probe and hook: what comes after it may start. */
export const isStarted = (view: PodView, record: ContainerRecord, hasStartupProbe: boolean): boolean =>
  isRunning(record) && !record.hookRuns && (!hasStartupProbe || view.probes.get(record.id)?.started === true)
