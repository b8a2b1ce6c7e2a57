// The frame of controllers that only keep a status: it follows from the object, and from others that it depends on.

import { objectKey, type ResourceRef, type StoredObject } from '../api/meta.ts'
import { equalJson } from '../api/walk/plain.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'

interface KeptStatus {
  name: string
  of: ResourceRef
  /** One of these that comes, goes or changes can change the status of any. */
  dependsOn?: ResourceRef[]
  /** undefined: as it is. */
  status(object: StoredObject, context: ControllerContext): object | undefined
}

export const keepsStatus = ({ name, of, dependsOn = [], status }: KeptStatus): ControllerDefinition => ({
  name,
  start(context) {
    const { client, informers } = context
    const informer = informers.informer(of)
    const every = () => informer.list().map(objectKey)
    const sources = [{ ref: of, keys: itself }, ...dependsOn.map((ref) => ({ ref, keys: every }))]
    const reconcile = async (key: string): Promise<undefined> => {
      const object = informer.get(key)
      const wanted = object && status(object, context)
      if (wanted && !equalJson(wanted, object.status)) await client.updateStatus(of, { ...object, status: wanted })
    }
    return reconcileOn(context, name, sources, reconcile, 1)
  },
})
