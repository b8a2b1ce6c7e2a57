// binding of Pods (registry/core/pod/storage, 1.36).

import { conflict, invalid } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import { copyJson, isPlainObject } from '../../api/walk/plain.ts'
import { admitPart } from '../admit-part.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, methodNotAllowed, writeOptions } from '../call.ts'
import { updateObject } from '../persist.ts'
import { readAndWrite } from '../read-and-write.ts'
import { existing } from '../verbs/get.ts'

const created: ApiResponse = {
  status: 201,
  object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 },
}

const kind = { group: '', version: 'v1', kind: 'Binding' }

/** POST pods/x/binding and POST bindings: the scheduler's word. */
export async function bind(call: Call): Promise<ApiResponse> {
  if (call.info.verb !== 'create') throw methodNotAllowed()
  const sent = readBody(call.request, false).value as ApiObject
  if (!isPlainObject(sent)) throw badRequest('the request has no Binding in its body')
  const name = call.info.name || sent.metadata?.name || ''
  const own: Call = { ...call, info: { ...call.info, name, subresource: 'binding' } }
  const binding = await admitPart(own, kind, sent, writeOptions(call).dryRun)
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
    const { annotations, labels } = binding.metadata
    if (annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations }
    if (labels) pod.metadata.labels = { ...labels, ...pod.metadata.labels }
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
