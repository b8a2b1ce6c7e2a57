// Readiness and liveness of a guest: HTTP, TCP or a ping of the guest agent, with the kubelet's defaults
// (core/v1 Probe: period 10 s, timeout 1 s, success 1, failure 3).

import type { Logger } from '../../base/log.ts'
import { connectTcp } from './channel.ts'
import { agentOf, type Machine, pausedBy } from './machine.ts'
import type { Probe, VmiSpec } from './vmi.ts'

// Not imported: an import of node:http loads everything it can give, undici among it, 4 MB and a tenth of the start.
const { request: httpRequest } = process.getBuiltinModule('node:http')
const { request: httpsRequest } = process.getBuiltinModule('node:https')

export interface ProbeListener {
  log: Logger
  /** Readiness turned. */
  changed(): void
  /** The liveness probe gave up. */
  dead(message: string): void
}

/** Starts what the spec asks for; returns how to stop it. */
export function startProbes(machine: Machine, spec: VmiSpec, listener: ProbeListener): () => void {
  const { readinessProbe, livenessProbe } = spec
  const stops: (() => void)[] = []
  machine.probed = readinessProbe && { ready: false }
  if (readinessProbe)
    stops.push(
      repeat(machine, readinessProbe, (ok) => {
        if (machine.probed?.ready === ok) return
        machine.probed = { ready: ok }
        listener.changed()
      }),
    )
  if (livenessProbe)
    stops.push(
      repeat(machine, livenessProbe, (ok, why) => {
        if (!ok) listener.dead(`Liveness probe failed: ${why}`)
      }),
    )
  return () => {
    for (const stop of stops) stop()
  }
}

/** Calls `report` when the threshold of successes or failures in a row is reached. */
function repeat(machine: Machine, probe: Probe, report: (ok: boolean, why: string) => void): () => void {
  const { periodSeconds = 10, successThreshold = 1, failureThreshold = 3, initialDelaySeconds = 0 } = probe
  let stopped = false
  let row = 0
  let last: boolean | undefined
  const look = async () => {
    const why = pausedBy(machine) ? undefined : await failureOf(machine, probe)
    if (stopped) return
    const ok = why === undefined
    row = ok === last ? row + 1 : 1
    last = ok
    if (row === (ok ? successThreshold : failureThreshold)) report(ok, why ?? '')
    timer = setTimeout(look, periodSeconds * 1000)
  }
  let timer = setTimeout(look, initialDelaySeconds * 1000)
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}

/** undefined when the probe succeeds, else why not. */
async function failureOf(machine: Machine, probe: Probe): Promise<string | undefined> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000
  const address = machine.record.started?.network?.address
  try {
    if (probe.exec) return await execFailure(machine, probe.exec.command ?? [], timeoutMs)
    if (probe.guestAgentPing) await (await agentOf(machine)).execute('guest-ping', undefined, timeoutMs)
    else if (!address) return 'the machine has no address'
    else if (probe.tcpSocket)
      (await connectTcp(probe.tcpSocket.host || address, Number(probe.tcpSocket.port), timeoutMs)).close()
    else if (probe.httpGet) return await httpFailure(probe.httpGet, address, timeoutMs)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** What guest-exec itself may take; the command has the probe's own time. */
const agentMs = 5_000

async function execFailure(machine: Machine, command: string[], timeoutMs: number): Promise<string | undefined> {
  const agent = await agentOf(machine)
  const [path = '', ...arg] = command
  const end = Date.now() + timeoutMs
  const { pid } = await agent.execute<{ pid: number }>('guest-exec', { path, arg, 'capture-output': true }, agentMs)
  for (let wait = 10; ; wait = Math.min(wait * 2, 250)) {
    const seen = await agent.execute<ExecStatus>('guest-exec-status', { pid }, agentMs)
    if (seen.exited && seen.exitcode === 0) return undefined
    if (seen.exited) return `command ended with ${seen.exitcode ?? `signal ${seen.signal}`}: ${outputOf(seen)}`
    if (Date.now() >= end) return `command did not end within ${timeoutMs / 1000} s`
    await new Promise((resolve) => setTimeout(resolve, wait))
  }
}

interface ExecStatus {
  exited: boolean
  exitcode?: number
  signal?: number
  'out-data'?: string
  'err-data'?: string
}

const outputOf = (seen: ExecStatus): string =>
  [seen['out-data'], seen['err-data']]
    .map((text) => Buffer.from(String(text ?? ''), 'base64').toString())
    .join('')
    .trim()
    .slice(0, 1024)

function httpFailure(
  get: NonNullable<Probe['httpGet']>,
  address: string,
  timeoutMs: number,
): Promise<string | undefined> {
  const secure = get.scheme?.toUpperCase() === 'HTTPS'
  const headers = Object.fromEntries((get.httpHeaders ?? []).map(({ name, value }) => [name, value]))
  return new Promise((resolve) => {
    const request = (secure ? httpsRequest : httpRequest)(
      {
        host: get.host || address,
        port: Number(get.port),
        path: get.path || '/',
        headers: { 'User-Agent': 'kube-probe/tandem', ...headers },
        // The kubelet does not check certificates of probes either.
        rejectUnauthorized: false,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
      },
      (answer) => {
        const { statusCode = 0 } = answer
        answer.destroy()
        resolve(statusCode >= 200 && statusCode < 400 ? undefined : `HTTP probe failed with statuscode: ${statusCode}`)
      },
    )
    request.on('error', (error) => resolve(error.message))
    request.end()
  })
}
