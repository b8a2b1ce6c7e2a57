// What runs on this machine, whatever it is made of. A driver (pods: CRI; machines: QMP) brings one kind of object
// from desired to real, finds its own again after a restart, and answers for its status. Contract: workload.contract.ts.

import type { StoredObject } from '../api/meta.ts'

export type { EventRecorder } from '../client/record.ts'

/** What a sync found or did. */
export interface SyncResult {
  /** The whole new status of the object, or undefined when nothing changed. The host publishes it. */
  status?: Record<string, unknown>
  /** Come back after this many milliseconds (a probe, a back-off, a deadline). */
  requeueAfter?: number
}

/** A workload found on the machine itself, independent of the API. */
export interface FoundWorkload {
  uid: string
  namespace: string
  name: string
}

export interface WorkloadDriver {
  /** 'Pod' or 'VirtualMachineInstance' */
  readonly kind: string
  /** Makes the driver usable and finds what a former run left; called once before anything else. */
  start(): Promise<void>
  /** Conditions of the node that this driver answers for, e.g. {type: 'Ready', status, reason, message}. */
  conditions(): { type: string; status: 'True' | 'False' | 'Unknown'; reason: string; message: string }[]
  /** All uids with anything on this machine: processes, files, namespaces, mounts. */
  found(): Promise<FoundWorkload[]>
  /**
   * Brings the object one or more steps closer to its spec and reports. Called for each change of the object, after
   * `onChange`, and after requeueAfter; never twice at once for one uid. Idempotent. An object with a
   * deletionTimestamp is being stopped: the driver stops it gracefully within deletionGracePeriodSeconds.
   */
  sync(object: StoredObject): Promise<SyncResult>
  /** True when nothing of the stopped object runs any more, so that the object may go from the API. */
  stopped(uid: string): boolean
  /** Removes everything that the workload left (idempotent), for an object that is gone from the API. Kills what still runs. */
  remove(workload: FoundWorkload): Promise<void>
  /** The driver calls `listener` when something happened on the machine that a sync should look at. */
  onChange(listener: (uid: string) => void): void
  /** Lets go of everything without stopping any workload. */
  stop(): Promise<void>
}
