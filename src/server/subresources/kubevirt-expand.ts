// expand-spec and expand-vm-spec: a VirtualMachine with its instance type and preference written out
// (pkg/virt-api/rest/expand.go, KubeVirt 1.9).

import { ApiError, invalid, notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { isPlainObject } from '../../api/walk/plain.ts'
import { expand } from '../../kinds/instancetype/expand.ts'
import { hasMatcher } from '../../kinds/instancetype/matcher.ts'
import { readBody } from '../body.ts'
import { badRequest } from '../call.ts'
import type { KubevirtCall, KubevirtHandler } from './kubevirt.ts'
import { findTypes, type Get } from './kubevirt-types.ts'

function expanded({ engine, info }: KubevirtCall, machine: ApiObject): ApiResponse {
  const get: Get = (group, plural, namespace, name) => {
    const resource = engine.registry.preferred(group, plural)
    return resource && engine.objects.get(resource, namespace, name)?.object
  }
  return { status: 200, object: writtenOut(get, machine, info.namespace) }
}

/** @throws ApiError with what does not fit, or is not there */
export function writtenOut(get: Get, machine: ApiObject, namespace: string): ApiObject {
  if (!hasMatcher(machine)) return machine
  const { types, errors, pending } = findTypes(get, machine, namespace)
  if (pending) throw new ApiError('Conflict', 'what the machine infers from its volumes is not known yet; try again')
  if (!errors.length) {
    const result = expand(machine, types)
    if (!result.errors.length) return result.machine
    errors.push(...result.errors)
  }
  throw invalid('VirtualMachine', machine.metadata.name ?? '', errors, 'kubevirt.io')
}

export const expandHandlers: Record<string, KubevirtHandler> = {
  'virtualmachines/expand-spec': async (call) => {
    const { engine, info } = call
    const resource = engine.registry.preferred('kubevirt.io', 'virtualmachines')
    const found = resource && engine.objects.get(resource, info.namespace, info.name)
    if (!found) throw notFound('virtualmachine', info.name, 'kubevirt.io')
    return expanded(call, found.object)
  },
  'expand-vm-spec': async (call) => {
    const headers = { 'content-type': 'application/json', ...call.request.headers }
    const { value } = readBody({ ...call.request, headers }, false)
    if (!isPlainObject(value) || !isPlainObject(value.spec) || !isPlainObject((value.spec as any).template?.spec))
      throw badRequest('Object is not a valid VirtualMachine')
    const machine = value as unknown as ApiObject
    machine.metadata ??= { name: '' }
    const { namespace } = machine.metadata
    if (namespace && namespace !== call.info.namespace)
      throw badRequest(`VM namespace must be empty or ${call.info.namespace}`)
    return expanded(call, machine)
  },
}
