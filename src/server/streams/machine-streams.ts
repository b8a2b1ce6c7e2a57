// What a VirtualMachineInstance must be for a stream of it (kubevirt pkg/virt-api/rest/{console,vnc,usbredir,portforward}.go,
// 1.9):
// virtctl waits after a 400 and gives up after every other answer.

import { ApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'

/** @throws ApiError when there is nothing to connect to, or not yet. */
export function requireStream(subresource: string, { metadata, spec, status }: StoredObject): void {
  const conflict = (why: string) =>
    new ApiError(
      'Conflict',
      `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "${metadata.name}": ${why}`,
    )
  const { autoattachSerialConsole, autoattachGraphicsDevice, clientPassthrough } = spec.domain?.devices ?? {}
  if (subresource === 'console' && autoattachSerialConsole === false)
    throw new ApiError('BadRequest', 'No serial consoles are present.')
  if (subresource === 'console' && status?.phase === 'Failed') throw conflict('VMI is in failed status')
  if (subresource === 'vnc' && autoattachGraphicsDevice === false)
    throw new ApiError('BadRequest', 'No graphics devices are present.')
  if (subresource === 'usbredir' && !clientPassthrough) throw conflict('Not configured with USB Redirection')
  if (subresource === 'portforward' && isPaused(status)) throw conflict('VMI is paused')
  if (status?.phase !== 'Running') throw new ApiError('BadRequest', 'VMI is not running')
}

const isPaused = (status: StoredObject['status']): boolean =>
  (status?.conditions ?? []).some(
    (one: { type: string; status: string }) => one.type === 'Paused' && one.status === 'True',
  )
