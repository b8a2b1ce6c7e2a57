// What a worker of one Pod is given, and what the driver may ask of it.

import type { StoredObject } from '../../api/meta.ts'
import type { SyncResult } from '../workload.ts'
import type { ImageVolumes } from './image-volumes.ts'
import type { Shared } from './options.ts'
import type { PodObject } from './pod.ts'
import type { PodFiles } from './pod-files.ts'
import type { Puller } from './pulling.ts'
import type { ContainerStarter } from './start-container.ts'
import type { PodView } from './view.ts'

export interface WorkerTools {
  shared: Shared
  files: PodFiles
  puller: Puller
  imageVolumes: ImageVolumes
  starter: ContainerStarter
  /** This node as the API has it; looked at when the Pod is new. */
  node: StoredObject | undefined
  /** The Pods that run on this machine beside this one and have not ended; 'exact' also leaves out those that have just
   * ended and whose objects may not say so yet. */
  others(exact?: 'exact'): PodObject[]
  /** Something is new: the host should call sync. */
  changed(): void
  /** From now on events of this container or sandbox belong to this Pod. */
  owns(runtimeId: string): void
}

/** The node ends a Pod for its own sake. */
export interface Eviction {
  reason: string
  message: string
  /** Its status gets a DisruptionTarget condition: it is not the Pod's own fault. */
  disruption?: boolean
  graceSeconds?: number
}

export interface Worker {
  evict(eviction: Eviction): void
  update(pod: PodObject): void
  report(): SyncResult
  /** Brings new content of ConfigMaps and the like into its volumes. */
  refreshVolumes(): void
  /** Removes dead containers that another one has replaced. */
  forgetDead(): void
  /** Nothing of a deleted Pod runs any more. */
  stopped(): boolean
  /** A container or the sandbox ended. */
  ended(runtimeId: string): Promise<void>
  readonly view: PodView
  /** Ends timers and probes; what runs, runs on. Resolves when nothing is under way any more. */
  close(): Promise<void>
}
