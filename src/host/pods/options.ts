// What the Pod driver is given, and what its parts share.

import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'
import type { Client } from '../../client/client.ts'
import type { Images } from '../images/images.ts'
import type { Network } from '../network/network.ts'
import type { StatePaths } from '../state.ts'
import type { Volumes } from '../volumes/volumes.ts'
import type { EventRecorder } from '../workload.ts'
import type { Backoff } from './backoff.ts'
import type { Containerd } from './containerd.ts'
import type { NodeFacts } from './field-values.ts'
import type { Room } from './resize.ts'

export interface PodsOptions {
  paths: StatePaths
  containerd: Containerd
  /** Of the runtimes whose sandbox is a machine that all containers are in. */
  machineHandlers: ReadonlySet<string>
  /** Before a sandbox of this handler is made: fetches and tries what it needs. @throws Error with what to do */
  prepareRuntime?: (handler: string) => Promise<void>
  client: Client
  volumes: Volumes
  images: Images
  network: Pick<Network, 'resolver' | 'protect' | 'joinPod' | 'leavePod' | 'machineNamespace'>
  record: EventRecorder
  node: NodeFacts
  clusterDomain: string
  /** "/tandem-<instance>" */
  cgroupParent: string
  clock?: Clock
  log?: Logger
}

export interface Shared extends PodsOptions {
  clock: Clock
  log: Logger
  restarts: Backoff
  pulls: Backoff
  /** What this node has beside all Pods but this one. */
  roomFor(podUid: string): Room
}
