// subresources.kubevirt.io of a running machine: from the API's call to the machine driver. Texts: KubeVirt 1.9
// (pkg/virt-api/rest).

import { ApiError, notFound } from '../api/errors.ts'
import type { ApiResponse } from '../api/exchange.ts'
import type { StoredObject } from '../api/meta.ts'
import type { WorkloadRef } from '../api/streams.ts'
import { parseDuration } from '../api/time.ts'
import type { MachineControl as DriverControl } from '../host/machines/control.ts'
import { readBody } from '../server/body.ts'
import type { KubevirtCall, KubevirtHandler } from '../server/subresources/kubevirt.ts'
import { guestFilesystems, guestInfo, guestList, guestUsers } from '../server/subresources/kubevirt-guest.ts'

export type MachineControl = Pick<
  DriverControl,
  'pause' | 'unpause' | 'reset' | 'softReboot' | 'guestAgent' | 'freeze' | 'unfreeze' | 'isFrozen' | 'screenshot'
>

const done: ApiResponse = { status: 200, text: '' }

export function machineHandlers(control: () => MachineControl): Record<string, KubevirtHandler> {
  const on =
    (act: (machine: WorkloadRef, call: KubevirtCall, object: StoredObject) => Promise<unknown>): KubevirtHandler =>
    async (call) => {
      const object = instanceOf(call)
      const { namespace = '', name, uid } = object.metadata
      const answer = await act({ namespace, name, uid }, call, object)
      return answer === undefined ? done : { status: 200, object: answer as object }
    }
  const ask = (machine: WorkloadRef, command: string) => control().guestAgent<any>(machine, command)
  return {
    'virtualmachineinstances/pause': on((machine) => control().pause(machine)),
    'virtualmachineinstances/unpause': on((machine) => control().unpause(machine)),
    'virtualmachineinstances/reset': on((machine) => control().reset(machine)),
    'virtualmachineinstances/softreboot': on((machine) => control().softReboot(machine)),
    'virtualmachineinstances/freeze': on((machine, call) => control().freeze(machine, unfreezeTimeout(call))),
    'virtualmachineinstances/unfreeze': on((machine) => control().unfreeze(machine)),
    'virtualmachineinstances/guestosinfo': on((machine) => overview(control(), machine)),
    'virtualmachineinstances/userlist': on(async (machine) =>
      guestList('VirtualMachineInstanceGuestOSUserList', guestUsers(await ask(machine, 'guest-get-users'))),
    ),
    'virtualmachineinstances/filesystemlist': on(async (machine) =>
      guestList('VirtualMachineInstanceFileSystemList', guestFilesystems(await ask(machine, 'guest-get-fsinfo'))),
    ),
    'virtualmachineinstances/vnc': (call) => screenshot(control, call),
    // Nothing is ever evacuated from the only node, so there is nothing to take back.
    'virtualmachineinstances/evacuate': cancelEvacuation,
    'virtualmachines/evacuate': cancelEvacuation,
  }
}

/** A frozen guest answers none of these; nor need an old agent know them all. */
async function overview(control: MachineControl, machine: WorkloadRef): Promise<object> {
  const info = await control.guestAgent(machine, 'guest-info')
  const isFrozen = control.isFrozen(machine)
  const ask = (command: string) =>
    isFrozen ? undefined : control.guestAgent<any>(machine, command).catch(() => undefined)
  return guestInfo({
    info,
    isFrozen,
    os: await ask('guest-get-osinfo'),
    hostname: await ask('guest-get-host-name'),
    timezone: await ask('guest-get-timezone'),
    users: await ask('guest-get-users'),
    filesystems: await ask('guest-get-fsinfo'),
  })
}

/** In ms; 0: until it is thawed. */
function unfreezeTimeout(call: KubevirtCall): number {
  const value: any = bodyOf(call)
  const given = value?.unfreezeTimeout
  if (given === undefined || given === null)
    throw new ApiError('BadRequest', 'Request with no body, unfreezeTimeout is required')
  const ms = typeof given === 'string' ? parseDuration(given) : undefined
  if (ms === undefined || ms < 0)
    throw new ApiError('BadRequest', `unfreezeTimeout ${JSON.stringify(given)} is no duration: write it like 5m0s`)
  return ms
}

function bodyOf({ request }: KubevirtCall): unknown {
  try {
    const headers = { ...request.headers, 'content-type': 'application/json' }
    return readBody({ ...request, headers }, false).value
  } catch {
    throw new ApiError('BadRequest', 'Can not unmarshal Request body to struct, error: the body is not JSON')
  }
}

async function screenshot(control: () => MachineControl, call: KubevirtCall): Promise<ApiResponse> {
  const { info, request } = call
  if (info.rest.join('/') !== 'screenshot')
    throw new ApiError('BadRequest', 'vnc is a stream: ask for it with an upgrade to WebSocket')
  const object = instanceOf(call)
  if (object.spec.domain?.devices?.autoattachGraphicsDevice === false)
    throw new ApiError('BadRequest', 'No graphics devices are present.')
  const { namespace = '', name, uid } = object.metadata
  const picture = await control().screenshot({ namespace, name, uid }, request.query.get('moveCursor') === 'true')
  const headers = { 'content-type': 'image/png' }
  return {
    status: 200,
    headers,
    stream: (async function* () {
      yield picture
    })(),
  }
}

const cancelEvacuation: KubevirtHandler = async (call) => {
  if (call.info.rest.join('/') !== 'cancel')
    throw new ApiError('NotFound', 'the server could not find the requested resource')
  find(call)
  return done
}

function find({ engine, info }: KubevirtCall): StoredObject {
  const resource = engine.registry.preferred('kubevirt.io', 'virtualmachineinstances')
  const found = resource && engine.objects.get(resource, info.namespace, info.name)
  if (!found) throw notFound('virtualmachineinstance', info.name, 'kubevirt.io')
  return found.object
}

function instanceOf(call: KubevirtCall): StoredObject {
  const object = find(call)
  if (object.status?.phase !== 'Running') throw new ApiError('Conflict', 'VM is not running')
  return object
}
