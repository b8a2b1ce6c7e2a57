// How custom resources lie in the store: in the storage version of their definition. Whatever is read is made to fit
// the schemas of today: pruned, defaulted, and converted to the version that was asked for.

import type { ApiObject, StoredObject } from '../../api/meta.ts'

export interface StoredForm {
  /** The version in which objects are stored. */
  version: string
  /** An object as this version shows it; the same one when nothing has to change. @throws NotConverted */
  read(object: StoredObject): StoredObject
  /** Any object of the resource as this version shows it, now and without memory: for objects that are not stored yet. */
  show(object: ApiObject): ApiObject | Promise<ApiObject>
  /** An object of this version as it is stored. Becomes the store's own. */
  write(object: ApiObject): ApiObject | Promise<ApiObject>
  /** True when reading may have to ask somebody outside: `load` does that, before or after a NotConverted. */
  remote: boolean
  /** Those of the objects that `read` would refuse now. */
  missing(objects: readonly StoredObject[]): StoredObject[]
  /** Asks for what is missing. @throws ApiError */
  load(objects: readonly StoredObject[]): Promise<void>
  /** Aborted when the definition changed or went: watches end. */
  gone: AbortSignal
  /** No object may be created any more. */
  terminating: boolean
}

/** Thrown by a read that needs a conversion which somebody outside has to make: load, then ask again. */
export class NotConverted extends Error {
  readonly objects: readonly StoredObject[]
  readonly form: StoredForm
  constructor(form: StoredForm, objects: readonly StoredObject[]) {
    super('objects wait for their conversion')
    this.name = 'NotConverted'
    this.objects = objects
    this.form = form
  }
}

/** How often an answer waits for conversions before it gives up: others may write all the time. */
const rounds = 10

/** Runs what only reads from memory, and again as soon as what it misses was converted. */
export async function withConversions<T>(action: () => T | Promise<T>): Promise<T> {
  for (let round = 1; ; round++) {
    try {
      return await action()
    } catch (error) {
      if (!(error instanceof NotConverted) || round === rounds) throw error
      await error.form.load(error.objects)
    }
  }
}
