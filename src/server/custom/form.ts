// The stored form of one version of a custom resource. See stored-form.ts.

import { ApiError } from '../../api/errors.ts'
import type { KindDefinition } from '../../api/kind.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { groupVersion, parseGroupVersion } from '../../api/meta.ts'
import { decode } from '../../api/walk/decode.ts'
import { applyDefaults } from '../../api/walk/defaults.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { objectShape } from '../../api/walk/shape.ts'
import { NotConverted, type StoredForm } from './stored-form.ts'

/** Makes objects of another version of them, in their order. @throws Error that says why not */
export type Convert = (objects: readonly ApiObject[], apiVersion: string) => Promise<ApiObject[]>

export interface FormOptions {
  /** All versions of the definition, served or not. */
  kinds: ReadonlyMap<string, KindDefinition>
  storage: string
  /** Undefined: versions differ in nothing but their name. */
  convert: Convert | undefined
  gone: AbortSignal
  /** Set while the definition is being deleted. */
  terminating: boolean
}

/** Conversions that are kept; a list that needs more keeps all of its own. */
const keptConversions = 20_000

export function createForm(version: string, options: FormOptions): StoredForm {
  const { kinds, storage, convert } = options
  const own = kinds.get(version)!
  const apiVersion = groupVersion(own.group, version)
  const storedVersion = groupVersion(own.group, storage)
  const seen = new WeakMap<StoredObject, StoredObject>()
  let conversions = new Map<string, StoredObject>()

  const schemaFor = (object: ApiObject) => kinds.get(parseGroupVersion(object.apiVersion).version) ?? own

  function read(object: StoredObject): StoredObject {
    let shown = seen.get(object)
    if (shown) return shown
    const fitted = fit(object, schemaFor(object), true)
    if (fitted.apiVersion === apiVersion) shown = fitted
    else if (!convert) shown = fit({ ...fitted, apiVersion }, own, false)
    else {
      shown = conversions.get(identity(object))
      if (!shown) throw new NotConverted(form, [object])
    }
    seen.set(object, shown)
    return shown
  }

  const isMissing = (object: StoredObject): boolean =>
    convert !== undefined && object.apiVersion !== apiVersion && !seen.has(object) && !conversions.has(identity(object))

  async function converted(objects: readonly ApiObject[], to: string, kind: KindDefinition): Promise<ApiObject[]> {
    let answers: ApiObject[]
    try {
      answers = await convert!(objects, to)
    } catch (error) {
      throw new ApiError('InternalError', (error as Error).message, undefined, { cause: error })
    }
    return answers.map((answer) => fit(answer, kind, false))
  }

  const form: StoredForm = {
    version: storage,
    remote: convert !== undefined,
    gone: options.gone,
    get terminating() {
      return options.terminating
    },
    read,
    missing: (objects) => objects.filter(isMissing),
    async load(objects) {
      const missing = objects.filter(isMissing)
      if (missing.length === 0) return
      const fitted = missing.map((object) => fit(object, schemaFor(object), true))
      const answers = await converted(fitted, apiVersion, own)
      if (conversions.size + answers.length > keptConversions) conversions = new Map()
      for (const [index, object] of missing.entries()) conversions.set(identity(object), answers[index] as StoredObject)
    },
    show(object) {
      if (object.apiVersion === apiVersion) return object
      if (!convert) return fit({ ...object, apiVersion }, own, false)
      return converted([object], apiVersion, own).then((answers) => answers[0]!)
    },
    write(object) {
      if (version === storage) {
        seen.set(object as StoredObject, object as StoredObject)
        return object
      }
      const kind = kinds.get(storage)!
      if (!convert) return fit({ ...object, apiVersion: storedVersion }, kind, false)
      return converted([object], storedVersion, kind).then((answers) => answers[0]!)
    },
  }
  return form
}

/** Objects exactly as they are stored, in whatever version: for what does not depend on their fields. */
export const rawForm = ({ gone, storage }: Pick<FormOptions, 'gone' | 'storage'>): StoredForm => ({
  version: storage,
  read: (object) => object,
  show: (object) => object,
  write: (object) => object,
  remote: false,
  missing: () => [],
  load: async () => {},
  gone,
  terminating: false,
})

const identity = (object: StoredObject): string => `${object.metadata.uid}/${object.metadata.resourceVersion}`

/** The object pruned by the schema, and with its defaults where asked; itself when it is so already. */
function fit<T extends ApiObject>(object: T, kind: KindDefinition, defaults: boolean): T {
  const shape = objectShape(kind)
  const fitted = decode<T>(object, shape, 'structural', kind.kind).object
  if (defaults) applyDefaults(fitted, shape)
  return equalJson(object, fitted) ? object : fitted
}
