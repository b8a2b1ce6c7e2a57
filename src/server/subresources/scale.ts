// scale: replicas of any kind that declares them, as autoscaling/v1 Scale.

import { invalid } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import { firstAt } from '../../api/jsonpath.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { selectorMatcher, selectorText } from '../../api/selector.ts'
import { copyJson, isPlainObject } from '../../api/walk/plain.ts'
import type { SubresourceView } from '../admission/admission.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, methodNotAllowed, writeOptions } from '../call.ts'
import type { Stored } from '../objects.ts'
import { updateObject } from '../persist.ts'
import { readAndWrite } from '../read-and-write.ts'
import { existing } from '../verbs/get.ts'
import { patchPlain } from '../verbs/patch.ts'

export async function scale(call: Call): Promise<ApiResponse> {
  switch (call.info.verb) {
    case 'get':
      return { status: 200, object: scaleOf(call, existing(call).object) }
    case 'update':
    case 'patch':
      return change(call)
    default:
      throw methodNotAllowed()
  }
}

function scaleOf(call: Call, object: StoredObject): ApiObject {
  const definition = call.resource.scale!
  const { metadata } = object
  const selector = selectorOf(call, object)
  const wanted = firstAt(object, definition.specReplicasPath)
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: metadata.name,
      ...(metadata.namespace && { namespace: metadata.namespace }),
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      creationTimestamp: metadata.creationTimestamp,
    },
    spec: typeof wanted === 'number' && wanted > 0 ? { replicas: wanted } : {},
    status: {
      replicas: (firstAt(object, definition.statusReplicasPath) as number) ?? 0,
      ...(selector && { selector }),
    },
  }
}

function selectorOf(call: Call, object: StoredObject): string {
  const { selector } = call.resource.scale!
  if (typeof selector === 'function') return selector(object)
  if (selector !== undefined) return String(firstAt(object, selector) ?? '')
  return object.spec?.selector ? selectorText(selectorMatcher(object.spec.selector)) : ''
}

async function change(call: Call): Promise<ApiResponse> {
  const { objects } = call.engine
  const options = writeOptions(call)
  const key = objects.key(call.resource, call.info.namespace, call.info.name)
  const sent = call.info.verb === 'update' ? readBody(call.request, false).value : undefined
  const action = async (): Promise<Stored> => {
    const current = existing(call)
    const next = sent ?? patchPlain(call, scaleOf(call, current.object))
    if (!isPlainObject(next)) throw badRequest('the request has no Scale in its body')
    const replicas = (next as ApiObject).spec?.replicas ?? 0
    const { name = '', uid, resourceVersion } = (next as ApiObject).metadata ?? {}
    if (name && name !== call.info.name)
      throw badRequest(`the name of the object (${name}) does not match the name on the URL (${call.info.name})`)
    if (!Number.isInteger(replicas) || replicas < 0)
      throw invalid(
        'Scale',
        call.info.name,
        [
          {
            type: 'FieldValueInvalid',
            field: 'spec.replicas',
            value: replicas,
            detail: 'must be greater than or equal to 0',
          },
        ],
        'autoscaling',
      )
    const proposed = copyJson<ApiObject>(current.object)
    proposed.metadata.resourceVersion = resourceVersion ?? current.object.metadata.resourceVersion
    if (uid) proposed.metadata.uid = uid
    setPath(proposed, call.resource.scale!.specReplicasPath, replicas)
    return updateObject(call, current, proposed, {
      ...options,
      subresource: '',
      trackedAs: 'scale',
      view: viewOf(call),
    })
  }
  const sentRevision = isPlainObject(sent) && isPlainObject(sent.metadata) && sent.metadata.resourceVersion
  const stored = await readAndWrite({ call, operation: 'UPDATE', key, retries: !sentRevision, action })
  return { status: 200, object: scaleOf(call, stored.object) }
}

/** Admission sees the Scale, not what is scaled. */
const viewOf = (call: Call): SubresourceView => ({
  kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
  of: (object) => scaleOf(call, object as StoredObject),
  into(object, scale) {
    const changed = copyJson<ApiObject>(object)
    setPath(changed, call.resource.scale!.specReplicasPath, scale.spec?.replicas ?? 0)
    return changed
  },
})

/** Only plain paths (.spec.replicas) are declared. */
function setPath(object: ApiObject, path: string, value: unknown): void {
  const steps = path.split('.').filter((step) => step !== '')
  let at: any = object
  for (const step of steps.slice(0, -1)) at = at[step] ??= {}
  at[steps.at(-1)!] = value
}
