// Requests that probes and hooks make to a container: HTTP(S) and TCP, without keeping a connection.
// Rules mirrored from the kubelet (pkg/probe/http and pkg/probe/tcp, 1.32).

import { connect } from 'node:net'
import type { HTTPGetAction } from 'kubernetes-types/core/v1.js'
import type { AnyContainer } from './pod.ts'

// Not imported: an import of node:http loads everything it can give, undici among it, 4 MB and a tenth of the start.
const { request: httpRequest } = process.getBuiltinModule('node:http')
const { request: httpsRequest } = process.getBuiltinModule('node:https')

const maxBody = 10 * 1024
const maxRedirects = 10

export interface Answer {
  status: number
  body: string
}

/** A number, or the name of one of the container's ports. */
export function portNumber(port: string | number, container: AnyContainer): number {
  const named = 'ports' in container ? container.ports?.find(({ name }) => name === port) : undefined
  const number = named?.containerPort ?? Number(port)
  if (!Number.isInteger(number) || number < 1 || number > 65535)
    throw new Error(`container ${container.name} has no port "${port}"`)
  return number
}

export function actionUrl(action: HTTPGetAction, container: AnyContainer, podIP: string): string {
  const scheme = (action.scheme ?? 'HTTP').toLowerCase()
  const host = action.host || podIP
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${portNumber(action.port as string | number, container)}${path}`
}

/** @throws Error in the words of a Go client: what users of the kubelet know */
export async function httpGet(
  url: string,
  action: HTTPGetAction,
  timeoutMs: number,
  userAgent: string,
): Promise<Answer> {
  const given = Object.fromEntries((action.httpHeaders ?? []).map(({ name, value }) => [name.toLowerCase(), value]))
  const headers = { 'user-agent': userAgent, accept: '*/*', ...given, connection: 'close' }
  const signal = AbortSignal.timeout(timeoutMs)
  const host = new URL(url).hostname
  let at = url
  for (let hop = 0; ; hop++) {
    const { location, ...answer } = await get(at, headers, signal)
    if (answer.status < 300 || answer.status > 399 || !location) return answer
    const next = new URL(location, at)
    // A redirect to somewhere else counts as an answer; nobody follows it out of the Pod.
    if (next.hostname !== host || hop >= maxRedirects) return answer
    at = next.href
  }
}

function get(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Answer & { location?: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new Error(`Get "${url}": ${networkText(error, new URL(url))}`, { cause: error }))
    const request = url.startsWith('https:') ? httpsRequest : httpRequest
    // Certificates of Pods are their own; the kubelet does not verify them either.
    const asked = request(url, { headers, signal, agent: false, rejectUnauthorized: false }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      const done = () => {
        const body = Buffer.concat(chunks).toString('utf8').slice(0, maxBody)
        resolve({ status: response.statusCode ?? 0, body, location: response.headers.location })
        response.destroy()
      }
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size >= maxBody) done()
      })
      response.on('end', done)
      response.on('error', fail)
    })
    asked.on('error', fail)
    asked.end()
  })
}

const goTexts: Record<string, string> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ECONNRESET: 'read: connection reset by peer',
}

function networkText(
  error: Error,
  { hostname, port, protocol }: { hostname: string; port: string; protocol: string },
): string {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (error.name === 'AbortError' || error.name === 'TimeoutError' || code === 'ABORT_ERR')
    return 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
  const address = `${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`
  return goTexts[code] ? `dial tcp ${address}: ${goTexts[code]}` : error.message
}

/** @throws Error when nobody listens */
export function tcpConnect(host: string, port: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: timeoutMs })
    const fail = (text: string) => {
      socket.destroy()
      reject(new Error(text))
    }
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('timeout', () => fail(`dial tcp ${host}:${port}: i/o timeout`))
    socket.once('error', (error) => fail(networkText(error, { hostname: host, port: `${port}`, protocol: 'tcp:' })))
  })
}
