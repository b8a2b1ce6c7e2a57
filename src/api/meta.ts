// What every object has: type, metadata, and the reference forms of it (Kubernetes apimachinery meta/v1).

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface ManagedFieldsEntry {
  manager?: string
  operation?: 'Apply' | 'Update'
  apiVersion?: string
  time?: string
  fieldsType?: 'FieldsV1'
  fieldsV1?: Record<string, unknown>
  subresource?: string
}

export interface ObjectMeta {
  name?: string
  generateName?: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string | null
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: OwnerReference[]
  managedFields?: ManagedFieldsEntry[]
}

/** Any API object as plain JSON. Objects that came out of the server or an informer are shared: never change them in place. */
export interface ApiObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  [field: string]: any
}

/** An object as the server stores and returns it: name, uid and resourceVersion are set. */
export interface StoredObject extends ApiObject {
  metadata: ObjectMeta & { name: string; uid: string; resourceVersion: string; creationTimestamp: string }
}

export interface ObjectList<T extends ApiObject = StoredObject> {
  apiVersion: string
  kind: string
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number }
  items: T[]
}

/** A resource as a URL names it. `group` is '' for the core group. */
export interface ResourceRef {
  group: string
  version: string
  resource: string
}

export const groupVersion = (group: string, version: string): string => (group ? `${group}/${version}` : version)

/** 'apps/v1' → {group: 'apps', version: 'v1'}; 'v1' → {group: '', version: 'v1'}. */
export function parseGroupVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/')
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) }
}

/** The URL path of a collection, an object, or a subresource. */
export function resourcePath(ref: ResourceRef, namespace?: string, name?: string, subresource?: string): string {
  let path = ref.group ? `/apis/${ref.group}/${ref.version}` : `/api/${ref.version}`
  if (namespace) path += `/namespaces/${encodeURIComponent(namespace)}`
  path += `/${ref.resource}`
  if (name !== undefined) path += `/${encodeURIComponent(name)}`
  return subresource ? `${path}/${subresource}` : path
}

/** The owner that manages the object, if any. */
export const controllerOf = (object: ApiObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((owner) => owner.controller)

/** 'namespace/name', or 'name' for a cluster-scoped object: the key of work queues and informers. */
export const objectKey = (object: ApiObject): string =>
  object.metadata.namespace ? `${object.metadata.namespace}/${object.metadata.name}` : (object.metadata.name ?? '')
