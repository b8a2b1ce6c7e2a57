// binding and eviction of Pods (registry/core/pod/storage, 1.36).

import { ApiError, conflict, invalid } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { selectorMatcher } from '../../api/selector.ts'
import { formatTime } from '../../api/time.ts'
import { copyJson, isPlainObject } from '../../api/walk/plain.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, methodNotAllowed, writeOptions } from '../call.ts'
import { updateObject } from '../persist.ts'
import { readAndWrite } from '../read-and-write.ts'
import { type DeleteOptions, deleteObject } from '../verbs/delete.ts'
import { existing } from '../verbs/get.ts'

const created: ApiResponse = {
  status: 201,
  object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 },
}

/** POST pods/x/binding and POST bindings: the scheduler's word. */
export async function bind(call: Call): Promise<ApiResponse> {
  if (call.info.verb !== 'create') throw methodNotAllowed()
  const binding = readBody(call.request, false).value as ApiObject
  if (!isPlainObject(binding)) throw badRequest('the request has no Binding in its body')
  const name = call.info.name || binding.metadata?.name || ''
  const target = binding.target ?? {}
  if (!target.name) throw invalid('Binding', name, [{ type: 'FieldValueRequired', field: 'target.name', detail: '' }])
  if (target.kind && target.kind !== 'Node')
    throw invalid('Binding', name, [
      {
        type: 'FieldValueNotSupported',
        field: 'target.kind',
        value: target.kind,
        detail: 'supported values: "Node", ""',
      },
    ])
  const own: Call = { ...call, info: { ...call.info, name } }
  const { objects } = call.engine
  const key = objects.key(call.resource, call.info.namespace, name)
  const action = async (): Promise<void> => {
    const current = existing(own)
    const pod = copyJson<ApiObject>(current.object)
    if (binding.metadata?.uid && binding.metadata.uid !== pod.metadata.uid)
      throw conflict(
        'pods/binding',
        name,
        `Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${pod.metadata.uid}`,
      )
    if (pod.metadata.deletionTimestamp)
      throw conflict('pods/binding', name, `pod ${name} is being deleted, cannot be assigned to a host`)
    if (pod.spec.nodeName)
      throw conflict('pods/binding', name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`)
    if (pod.spec.schedulingGates?.length)
      throw conflict('pods/binding', name, `pod ${name} has non-empty .spec.schedulingGates`)
    pod.spec.nodeName = target.name
    const annotations = binding.metadata?.annotations
    if (annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations }
    const condition = {
      type: 'PodScheduled',
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: formatTime(call.engine.now()),
      ...(pod.metadata.generation && { observedGeneration: pod.metadata.generation }),
    }
    const others = (pod.status?.conditions ?? []).filter((one: { type: string }) => one.type !== 'PodScheduled')
    // The nomination has done its work (1.35).
    const { nominatedNodeName: _nominated, ...status } = pod.status ?? {}
    pod.status = { ...status, conditions: [...others, condition] }
    await updateObject(own, current, pod, { ...writeOptions(call), subresource: 'binding', owns: ['spec', 'status'] })
  }
  await readAndWrite({ call: own, operation: 'UPDATE', key, retries: true, action })
  return created
}

/** POST pods/x/eviction: a delete that PodDisruptionBudgets may refuse (429). */
export async function evict(call: Call): Promise<ApiResponse> {
  if (call.info.verb !== 'create') throw methodNotAllowed()
  const eviction = (readBody(call.request, false).value ?? {}) as ApiObject
  const asked = eviction.deleteOptions ?? {}
  const { objects } = call.engine
  const { info } = call
  await objects.exclusively(objects.key(call.resource, info.namespace, info.name), async () => {
    const current = existing(call)
    if (!current.object.metadata.deletionTimestamp && current.object.status?.phase === 'Running')
      await spendDisruption(call, current.object)
    const options: DeleteOptions = {
      dryRun: writeOptions(call).dryRun || asked.dryRun?.includes('All') === true,
      ...(typeof asked.gracePeriodSeconds === 'number' && { gracePeriodSeconds: asked.gracePeriodSeconds }),
      ...(asked.preconditions && { preconditions: asked.preconditions }),
    }
    // A delete as a delete: admission and finalizers see it as one.
    await deleteObject({ ...call, info: { ...info, subresource: '' } }, current, options)
  })
  return created
}

/** Takes one allowed disruption from the budget that covers the Pod. */
async function spendDisruption(call: Call, pod: StoredObject): Promise<void> {
  const { engine } = call
  const resource = engine.registry.preferred('policy', 'poddisruptionbudgets')
  if (!resource) return
  const budgets = engine.objects
    .list(resource, call.info.namespace)
    .filter(({ object }) => selectorMatcher(object.spec?.selector).matches(pod.metadata.labels))
  if (budgets.length === 0) return
  if (budgets.length > 1)
    throw new ApiError(
      'InternalError',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    )
  const { key, object } = budgets[0]!
  await engine.objects.exclusively(key, async () => {
    const budget = engine.objects.get(resource, call.info.namespace, object.metadata.name)
    if (!budget) return
    const allowed = budget.object.status?.disruptionsAllowed ?? 0
    if (allowed <= 0) {
      const { currentHealthy = 0, desiredHealthy = 0 } = budget.object.status ?? {}
      throw new ApiError('TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
        causes: [
          {
            reason: 'DisruptionBudget',
            message: `The disruption budget ${budget.object.metadata.name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
          },
        ],
      })
    }
    const next = copyJson<ApiObject>(budget.object)
    next.status.disruptionsAllowed = allowed - 1
    next.status.disruptedPods = { ...next.status.disruptedPods, [pod.metadata.name]: formatTime(engine.now()) }
    await engine.objects.replace(resource, budget, next)
  })
}
