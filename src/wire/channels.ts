// The framing of exec and attach over WebSocket ("v5.channel.k8s.io" and the older ones): the first byte of every binary
// message says the channel. Pure, both ways. Facts: k8s.io/apimachinery/pkg/util/remotecommand 1.32.

/** How a command ended (the same shape as api/streams.ts has: this floor imports nothing). */
export type ExitStatus = { kind: 'exited'; code: number } | { kind: 'failed'; message: string }

export const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const

/** Newest first: what a server should choose from. From v4 on the error channel carries a Status. */
export const channelProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
] as const

export type ChannelMessage =
  | { channel: 'stdin' | 'stdout' | 'stderr' | 'error'; data: Uint8Array }
  | { channel: 'resize'; width: number; height: number }
  /** v5 only: nothing more will come on that channel. */
  | { channel: 'close'; of: number }

const names = ['stdin', 'stdout', 'stderr', 'error'] as const

/** @throws RangeError for a channel that does not exist. */
export function parseChannelMessage(message: Uint8Array): ChannelMessage {
  const first = message[0]
  const data = message.subarray(1)
  if (first === channel.close && data.length === 1) return { channel: 'close', of: data[0]! }
  if (first === channel.resize) {
    const size = JSON.parse(new TextDecoder().decode(data)) as { Width?: unknown; Height?: unknown }
    return { channel: 'resize', width: Number(size.Width ?? 0), height: Number(size.Height ?? 0) }
  }
  const name = first === undefined ? undefined : names[first]
  if (!name) throw new RangeError(`no such channel: ${first}`)
  return { channel: name, data }
}

export function formatChannelMessage(message: ChannelMessage): Uint8Array {
  if (message.channel === 'close') return Uint8Array.of(channel.close, message.of)
  const data =
    message.channel === 'resize'
      ? new TextEncoder().encode(JSON.stringify({ Width: message.width, Height: message.height }))
      : message.data
  const bytes = new Uint8Array(data.length + 1)
  bytes[0] = channel[message.channel]
  bytes.set(data, 1)
  return bytes
}

/** What the error channel says at the end, from v4 on. */
export interface ExitReport {
  metadata: Record<string, never>
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: { causes: { reason: string; message: string }[] }
  code?: number
}

export function exitReport(exit: ExitStatus): ExitReport {
  if (exit.kind === 'failed')
    return { metadata: {}, status: 'Failure', message: exit.message, reason: 'InternalError', code: 500 }
  if (exit.code === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: command terminated with exit code ${exit.code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: `${exit.code}` }] },
  }
}

/** The other direction; an empty or unreadable report is a failure in words. */
export function parseExitReport(text: string): ExitStatus {
  if (text === '') return { kind: 'exited', code: 0 }
  let report: Partial<ExitReport>
  try {
    report = JSON.parse(text) as Partial<ExitReport>
  } catch {
    // Before v4 the error channel carried plain text.
    return { kind: 'failed', message: text }
  }
  if (report.status === 'Success') return { kind: 'exited', code: 0 }
  const code = report.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message
  if (report.reason === 'NonZeroExitCode' && code !== undefined && /^\d+$/.test(code))
    return { kind: 'exited', code: Number(code) }
  return { kind: 'failed', message: report.message ?? text }
}
