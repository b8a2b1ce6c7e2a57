// objectgraph: which objects a machine or an instance refers to (pkg/virt-api/rest/objectgraph.go, KubeVirt 1.9). The
// options come in the body of a GET.

import { ApiError, notFound } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { validateSelector } from '../../api/selector.ts'
import { isPlainObject } from '../../api/walk/plain.ts'
import { readBody } from '../body.ts'
import type { KubevirtCall, KubevirtHandler } from './kubevirt.ts'
import { type GraphOptions, instanceGraph, machineGraph } from './object-graph.ts'

function stored({ engine, info }: KubevirtCall, plural: string): StoredObject | undefined {
  const resource = engine.registry.preferred('kubevirt.io', plural)
  return resource && engine.objects.get(resource, info.namespace, info.name)?.object
}

function optionsOf({ request }: KubevirtCall): GraphOptions {
  let value: unknown
  try {
    const headers = { ...request.headers, 'content-type': 'application/json' }
    value = request.body ? readBody({ ...request, headers }, false).value : {}
  } catch {
    throw new ApiError('BadRequest', 'Can not unmarshal Request body to struct, error: the body is not JSON')
  }
  if (!isPlainObject(value)) return {}
  const options = value as GraphOptions
  const [problem] = validateSelector(options.labelSelector, 'labelSelector')
  if (problem) throw new ApiError('BadRequest', `${problem.field}: ${problem.detail}`)
  return options
}

export const objectGraphHandlers: Record<string, KubevirtHandler> = {
  'virtualmachines/objectgraph': async (call) => {
    const machine = stored(call, 'virtualmachines')
    if (!machine) throw notFound('virtualmachine', call.info.name, 'kubevirt.io')
    return { status: 200, object: machineGraph(machine, stored(call, 'virtualmachineinstances'), optionsOf(call)) }
  },
  'virtualmachineinstances/objectgraph': async (call) => {
    const instance = stored(call, 'virtualmachineinstances')
    if (!instance) throw notFound('virtualmachineinstance', call.info.name, 'kubevirt.io')
    return { status: 200, object: instanceGraph(instance, optionsOf(call)) }
  },
}
