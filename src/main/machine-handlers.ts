// subresources.kubevirt.io of a running machine: from the API's call to the machine driver.

import { ApiError, notFound } from '../api/errors.ts'
import type { ApiResponse } from '../api/exchange.ts'
import type { StoredObject } from '../api/meta.ts'
import type { WorkloadRef } from '../api/streams.ts'
import type { MachineControl as DriverControl } from '../host/machines/control.ts'
import type { KubevirtCall, KubevirtHandler } from '../server/subresources/kubevirt.ts'

export type MachineControl = Pick<DriverControl, 'pause' | 'unpause' | 'reset' | 'softReboot' | 'guestAgent'>

const done: ApiResponse = { status: 200, text: '' }

export function machineHandlers(control: () => MachineControl): Record<string, KubevirtHandler> {
  const on =
    (act: (machine: WorkloadRef, object: StoredObject) => Promise<unknown>): KubevirtHandler =>
    async (call) => {
      const object = instanceOf(call)
      const { namespace = '', name, uid } = object.metadata
      const answer = await act({ namespace, name, uid }, object)
      return answer === undefined ? done : { status: 200, object: answer as object }
    }
  return {
    'virtualmachineinstances/pause': on((machine) => control().pause(machine)),
    'virtualmachineinstances/unpause': on((machine) => control().unpause(machine)),
    'virtualmachineinstances/reset': on((machine) => control().reset(machine)),
    'virtualmachineinstances/softreboot': on((machine) => control().softReboot(machine)),
  }
}

function instanceOf({ engine, info }: KubevirtCall): StoredObject {
  const resource = engine.registry.preferred('kubevirt.io', 'virtualmachineinstances')
  const found = resource && engine.objects.get(resource, info.namespace, info.name)
  if (!found) throw notFound('virtualmachineinstance', info.name, 'kubevirt.io')
  if (found.object.status?.phase !== 'Running') throw new ApiError('Conflict', 'VM is not running')
  return found.object
}
