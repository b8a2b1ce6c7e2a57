// POST pods/x/eviction: a delete that a PodDisruptionBudget may refuse (registry/core/pod/storage/eviction.go, 1.36).

import { ApiError, conflict, invalid } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { selectorMatcher } from '../../api/selector.ts'
import { formatTime } from '../../api/time.ts'
import { copyJson, isPlainObject } from '../../api/walk/plain.ts'
import { admitPart } from '../admit-part.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, methodNotAllowed, writeOptions } from '../call.ts'
import type { Stored } from '../objects.ts'
import { readAndWrite } from '../read-and-write.ts'
import type { Resource } from '../registry.ts'
import { type DeleteOptions, deleteObject } from '../verbs/delete.ts'
import { existing } from '../verbs/get.ts'

export const created: ApiResponse = {
  status: 201,
  object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 },
}

/** More evictions than this that the disruption controller has not seen confirmed are too many. */
const mostUnconfirmed = 2000

const kind = { group: 'policy', version: 'v1', kind: 'Eviction' }

export async function evict(call: Call): Promise<ApiResponse> {
  if (call.info.verb !== 'create') throw methodNotAllowed()
  const options = evictionOptions(call)
  await admitPart(call, kind, readBody(call.request, false).value as ApiObject, options.dryRun)
  const pod = existing(call).object
  const passedBy = isGuarded(pod) ? await spend(call, pod, options.dryRun) : undefined
  await remove(call, pod, options, passedBy)
  return created
}

export function evictionOptions(call: Call): DeleteOptions {
  const eviction = readBody(call.request, false).value
  if (!isPlainObject(eviction)) throw badRequest('the request has no Eviction in its body')
  const { metadata, deleteOptions: asked = {} } = eviction as ApiObject
  if (metadata?.name !== call.info.name) throw badRequest('name in URL does not match name in Eviction object')
  if (asked.ignoreStoreReadErrorWithClusterBreakingPotential)
    throw invalid(
      'Eviction',
      call.info.name,
      [
        {
          type: 'FieldValueInvalid',
          field: 'deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential',
          value: true,
          detail: 'can not be set for pod eviction, try after removing the option',
        },
      ],
      'policy',
    )
  return {
    dryRun: writeOptions(call).dryRun || asked.dryRun?.includes('All') === true,
    ...(typeof asked.gracePeriodSeconds === 'number' && { gracePeriodSeconds: asked.gracePeriodSeconds }),
    ...(asked.propagationPolicy && { propagationPolicy: asked.propagationPolicy }),
    ...(asked.preconditions && { preconditions: asked.preconditions }),
  }
}

/** A Pod that has ended, has not started or is leaving disrupts nothing when it goes. */
const isGuarded = ({ metadata, status }: StoredObject): boolean =>
  !metadata.deletionTimestamp && !['Succeeded', 'Failed', 'Pending'].includes(status?.phase)

const isReady = ({ status }: StoredObject): boolean =>
  (status?.conditions ?? []).some((each: any) => each.type === 'Ready' && each.status === 'True')

const refusal = (message: string, retryAfterSeconds?: number): ApiError =>
  new ApiError('TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ reason: 'DisruptionBudget', message }],
    ...(retryAfterSeconds && { retryAfterSeconds }),
  })

const unsettled = (name: string): ApiError =>
  refusal(`The disruption budget ${name} is still being processed by the server.`, 10)

/**
 * Takes one allowed disruption from the budget that covers the Pod; the budget's name when it lets an unhealthy Pod go
 * without. @throws ApiError TooManyRequests
 */
async function spend(call: Call, pod: StoredObject, dryRun: boolean): Promise<string | undefined> {
  const { engine, info } = call
  const resource = engine.registry.preferred('policy', 'poddisruptionbudgets')
  if (!resource) return undefined
  const budgets = engine.objects
    .list(resource, info.namespace)
    .filter(({ object }) => selectorMatcher(object.spec?.selector).matches(pod.metadata.labels))
  const [budget] = budgets
  if (!budget) return undefined
  if (budgets.length > 1)
    throw new ApiError(
      'InternalError',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    )
  const { spec, status = {} } = budget.object
  if (!isReady(pod)) {
    const isHealthy = (status.currentHealthy ?? 0) >= (status.desiredHealthy ?? 0) && status.desiredHealthy > 0
    if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow' || isHealthy) return budget.object.metadata.name
  }
  await engine.objects.exclusively(budget.key, () => decrement(call, resource, budget.object, pod, dryRun))
  return undefined
}

