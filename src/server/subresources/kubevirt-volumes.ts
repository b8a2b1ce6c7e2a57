// addvolume and removevolume: of a machine they change its template, of an instance what runs and nothing else. The rest
// follows from the object. Rules and texts: KubeVirt 1.9 (pkg/virt-api/rest/volumes.go).

import { ApiError, notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { copyJson, isPlainObject } from '../../api/walk/plain.ts'
import {
  claimOfVolume,
  ephemeralVolumesAnnotation,
  ephemeralVolumesOf,
  isHotpluggable,
} from '../../kinds/kubevirt/live-changes.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call } from '../call.ts'
import { updateObject } from '../persist.ts'
import type { KubevirtCall, KubevirtHandler } from './kubevirt.ts'

type Change = (spec: any) => string

const machines = { plural: 'virtualmachines', singular: 'virtualmachine' }
const instances = { plural: 'virtualmachineinstances', singular: 'virtualmachineinstance' }

export const volumeHandlers: Record<string, KubevirtHandler> = {
  'virtualmachines/addvolume': (call) => changing(call, machines, adding),
  'virtualmachines/removevolume': (call) => changing(call, machines, removing),
  'virtualmachineinstances/addvolume': (call) => changing(call, instances, adding),
  'virtualmachineinstances/removevolume': (call) => changing(call, instances, removing),
}

async function changing(
  call: KubevirtCall,
  kind: typeof machines,
  decide: (options: any) => Change,
): Promise<ApiResponse> {
  const { engine, info } = call
  const resource = engine.registry.preferred('kubevirt.io', kind.plural)
  if (!resource) throw notFound(kind.singular, info.name, 'kubevirt.io')
  const options = optionsOf(call)
  const change = decide(options)
  const own: Call = {
    ...call,
    resource,
    info: { ...info, group: 'kubevirt.io', resource: kind.plural, subresource: '' },
  }
  await engine.objects.exclusively(engine.objects.key(resource, info.namespace, info.name), async () => {
    const current = engine.objects.get(resource, info.namespace, info.name)
    if (!current) throw notFound(kind.singular, info.name, 'kubevirt.io')
    const next = copyJson<ApiObject>(current.object)
    try {
      if (kind === instances) changeInstance(next, change)
      else change(next.spec.template.spec)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      throw conflicting(kind.singular, info.name, error.message)
    }
    const dryRun = Array.isArray(options.dryRun) && options.dryRun[0] === 'All'
    await updateObject(own, current, next, {
      dryRun,
      fieldManager: 'virt-api',
      fieldValidation: 'Ignore',
      subresource: '',
    })
  })
  return { status: 202, text: '' }
}

class Refused extends Error {}

const conflicting = (kind: string, name: string, message: string): ApiError =>
  new ApiError('Conflict', `Operation cannot be fulfilled on ${kind}.kubevirt.io "${name}": ${message}`, {
    name,
    group: 'kubevirt.io',
    kind,
  })

/** Its machine's template does not have the volume; the controller that keeps the two alike leaves it alone. */
function changeInstance(instance: ApiObject, change: Change): void {
  if (instance.status?.phase !== 'Running') throw new Refused('VMI is not running')
  const before = new Set((instance.spec.volumes ?? []).map(({ name }: any) => name))
  const name = change(instance.spec)
  const ephemeral = ephemeralVolumesOf(instance.metadata.annotations)
  if (before.has(name)) ephemeral.delete(name)
  else ephemeral.add(name)
  const { [ephemeralVolumesAnnotation]: _, ...annotations } = instance.metadata.annotations ?? {}
  instance.metadata.annotations = ephemeral.size
    ? { ...annotations, [ephemeralVolumesAnnotation]: [...ephemeral].join(',') }
    : annotations
}

function optionsOf({ request }: KubevirtCall): any {
  try {
    const headers = { ...request.headers, 'content-type': 'application/json' }
    const { value = {} } = readBody({ ...request, headers }, false)
    if (isPlainObject(value)) return value
  } catch {
    // Said below.
  }
  throw badRequest('Can not unmarshal Request body to struct, error: the body is not JSON')
}

function adding(options: any): Change {
  const { name, disk, volumeSource } = options
  if (!name || typeof name !== 'string') throw badRequest('AddVolumeOptions requires name to be set')
  if (!isPlainObject(disk)) throw badRequest('AddVolumeOptions requires disk to not be nil')
  if (!isPlainObject(volumeSource)) throw badRequest('AddVolumeOptions requires VolumeSource to not be nil')
  const kind = volumeSource.dataVolume ? 'dataVolume' : 'persistentVolumeClaim'
  const source = volumeSource[kind]
  if (!isPlainObject(source))
    throw badRequest('AddVolumeOptions requires VolumeSource to name a persistentVolumeClaim or a dataVolume')
  const volume = { name, [kind]: { ...source, hotpluggable: true } }
  const claim = claimOfVolume(volume)
  return (spec) => {
    for (const known of spec.volumes ?? []) {
      if (known.name === name)
        throw new Refused(`Unable to add volume [${name}] because volume with that name already exists`)
      if (claimOfVolume(known) === claim)
        throw new Refused(`Unable to add volume source [${claim}] because it already exists`)
    }
    spec.volumes = [...(spec.volumes ?? []), volume]
    const { devices = {} } = spec.domain
    // The drive that the disc goes into may be there.
    const others = (devices.disks ?? []).filter((known: any) => known.name !== name)
    if (others.length === (devices.disks ?? []).length)
      spec.domain.devices = { ...devices, disks: [...others, { ...disk, name }] }
    return name
  }
}

function removing(options: any): Change {
  const { name } = options
  if (!name || typeof name !== 'string') throw badRequest('RemoveVolumeOptions requires name to be set')
  return (spec) => {
    const volume = (spec.volumes ?? []).find((one: any) => one.name === name || claimOfVolume(one) === name)
    if (!volume) throw new Refused(`Unable to remove volume [${name}] because it does not exist`)
    if (!isHotpluggable(volume))
      throw new Refused(`Unable to remove volume [${volume.name}] because it is not hotpluggable`)
    spec.volumes = spec.volumes.filter((one: any) => one !== volume)
    const { devices = {} } = spec.domain
    // A drive stays when its disc goes.
    const disks = (devices.disks ?? []).filter((disk: any) => disk.name !== volume.name || disk.cdrom)
    spec.domain.devices = { ...devices, disks }
    return volume.name
  }
}
