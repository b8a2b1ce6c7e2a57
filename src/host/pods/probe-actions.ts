// What a probe does: run a command in the container, ask a URL, open a TCP connection, or call grpc.health.v1.
// Texts mirrored from the kubelet (pkg/probe, 1.32).

import { connect } from 'node:net'
import type { Probe } from 'kubernetes-types/core/v1.js'
import { createGrpcClient, GrpcError } from '../../wire/grpc.ts'
import { decode, encode, message } from '../../wire/protobuf.ts'
import type { Cri } from './cri/client.ts'
import { actionUrl, httpGet, portNumber, tcpConnect } from './http-check.ts'
import type { AnyContainer } from './pod.ts'
import type { ProbeAnswer } from './probes.ts'

export interface ProbeTarget {
  container: AnyContainer
  containerId: string
  podIP: string
}

const userAgent = 'kube-probe/1.36'
const maxOutput = 10 * 1024

export async function runProbe(cri: Cri, probe: Probe, target: ProbeTarget): Promise<ProbeAnswer> {
  const timeoutMs = Math.max(probe.timeoutSeconds ?? 1, 1) * 1000
  const { exec, httpGet: http, tcpSocket, grpc } = probe
  if (exec) return await execProbe(cri, exec.command ?? [], timeoutMs, target)
  if (http) {
    const url = actionUrl(http, target.container, target.podIP)
    const { status } = await httpGet(url, http, timeoutMs, userAgent)
    const ok = status >= 200 && status < 400
    return { ok, output: ok ? '' : `HTTP probe failed with statuscode: ${status}` }
  }
  if (tcpSocket) {
    const port = portNumber(tcpSocket.port as string | number, target.container)
    await tcpConnect(tcpSocket.host || target.podIP, port, timeoutMs)
    return { ok: true, output: '' }
  }
  if (grpc) return await grpcProbe(target.podIP, grpc.port, grpc.service ?? '', timeoutMs)
  return { ok: true, output: '' }
}

async function execProbe(cri: Cri, cmd: string[], timeoutMs: number, target: ProbeTarget): Promise<ProbeAnswer> {
  const input = { containerId: target.containerId, cmd, timeout: timeoutMs / 1000 }
  try {
    const answer = await cri.execSync(input, { deadlineMs: timeoutMs + 5000 })
    const output = `${Buffer.from(answer.stdout)}${Buffer.from(answer.stderr)}`.slice(0, maxOutput)
    return { ok: answer.exitCode === 0, output }
  } catch (error) {
    // containerd ends a command that takes too long with DeadlineExceeded (4).
    if ((error as { code?: number }).code === 4)
      return { ok: false, output: `command timed out: "${cmd.join(' ')}" timed out after ${timeoutMs / 1000}s` }
    throw error
  }
}

const HealthRequest = message({ service: [1, 'string'] })
const HealthResponse = message({ status: [1, 'int32'] })
const serving = 1

/** An answer is a number; who sends more is no health service. */
const answerLimit = 64 * 1024

async function grpcProbe(host: string, port: number, service: string, timeoutMs: number): Promise<ProbeAnswer> {
  const client = createGrpcClient(() => connect(port, host), answerLimit)
  try {
    const answer = await client.unary({
      path: '/grpc.health.v1.Health/Check',
      message: encode(HealthRequest, { service }),
      metadata: { 'user-agent': userAgent },
      deadlineMs: timeoutMs,
    })
    const { status } = decode(HealthResponse, answer)
    return status === serving
      ? { ok: true, output: '' }
      : { ok: false, output: `service unhealthy (responded with "${status}")` }
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error
    return { ok: false, output: `failed to connect service "${host}:${port}": ${error.message}` }
  } finally {
    client.close()
  }
}