async function decrement(
  call: Call,
  resource: Resource,
  { metadata: { name } }: StoredObject,
  pod: StoredObject,
  dryRun: boolean,
): Promise<void> {
  const { engine, info } = call
  const budget = engine.objects.get(resource, info.namespace, name)
  if (!budget) return
  checkBudget(budget.object)
  if (dryRun) return
  const next = copyJson<ApiObject>(budget.object)
  const now = formatTime(engine.now())
  next.status.disruptionsAllowed -= 1
  next.status.disruptedPods = { ...next.status.disruptedPods, [pod.metadata.name]: now }
  if (next.status.disruptionsAllowed === 0)
    next.status.conditions = (next.status.conditions ?? []).map((each: any) =>
      each.type === 'DisruptionAllowed'
        ? { ...each, status: 'False', reason: 'InsufficientPods', message: '', lastTransitionTime: now }
        : each,
    )
  await engine.objects.replace(resource, budget, next)
}

function checkBudget({ metadata: { name, generation = 0 }, status = {} }: StoredObject): void {
  const { observedGeneration = 0, disruptionsAllowed = 0, currentHealthy = 0, desiredHealthy = 0 } = status
  if (observedGeneration < generation) throw unsettled(name)
  const forbid = (text: string) =>
    new ApiError('Forbidden', `poddisruptionbudgets.policy ${JSON.stringify(name)} is forbidden: ${text}`)
  if (disruptionsAllowed < 0) throw forbid('pdb disruptions allowed is negative')
  if (Object.keys(status.disruptedPods ?? {}).length > mostUnconfirmed)
    throw forbid('DisruptedPods map too big - too many evictions not confirmed by PDB controller')
  if (disruptionsAllowed > 0) return
  const failed = (status.conditions ?? []).find(
    (each: any) => each.type === 'DisruptionAllowed' && each.status === 'False' && each.reason === 'SyncFailed',
  )
  if (failed)
    throw refusal(
      `The disruption budget ${name} does not allow evicting pods currently because it failed sync: ${failed.message}`,
    )
  throw refusal(
    `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
  )
}

/** Says on the Pod why it goes, then deletes it as any delete: admission and finalizers see it as one. */
async function remove(call: Call, pod: StoredObject, options: DeleteOptions, passedBy?: string): Promise<void> {
  const { engine, info } = call
  const own: Call = { ...call, info: { ...info, subresource: '' } }
  const key = engine.objects.key(call.resource, info.namespace, info.name)
  const action = async () => {
    let current = existing(call)
    // A budget that let the Pod go because it was unhealthy meant the Pod as it was.
    if (passedBy && current.object.metadata.resourceVersion !== pod.metadata.resourceVersion) throw unsettled(passedBy)
    checkVersions(current, options)
    if (!options.dryRun) current = await noteEviction(call, current)
    const { resourceVersion: _, ...preconditions } = options.preconditions ?? {}
    await deleteObject(own, current, { ...options, ...(options.preconditions && { preconditions }) })
  }
  await readAndWrite({ call: own, operation: 'DELETE', key, retries: true, action })
}

function checkVersions({ object }: Stored, { preconditions }: DeleteOptions): void {
  const { name, uid, resourceVersion } = object.metadata
  if (preconditions?.uid && preconditions.uid !== uid)
    throw conflict(
      'pods',
      name,
      `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
    )
  if (preconditions?.resourceVersion && preconditions.resourceVersion !== resourceVersion)
    throw conflict(
      'pods',
      name,
      `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`,
    )
}

async function noteEviction(call: Call, current: Stored): Promise<Stored> {
  const { object } = current
  const others = (object.status?.conditions ?? []).filter((each: any) => each.type !== 'DisruptionTarget')
  const { generation } = object.metadata
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastTransitionTime: formatTime(call.engine.now()),
    ...(generation && { observedGeneration: generation }),
  }
  const next = copyJson<ApiObject>(object)
  next.status = { ...next.status, conditions: [...others, condition] }
  return call.engine.objects.replace(call.resource, current, next)
}
