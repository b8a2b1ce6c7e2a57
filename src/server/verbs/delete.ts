// delete and deletecollection: preconditions, grace, finalizers and what happens to dependents
// (registry/rest/delete.go and registry/generic/registry/store.go, 1.36).

import { conflict, invalid, isApiError } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import { copyJson, isPlainObject } from '../../api/walk/plain.ts'
import { formOf } from '../accept.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, methodNotAllowed, writeOptions } from '../call.ts'
import { listAs } from '../forms.ts'
import type { Stored } from '../objects.ts'
import { admissionRequest, finished } from '../persist.ts'
import { readAndWrite } from '../read-and-write.ts'
import { answer, existing } from './get.ts'
import { listPage } from './list.ts'

export interface DeleteOptions {
  gracePeriodSeconds?: number
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  preconditions?: { uid?: string; resourceVersion?: string }
  dryRun: boolean
}

/** Kinds whose delete answers with the object instead of a Status (ReturnDeletedObject). */
const returnsObject = [
  'pods',
  'services',
  'serviceaccounts',
  'persistentvolumes',
  'persistentvolumeclaims',
  'podtemplates',
  'resourcequotas',
]

export async function remove(call: Call): Promise<ApiResponse> {
  const options = deleteOptions(call)
  const { objects } = call.engine
  const key = objects.key(call.resource, call.info.namespace, call.info.name)
  const { stored, gone } = await removal(call, key, options)
  if (!gone || (call.resource.group === '' && returnsObject.includes(call.resource.plural)))
    return answer(call, 200, stored)
  const { resource } = call
  return {
    status: 200,
    object: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: {
        name: stored.object.metadata.name,
        ...(resource.group && { group: resource.group }),
        kind: resource.plural,
        uid: stored.object.metadata.uid,
      },
    },
  }
}

