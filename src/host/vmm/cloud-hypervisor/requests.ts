// What Cloud Hypervisor is asked over its socket (pure; its API 0.3.0).

import type { VmmRequest } from '../http-socket.ts'

const put = (name: string, body?: object): VmmRequest => ({
  method: 'PUT',
  path: `/api/v1/${name}`,
  ...(body && { body }),
})

/** It takes folders by name as it sees them, and needs them to be there. */
const urlOf = (folder: string): string => `file://${folder}`

export const requests = {
  info: { method: 'GET', path: '/api/v1/vm.info' } as VmmRequest,
  pause: put('vm.pause'),
  resume: put('vm.resume'),
  powerButton: put('vm.power-button'),
  shutdown: put('vmm.shutdown'),
  snapshot: (folder: string) => put('vm.snapshot', { destination_url: urlOf(folder) }),
  restore: (folder: string) => put('vm.restore', { source_url: urlOf(folder) }),
}
