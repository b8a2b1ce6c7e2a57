// The guest's USB: one controller for everything, and the ports at which devices of clients appear (virtctl usbredir). Each
// port is a socket of QEMU that speaks the usbredir protocol with one client at a time.

import { join } from 'node:path'
import { ApiError } from '../../api/errors.ts'
import type { ByteChannel } from '../../api/streams.ts'
import { connectUnix } from './channel.ts'
import { option } from './option.ts'
import { withSocketPath } from './socket-path.ts'
import type { VmiSpec } from './vmi.ts'

/** As many as KubeVirt has (UsbClientPassthroughMaxNumberOf, 1.9). */
const clientPorts = 4
/** All that the controller can have, of each speed: with its usual four the guest's own devices would push a client's off. */
const mostPorts = 15

const socketName = (port: number): string => `usbredir-${port}.sock`

const takesClients = ({ domain }: VmiSpec): boolean => domain.devices?.clientPassthrough !== undefined

const usesInputs = ({ domain: { devices = {} } }: VmiSpec): boolean =>
  devices.inputs?.some((input) => (input.bus || 'usb') === 'usb') ?? devices.autoattachInputDevice === true

/** Whether it needs a controller, disks aside. */
export const usesUsb = (spec: VmiSpec): boolean => usesInputs(spec) || takesClients(spec)

export const usbController = (spec: VmiSpec): string[] => {
  const ports = takesClients(spec) ? { p2: mostPorts, p3: mostPorts } : {}
  return ['-device', option('qemu-xhci', { id: 'usb', ...ports })]
}

export function clientPortArgs(spec: VmiSpec): string[] {
  if (!takesClients(spec)) return []
  return Array.from({ length: clientPorts }).flatMap((_, port) => [
    ...['-chardev', option('socket', { id: `usbredir${port}`, path: socketName(port), server: true, wait: false })],
    ...['-device', option('usb-redir', { id: `redir${port}`, chardev: `usbredir${port}`, bus: 'usb.0' })],
  ])
}

/** Which ports have a client, by machine: QEMU would let a second one wait for ever. */
export function createClientPorts(): (uid: string, directory: string) => Promise<ByteChannel> {
  const taken = new Map<string, Set<number>>()
  return async (uid, directory) => {
    const ports = taken.get(uid) ?? new Set()
    const port = Array.from({ length: clientPorts }, (_, one) => one).find((one) => !ports.has(one))
    if (port === undefined) throw new ApiError('ServiceUnavailable', 'All USB devices are in use.')
    taken.set(uid, ports.add(port))
    const release = () => {
      ports.delete(port)
      if (ports.size === 0 && taken.get(uid) === ports) taken.delete(uid)
    }
    try {
      const channel = await withSocketPath(join(directory, socketName(port)), connectUnix)
      return onceClosed(channel, release)
    } catch (error) {
      release()
      throw error
    }
  }
}

function onceClosed(channel: ByteChannel, release: () => void): ByteChannel {
  let closed = false
  const close = () => {
    if (closed) return
    closed = true
    channel.close()
    release()
  }
  async function* readable() {
    try {
      yield* channel.readable
    } finally {
      close()
    }
  }
  return {
    readable: readable(),
    write: (chunk) => channel.write(chunk),
    // The protocol knows no half of a conversation.
    end: close,
    close,
  }
}
