// A client whose writes the informers of the same program see at once. A controller that has created a Pod finds it
// in its informer in the next reconcile, whatever the watch's delay: this replaces upstream's "expectations".

import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import type { Client, DeleteOptions, WriteOptions } from './client.ts'
import type { CachingInformerFactory } from './informer.ts'

export function createCachingClient(client: Client, informers: CachingInformerFactory): Client {
  /** Answers to other subresources are objects of another kind. */
  const seen = <T extends ApiObject>(ref: ResourceRef, answer: T, options?: WriteOptions): T => {
    if (options?.dryRun || (options?.subresource && options.subresource !== 'status')) return answer
    if (answer.metadata?.resourceVersion) informers.existing(ref)?.written(answer as unknown as StoredObject)
    return answer
  }
  return {
    ...client,
    create: async <T extends ApiObject>(ref: ResourceRef, object: ApiObject, options?: WriteOptions) =>
      seen(ref, await client.create<T>(ref, object, options), options),
    update: async <T extends ApiObject>(ref: ResourceRef, object: ApiObject, options?: WriteOptions) =>
      seen(ref, await client.update<T>(ref, object, options), options),
    updateStatus: async <T extends ApiObject>(ref: ResourceRef, object: ApiObject, options?: WriteOptions) =>
      seen(ref, await client.updateStatus<T>(ref, object, options), options),
    patch: async <T extends ApiObject>(...call: Parameters<Client['patch']>) =>
      seen(call[0], await client.patch<T>(...call), call[5]),
    delete: async <T>(ref: ResourceRef, name: string, namespace?: string, options?: DeleteOptions) => {
      const left = await client.delete<StoredObject | undefined>(ref, name, namespace, options)
      const informer = informers.existing(ref)
      const uid = options?.preconditions?.uid
      if (left) informer?.written(left)
      else if (uid) informer?.deleted(namespace ? `${namespace}/${name}` : name, uid)
      return left as T
    },
  }
}
