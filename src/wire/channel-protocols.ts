// The sub-protocols by which channels travel over a WebSocket: binary with the channel in the first byte, or base64 text
// with the channel as a digit; before version 4 the error channel carries words instead of a Status.
// Facts: apiserver/pkg/util/wsstream and kubelet/pkg/cri/streaming/remotecommand (1.36). Pure.

import { type ExitStatus, exitReport } from './channels.ts'

export interface ChannelProtocol {
  /** '' for a client that asks for none. */
  name: string
  base64: boolean
  /** The error channel carries a Status (from version 4 on). */
  status: boolean
  /** A channel can be closed by itself (from version 5 on). */
  closes: boolean
}

/** Newest first: a server takes the first one that the client offers. */
export const execChannelProtocols: ChannelProtocol[] = [
  { name: 'v5.channel.k8s.io', base64: false, status: true, closes: true },
  { name: 'v4.channel.k8s.io', base64: false, status: true, closes: false },
  { name: 'v4.base64.channel.k8s.io', base64: true, status: true, closes: false },
  { name: 'channel.k8s.io', base64: false, status: false, closes: false },
  { name: 'base64.channel.k8s.io', base64: true, status: false, closes: false },
  { name: '', base64: false, status: false, closes: false },
]

export const forwardChannelProtocols: ChannelProtocol[] = [
  { name: 'v4.channel.k8s.io', base64: false, status: true, closes: false },
  { name: 'v4.base64.channel.k8s.io', base64: true, status: true, closes: false },
  { name: '', base64: false, status: true, closes: false },
]

/** One stream without channels: logs. */
export const plainProtocols: Pick<ChannelProtocol, 'name' | 'base64'>[] = [
  { name: 'binary.k8s.io', base64: false },
  { name: 'base64.binary.k8s.io', base64: true },
  { name: '', base64: false },
]

/** The first that is served and offered; undefined where none is. */
export const negotiate = <P extends { name: string }>(served: P[], offered: string[]): P | undefined =>
  served.find(({ name }) => (name === '' ? offered.length === 0 : offered.includes(name)))

const digit = (channel: number): number => 0x30 + channel

/** A message as it goes over the wire: bytes, or text where the protocol is base64. */
export function encodeMessage({ base64 }: { base64: boolean }, message: Uint8Array): Uint8Array | string {
  if (!base64) return message
  const [channel = 0] = message
  return `${String.fromCharCode(digit(channel))}${Buffer.from(message.subarray(1)).toString('base64')}`
}

/** Back to the channel's number in the first byte. */
export function decodeMessage({ base64 }: { base64: boolean }, message: Uint8Array): Uint8Array {
  if (!base64 || message.length === 0) return message
  const data = Buffer.from(Buffer.from(message.subarray(1)).toString('latin1'), 'base64')
  return Buffer.concat([Uint8Array.of(message[0]! - 0x30), data])
}

/** What the error channel says in the end; empty where there is nothing to say. */
export function finalWords({ status }: { status: boolean }, exit: ExitStatus): string {
  const report = exitReport(exit)
  if (status) return JSON.stringify(report)
  return report.message ?? ''
}