/** Deletes what the list would show, a few at a time; an object that is gone meanwhile is no error. */
export async function removeCollection(call: Call): Promise<ApiResponse> {
  if (!call.resource.namespaced || call.info.namespace || call.resource.groupResource === 'namespaces') {
    if (call.resource.groupResource === 'namespaces') throw methodNotAllowed()
  } else throw methodNotAllowed()
  const options = deleteOptions(call)
  const page = await listPage(call)
  const waiting = [...page.items]
  const worker = async () => {
    for (let stored = waiting.shift(); stored; stored = waiting.shift()) await removeOne(call, stored, options)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  return { status: 200, ...listAs(formOf(call.request.headers.accept), call, page) }
}

const removal = (call: Call, key: string, options: DeleteOptions) =>
  readAndWrite({
    call,
    operation: 'DELETE',
    key,
    retries: true,
    action: () => deleteObject(call, existing(call), options),
  })

async function removeOne(call: Call, listed: Stored, options: DeleteOptions): Promise<void> {
  const own: Call = { ...call, info: { ...call.info, name: listed.object.metadata.name } }
  try {
    await removal(own, listed.key, options)
  } catch (error) {
    if (!isApiError(error, 'NotFound')) throw error
  }
}

export function deleteOptions(call: Call): DeleteOptions {
  const { query } = call.request
  const body = readBody(call.request, false).value
  if (body !== undefined && !isPlainObject(body)) throw badRequest('the body of a delete must be DeleteOptions')
  const sent: Record<string, any> = { ...body }
  const grace = query.get('gracePeriodSeconds')
  if (grace !== null) sent.gracePeriodSeconds = Number(grace)
  const policy = query.get('propagationPolicy')
  if (policy) sent.propagationPolicy = policy
  if (query.get('orphanDependents')) sent.orphanDependents = query.get('orphanDependents') === 'true'
  if (
    sent.gracePeriodSeconds !== undefined &&
    sent.gracePeriodSeconds !== null &&
    !Number.isSafeInteger(sent.gracePeriodSeconds)
  )
    throw badRequest('gracePeriodSeconds must be a whole number')
  if (typeof sent.orphanDependents === 'boolean')
    sent.propagationPolicy ??= sent.orphanDependents ? 'Orphan' : 'Background'
  if (sent.propagationPolicy && !['Background', 'Foreground', 'Orphan'].includes(sent.propagationPolicy))
    throw invalid(
      'DeleteOptions',
      '',
      [
        {
          type: 'FieldValueNotSupported',
          field: 'propagationPolicy',
          value: sent.propagationPolicy,
          detail: 'supported values: "Foreground", "Background", "Orphan", "nil"',
        },
      ],
      'meta.k8s.io',
    )
  for (const [name, value] of Object.entries(isPlainObject(sent.preconditions) ? sent.preconditions : {}))
    if (value !== null && typeof value !== 'string') throw badRequest(`preconditions.${name} must be a text`)
  const dryRun = writeOptions(call).dryRun || (Array.isArray(sent.dryRun) && sent.dryRun.includes('All'))
  return {
    dryRun,
    ...(typeof sent.gracePeriodSeconds === 'number' && { gracePeriodSeconds: sent.gracePeriodSeconds }),
    ...(sent.propagationPolicy && { propagationPolicy: sent.propagationPolicy }),
    ...(isPlainObject(sent.preconditions) && { preconditions: sent.preconditions }),
  }
}

/** Runs in `readAndWrite`. `gone` is false when the object only starts to go away. */
export async function deleteObject(
  call: Call,
  current: Stored,
  options: DeleteOptions,
): Promise<{ stored: Stored; gone: boolean }> {
  const { resource, engine } = call
  const { object } = current
  checkPreconditions(call, current, options)
  const request = admissionRequest(call, 'DELETE', options, undefined, object)
  const admitted = engine.admission.admit(request)
  if (admitted) await admitted
  const validated = engine.admission.validate(request)
  if (validated) await validated
  if (resource.groupResource === 'namespaces' && object.metadata.deletionTimestamp && object.spec?.finalizers?.length)
    throw conflict(
      'namespaces',
      object.metadata.name,
      'The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.',
    )
  const leaving = leavingState(call, object, options)
  if (!leaving) {
    if (options.dryRun) return { stored: current, gone: true }
    const stored = await engine.objects.remove(resource, current)
    engine.admission.written(request, stored.object)
    return { stored, gone: true }
  }
  if (leaving === object) return { stored: current, gone: false }
  if (options.dryRun)
    return { stored: { ...current, object: leaving as Stored['object'], json: JSON.stringify(leaving) }, gone: false }
  if (finished(call, leaving)) return { stored: await engine.objects.remove(resource, current, leaving), gone: true }
  return { stored: await engine.objects.replace(resource, current, leaving), gone: false }
}

function checkPreconditions(call: Call, current: Stored, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {}
  const { metadata } = current.object
  const { plural, group } = call.resource
  if (uid && uid !== metadata.uid)
    throw conflict(
      plural,
      metadata.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`,
      group,
    )
  if (resourceVersion && resourceVersion !== metadata.resourceVersion)
    throw conflict(
      plural,
      metadata.name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
      group,
    )
}

/** The object while it goes away; undefined when nothing keeps it; the same object when it is on its way already. */
function leavingState(call: Call, object: Stored['object'], options: DeleteOptions): ApiObject | undefined {
  const grace = gracePeriod(call, object, options)
  const finalizers = withPropagation(call, object, options)
  const held =
    finalizers.length > 0 || (call.resource.groupResource === 'namespaces' && object.spec?.finalizers?.length > 0)
  if (!held && grace === 0) return undefined
  const { metadata } = object
  if (metadata.deletionTimestamp) {
    const shorter = grace < (metadata.deletionGracePeriodSeconds ?? 0)
    const changed = finalizers.join() !== (metadata.finalizers ?? []).join()
    if (!shorter && !changed) return object
    const leaving = copyJson<ApiObject>(object)
    setFinalizers(leaving, finalizers)
    if (shorter) setDeletion(call, leaving, grace)
    return leaving
  }
  const leaving = copyJson<ApiObject>(object)
  setFinalizers(leaving, finalizers)
  setDeletion(call, leaving, grace)
  call.resource.kind.leaving?.(leaving, formatTime(call.engine.now()))
  if (leaving.metadata.generation) leaving.metadata.generation++
  if (call.resource.groupResource === 'namespaces') leaving.status = { ...leaving.status, phase: 'Terminating' }
  return leaving
}

function setDeletion(call: Call, object: ApiObject, grace: number): void {
  object.metadata.deletionTimestamp = formatTime(call.engine.now() + grace * 1000)
  object.metadata.deletionGracePeriodSeconds = grace
}

function setFinalizers(object: ApiObject, finalizers: string[]): void {
  if (finalizers.length > 0) object.metadata.finalizers = finalizers
  else delete object.metadata.finalizers
}

/** Only Pods take their leave: how many seconds a running one gets (registry/core/pod/strategy.go CheckGracefulDelete). */
function gracePeriod(call: Call, object: ApiObject, options: DeleteOptions): number {
  if (call.resource.groupResource !== 'pods') return 0
  const asked = options.gracePeriodSeconds ?? object.spec?.terminationGracePeriodSeconds ?? 30
  if (!object.spec?.nodeName) return 0
  const { phase } = object.status ?? {}
  if (phase === 'Failed' || phase === 'Succeeded') return 0
  const period = asked < 0 ? 1 : asked
  const running = object.metadata.deletionGracePeriodSeconds
  // A Pod on its way out leaves no later than first said.
  return object.metadata.deletionTimestamp && running !== undefined ? Math.min(period, running) : period
}

function withPropagation(call: Call, object: ApiObject, options: DeleteOptions): string[] {
  const own = (object.metadata.finalizers ?? []).filter((name) => name !== 'orphan' && name !== 'foregroundDeletion')
  const had = (name: string) => object.metadata.finalizers?.includes(name) === true
  const standing = had('orphan') ? 'Orphan' : had('foregroundDeletion') ? 'Foreground' : undefined
  const policy = options.propagationPolicy ?? standing ?? call.resource.kind.defaultPropagation
  if (policy === 'Orphan') own.push('orphan')
  if (policy === 'Foreground') own.push('foregroundDeletion')
  const held = object.metadata.deletionTimestamp ? [] : (call.resource.kind.deleteFinalizers ?? [])
  return [...own, ...held.filter((name) => !own.includes(name))]
}
