// Claims that grew: a volume of the local class gets the new size, which the claim then shows; other volumes wait for their
// driver (pkg/controller/volume/expand, 1.36). A directory has no size of its own, so nothing on the machine changes; the
// disk of a virtual machine that runs grows by the machine driver.

import type { StoredObject } from '../api/meta.ts'
import { compareQuantities, tryParseQuantity } from '../api/quantity.ts'
import { localProvisioner, provisionedBy } from '../kinds/storage/local-provisioner.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { persistentVolumeClaims, persistentVolumes } from './resources.ts'

const isLess = (amount: unknown, than: unknown): boolean => {
  const [a, b] = [amount, than].map((text) => tryParseQuantity(String(text ?? '0')))
  return a !== undefined && b !== undefined && compareQuantities(a, b) < 0
}

/** What is to be done for a bound claim. Pure. */
export function expansion(claim: StoredObject, volume: StoredObject): 'none' | 'grow' | 'wait' {
  const wanted = claim.spec?.resources?.requests?.storage
  if (claim.status?.phase !== 'Bound' || !isLess(volume.spec?.capacity?.storage, wanted)) return 'none'
  return volume.metadata.annotations?.[provisionedBy] === localProvisioner ? 'grow' : 'wait'
}

export const volumeExpander: ControllerDefinition = {
  name: 'persistentvolume-expander',
  start(context) {
    const { client, informers } = context
    const record = context.recorder('volume_expand')
    const claims = informers.informer(persistentVolumeClaims)
    const volumes = informers.informer(persistentVolumes)
    return reconcileOn(
      context,
      'persistentvolume-expander',
      [
        { ref: persistentVolumeClaims, keys: itself },
        {
          ref: persistentVolumes,
          keys: ({ spec }) => (spec?.claimRef?.name ? [`${spec.claimRef.namespace}/${spec.claimRef.name}`] : []),
        },
      ],
      async (key) => {
        const claim = claims.get(key)
        const volume = claim?.spec?.volumeName ? volumes.get(claim.spec.volumeName) : undefined
        if (!claim || claim.metadata.deletionTimestamp || volume?.spec.claimRef?.uid !== claim.metadata.uid)
          return undefined
        const step = expansion(claim, volume!)
        if (step === 'none') return undefined
        if (step === 'wait') {
          record(claim, 'Normal', 'ExternalExpanding', 'waiting for an external controller to expand this PVC')
          return undefined
        }
        const capacity = { ...volume!.spec.capacity, storage: claim.spec.resources.requests.storage }
        await client.update(persistentVolumes, { ...volume!, spec: { ...volume!.spec, capacity } })
        record(claim, 'Normal', 'VolumeResizeSuccessful', `Resize volume succeeded for volume ${key}`)
        return undefined
      },
      1,
    )
  },
}
