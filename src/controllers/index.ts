// The list of controllers, and their start.

import type { KindDefinition } from '../api/kind.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import { createCachingClient } from '../client/caching-client.ts'
import type { Client } from '../client/client.ts'
import type { CachingInformerFactory } from '../client/informer.ts'
import { createRecorder, type Recorder } from '../client/record.ts'
import type { ControllerContext, ControllerDefinition, ControllerSettings } from './controller.ts'
import { deployment } from './deployment.ts'
import { endpoint, endpointSlice } from './endpoints.ts'
import { garbageCollector } from './garbage-collector.ts'
import { job } from './job.ts'
import { jobExpiry } from './job-expiry.ts'
import { kubernetesService } from './kubernetes-service.ts'
import { namespaceLifecycle } from './namespace.ts'
import { nodeLifecycle } from './node-lifecycle.ts'
import { podCollector } from './pod-collector.ts'
import { replicaSet } from './replicaset.ts'
import { scheduler } from './scheduler.ts'
import { rootCaPublisher, serviceAccount } from './service-account.ts'
import { virtualMachine, virtualMachineInstance } from './virtualmachine.ts'
import { volumeBinder } from './volume-binder.ts'
import { claimProtection, volumeProtection } from './volume-protection.ts'

export const controllers: ControllerDefinition[] = [
  namespaceLifecycle,
  serviceAccount,
  rootCaPublisher,
  kubernetesService,
  deployment,
  replicaSet,
  job,
  jobExpiry,
  scheduler,
  virtualMachine,
  virtualMachineInstance,
  volumeBinder,
  claimProtection,
  volumeProtection,
  endpoint,
  endpointSlice,
  garbageCollector,
  podCollector,
  nodeLifecycle,
]

export interface ControllersOptions {
  client: Client
  informers: CachingInformerFactory
  clock: Clock
  log: Logger
  /** Every kind that the server serves now; asked again from time to time. */
  kinds: () => readonly KindDefinition[]
  settings: ControllerSettings
}

export interface RunningControllers {
  /** Resolves when the running reconciles have ended and the last events are written. */
  stop(): Promise<void>
}

/** Starts every controller of the list; they begin their work when their informers are filled. */
export function startControllers(options: ControllersOptions, list = controllers): RunningControllers {
  const { informers, clock, kinds, settings } = options
  const log = options.log.child('controllers')
  const recorders: Recorder[] = []
  const context: ControllerContext = {
    client: createCachingClient(options.client, informers),
    informers,
    clock,
    log,
    kinds,
    settings,
    recorder(component) {
      const recorder = createRecorder({ client: options.client, component, clock, log })
      recorders.push(recorder)
      return recorder.record
    },
  }
  const running = list.map((definition) => definition.start(context))
  return {
    async stop() {
      await Promise.all(running.map((controller) => controller.stop()))
      await Promise.all(recorders.map((recorder) => recorder.flush()))
    },
  }
}
