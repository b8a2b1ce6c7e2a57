// Endpoints that people write for Services without a selector are mirrored to EndpointSlices.

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { isMirrored, mirrorManager, planMirror } from './endpoint-mirror-plan.ts'
import { managedByLabel, serviceLabel } from './endpoint-plan.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { endpointSlices, endpoints, services } from './resources.ts'

const indexName = 'mirrored'

const keysOfSlice = ({ metadata }: StoredObject): string[] =>
  metadata.labels?.[managedByLabel] === mirrorManager && metadata.labels[serviceLabel]
    ? [`${metadata.namespace}/${metadata.labels[serviceLabel]}`]
    : []

export const endpointMirror: ControllerDefinition = {
  name: 'endpointslicemirroring',
  start(context) {
    const { client, informers } = context
    const record = context.recorder('endpoint-slice-mirroring-controller')
    const slices = informers.informer(endpointSlices)
    slices.addIndex(indexName, keysOfSlice)

    async function remove({ metadata }: StoredObject): Promise<void> {
      const { name, namespace, uid } = metadata
      await client.delete(endpointSlices, name, namespace, { preconditions: { uid } }).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
    }

    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const written = informers.informer(endpoints).get(key)
      const existing = slices.byIndex(indexName, key)
      if (!written || !isMirrored(written, informers.informer(services).get(key))) {
        await Promise.all(existing.map(remove))
        return undefined
      }
      const plan = planMirror(written, existing)
      if (plan.invalid)
        record(
          written,
          'Warning',
          'InvalidIPAddress',
          `Skipped ${plan.invalid} invalid IP addresses when mirroring to EndpointSlices`,
        )
      if (plan.skipped)
        record(
          written,
          'Warning',
          'TooManyAddressesToMirror',
          `A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. ${plan.skipped} addresses were skipped`,
        )
      if (!written.metadata.deletionTimestamp)
        for (const slice of plan.create)
          await client.create(endpointSlices, slice).catch((error) => {
            if (!isNamespaceTerminating(error)) throw error
          })
      for (const slice of plan.update) await client.update(endpointSlices, slice)
      for (const slice of plan.delete) await remove(slice)
      return undefined
    }

    const watched = [
      { ref: endpoints, keys: itself },
      { ref: services, keys: itself },
      { ref: endpointSlices, keys: keysOfSlice },
    ]
    return reconcileOn(context, 'endpointslicemirroring', watched, sync)
  },
}
