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
import { applyTo } from '../ownership.ts'
import { updateObject } from '../persist.ts'
import { readAndWrite } from '../read-and-write.ts'
import { existing } from '../verbs/get.ts'
import { appliedBody, patchPlain } from '../verbs/patch.ts'

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
  const applied = appliedBody(call)
  const written = { ...options, subresource: '', trackedAs: 'scale', view: viewOf(call) }
  const action = async (): Promise<Stored> => {
    const current = existing(call)
    if (applied) return updateObject(call, current, applyScale(call, current, applied), { ...written, applied: true })
    const next = sent ?? patchPlain(call, scaleOf(call, current.object))
    const replicas = replicasIn(call, next) ?? 0
    const { uid, resourceVersion } = (next as ApiObject).metadata ?? {}
    const proposed = copyJson<ApiObject>(current.object)
    proposed.metadata.resourceVersion = resourceVersion ?? current.object.metadata.resourceVersion
    if (uid) proposed.metadata.uid = uid
    setPath(proposed, call.resource.scale!.specReplicasPath, replicas)
    return updateObject(call, current, proposed, written)
  }
  const sentRevision = isPlainObject(sent) && isPlainObject(sent.metadata) && sent.metadata.resourceVersion
  const stored = await readAndWrite({ call, operation: 'UPDATE', key, retries: !sentRevision, action })
  return { status: 200, object: scaleOf(call, stored.object) }
}

/** What a Scale asks for; undefined when it says nothing of it. @throws ApiError for what is no Scale of this object */
function replicasIn(call: Call, scale: unknown): number | undefined {
  if (!isPlainObject(scale)) throw badRequest('the request has no Scale in its body')
  const { metadata, spec } = scale as ApiObject
  const name = metadata?.name ?? ''
  if (name && name !== call.info.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${call.info.name})`)
  const replicas = spec?.replicas
  if (replicas !== undefined && (!Number.isInteger(replicas) || replicas < 0))
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
  return replicas
}

/** The object as it is when who applies a Scale owns its replicas, by the subresource "scale". */
function applyScale(call: Call, { object }: Stored, { value, force }: { value: unknown; force: boolean }): ApiObject {
  const { kind, apiVersion = '' } = isPlainObject(value) ? value : {}
  if (kind !== 'Scale' || !/^autoscaling\//.test(String(apiVersion)))
    throw badRequest(`apply a Scale of autoscaling/v1 here, not ${kind ?? 'nothing'} of ${apiVersion || 'no version'}`)
  const replicas = replicasIn(call, value)
  const { uid, resourceVersion } = (value as unknown as ApiObject).metadata ?? {}
  const config: ApiObject = {
    apiVersion: call.resource.apiVersion,
    kind: call.resource.kind.kind,
    metadata: {
      name: call.info.name,
      ...(call.info.namespace && { namespace: call.info.namespace }),
      ...(uid && { uid }),
      ...(resourceVersion && { resourceVersion }),
    },
  }
  if (replicas !== undefined) setPath(config, call.resource.scale!.specReplicasPath, replicas)
  const { fieldManager } = writeOptions(call)
  return applyTo(call, object, config, { fieldManager, subresource: 'scale', force }).object as ApiObject
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
