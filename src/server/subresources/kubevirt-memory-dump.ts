// memorydump and removememorydump: a note in the machine's status, which controllers and host act on. Rules and texts:
// KubeVirt 1.9 (pkg/virt-api/rest/memorydump.go).

import { ApiError, notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { parseQuantity, quantityValue, tryParseQuantity } from '../../api/quantity.ts'
import { copyJson, isPlainObject } from '../../api/walk/plain.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call } from '../call.ts'
import { updateObject } from '../persist.ts'
import type { KubevirtCall, KubevirtHandler } from './kubevirt.ts'

export const memoryDumpHandlers: Record<string, KubevirtHandler> = {
  'virtualmachines/memorydump': (call) => changing(call, requested(call)),
  'virtualmachines/removememorydump': (call) => changing(call, (machine) => removed(machine)),
}

type Decide = (machine: StoredObject) => object

const conflicting = (kind: string, name: string, message: string): ApiError =>
  new ApiError('Conflict', `Operation cannot be fulfilled on ${kind}.kubevirt.io "${name}": ${message}`, {
    name,
    group: 'kubevirt.io',
    kind,
  })

async function changing(call: KubevirtCall, decide: Decide): Promise<ApiResponse> {
  const { engine, info } = call
  const resource = engine.registry.preferred('kubevirt.io', 'virtualmachines')
  if (!resource) throw notFound('virtualmachine', info.name, 'kubevirt.io')
  await engine.objects.exclusively(engine.objects.key(resource, info.namespace, info.name), async () => {
    const current = engine.objects.get(resource, info.namespace, info.name)
    if (!current) throw notFound('virtualmachine', info.name, 'kubevirt.io')
    const next = copyJson<ApiObject>(current.object)
    next.status = { ...next.status, memoryDumpRequest: decide(current.object) }
    const own: Call = {
      ...call,
      resource,
      info: { ...info, group: 'kubevirt.io', resource: 'virtualmachines', subresource: 'status' },
    }
    const options = { dryRun: false, fieldManager: 'virt-api', fieldValidation: 'Ignore' as const }
    await updateObject(own, current, next, { ...options, subresource: 'status' })
  })
  return { status: 202, text: '' }
}

function requested(call: KubevirtCall): Decide {
  const asked = optionsOf(call)
  return (machine) => {
    const known = machine.status?.memoryDumpRequest
    const { name } = machine.metadata
    if (!asked.claimName && !known) throw badRequest('Memory dump requires claim name to be set')
    if (known && asked.claimName && known.claimName !== asked.claimName)
      throw conflicting(
        'virtualmachine',
        name,
        `can't request memory dump for pvc [${asked.claimName}] while pvc [${known.claimName}] is still associated as the memory dump pvc`,
      )
    const claimName: string = asked.claimName || known.claimName
    const instance = find(call, 'kubevirt.io', 'virtualmachineinstances', name)
    if (!instance) throw notFound('virtualmachineinstance', name, 'kubevirt.io')
    if (instance.status?.phase !== 'Running') throw conflicting('virtualmachineinstance', name, 'VMI is not running')
    checkClaim(call, instance, claimName)
    if (known?.phase === 'Dissociating')
      throw conflicting(
        'virtualmachine',
        name,
        `can't dump memory for pvc [${claimName}] a remove memory dump request is in progress`,
      )
    if (known && known.phase !== 'Completed' && known.phase !== 'Failed')
      throw conflicting('virtualmachine', name, `memory dump request for pvc [${claimName}] already in progress`)
    return { claimName, phase: 'Associating' }
  }
}

function removed(machine: StoredObject): object {
  const known = machine.status?.memoryDumpRequest
  const { name } = machine.metadata
  if (!known)
    throw conflicting(
      'virtualmachine',
      name,
      `can't remove memory dump association for vm ${name}, no association found`,
    )
  if (known.remove)
    throw conflicting('virtualmachine', name, `memory dump remove request for pvc [${known.claimName}] already exists`)
  return { claimName: known.claimName, phase: 'Dissociating', remove: true }
}

/** What a dump takes beside the guest's memory, and a file system beside its files. */
const overheadBytes = 100 * 1024 * 1024
const filesystemOverhead = 0.055
const mebibyte = 1024 * 1024

function checkClaim(call: KubevirtCall, instance: StoredObject, name: string): void {
  const claim = find(call, '', 'persistentvolumeclaims', name)
  if (!claim) throw notFound('persistentvolumeclaim', name, 'kubevirt.io')
  const refuse = (message: string) => conflicting('persistentvolumeclaim', name, message)
  if (claim.spec.volumeMode === 'Block') throw refuse('pvc should be filesystem pvc')
  const modes: string[] = claim.spec.accessModes ?? []
  if (modes.length > 0 && modes.every((mode) => mode === 'ReadOnlyMany'))
    throw refuse("pvc access mode can't be read only")
  const asked = tryParseQuantity(String(instance.spec.domain.resources?.requests?.memory ?? '0'))
  const memory = asked ? Number(quantityValue(asked)) : 0
  const needed = Math.ceil(((memory + overheadBytes) * (1 + filesystemOverhead)) / mebibyte) * mebibyte
  const storage = String(claim.spec.resources?.requests?.storage ?? '0')
  if (Number(quantityValue(parseQuantity(storage))) < needed)
    throw refuse(`pvc size [${storage}] should be bigger then [${needed / mebibyte}Mi]`)
}

function find({ engine, info }: KubevirtCall, group: string, plural: string, name: string): StoredObject | undefined {
  const resource = engine.registry.preferred(group, plural)
  return resource && engine.objects.get(resource, info.namespace, name)?.object
}

function optionsOf({ request }: KubevirtCall): { claimName?: string } {
  try {
    const headers = { ...request.headers, 'content-type': 'application/json' }
    const { value = {} } = readBody({ ...request, headers }, false)
    if (isPlainObject(value)) return value
  } catch {
    // Said below.
  }
  throw badRequest('Can not unmarshal Request body to struct, error: the body is not JSON')
}
