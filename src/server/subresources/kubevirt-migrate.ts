// virtualmachines/migrate: makes a VirtualMachineInstanceMigration of the machine's instance (pkg/virt-api/rest/
// lifecycle.go, KubeVirt 1.9).

import { ApiError, isApiError, notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { isPlainObject } from '../../api/walk/plain.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call } from '../call.ts'
import { createObject } from '../persist.ts'
import type { KubevirtCall, KubevirtHandler } from './kubevirt.ts'

const group = 'kubevirt.io'

interface MigrateOptions {
  dryRun?: unknown
  addedNodeSelector?: Record<string, string>
}

function optionsOf({ request }: KubevirtCall): MigrateOptions {
  try {
    const headers = { ...request.headers, 'content-type': 'application/json' }
    const { value } = readBody({ ...request, headers }, false)
    return isPlainObject(value) ? (value as MigrateOptions) : {}
  } catch {
    throw badRequest('Can not unmarshal Request body to struct, error: the body is not JSON')
  }
}

async function migrate(call: KubevirtCall): Promise<ApiResponse> {
  const { engine, info } = call
  const { dryRun, addedNodeSelector } = optionsOf(call)
  const find = (plural: string) => {
    const resource = engine.registry.preferred(group, plural)
    return resource && engine.objects.get(resource, info.namespace, info.name)?.object
  }
  if (!find('virtualmachines')) throw notFound('virtualmachine', info.name, group)
  const instance = find('virtualmachineinstances')
  if (!instance) throw notFound('virtualmachineinstance', info.name, group)
  if (instance.status?.phase !== 'Running')
    throw new ApiError(
      'Conflict',
      `Operation cannot be fulfilled on virtualmachine.kubevirt.io "${info.name}": VM is not running`,
      { name: info.name, group, kind: 'virtualmachine' },
    )
  const resource = engine.registry.preferred(group, 'virtualmachineinstancemigrations')
  if (!resource) throw notFound('virtualmachineinstancemigration', info.name, group)
  const object: ApiObject = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { name: '', generateName: 'kubevirt-migrate-vm-', namespace: info.namespace },
    spec: { vmiName: info.name, ...(addedNodeSelector && { addedNodeSelector }) },
  }
  const own: Call = {
    ...call,
    resource,
    info: { ...info, group, resource: 'virtualmachineinstancemigrations', name: '', subresource: '' },
  }
  try {
    await createObject(own, object, {
      dryRun: Array.isArray(dryRun) && dryRun.includes('All'),
      fieldManager: 'virt-api',
      fieldValidation: 'Ignore',
    })
  } catch (error) {
    if (!isApiError(error)) throw error
    throw new ApiError('InternalError', `Internal error occurred: ${error.message}`, undefined, { cause: error })
  }
  return { status: 202, text: '' }
}

export const migrateHandlers: Record<string, KubevirtHandler> = { 'virtualmachines/migrate': migrate }
