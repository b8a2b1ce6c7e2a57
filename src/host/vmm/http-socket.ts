// HTTP over a unix socket, as VMMs speak it: one request for each connection, an answer that is bounded in bytes and time,
// and errors in words for a person.

import { request } from 'node:http'
import { withSocketPath } from '../machines/socket-path.ts'
import { VmmAbsent, VmmRefused } from './driver.ts'

export interface VmmRequest {
  method: 'GET' | 'PUT'
  path: string
  body?: object
}

export interface HttpSocket {
  /** For a person: "Cloud Hypervisor". */
  title: string
  path: string
  timeoutMs?: number
}

const answerLimit = 1024 * 1024
const defaultTimeoutMs = 10_000

/** The answer's JSON; undefined where there is none. @throws VmmRefused, VmmAbsent, Error */
export async function askVmm(socket: HttpSocket, asked: VmmRequest): Promise<any> {
  const { status, text } = await withSocketPath(socket.path, (path) => exchange({ ...socket, path }, asked))
  if (status < 200 || status > 299) throw new VmmRefused(socket.title, whatOf(asked), faultText(status, text))
  if (!text) return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${socket.title} answered ${whatOf(asked)} with something that is not JSON`)
  }
}

const whatOf = ({ path }: VmmRequest): string => path.split('/').at(-1)!

interface Answer {
  status: number
  text: string
}

function exchange({ title, path, timeoutMs = defaultTimeoutMs }: HttpSocket, asked: VmmRequest): Promise<Answer> {
  const body = asked.body && JSON.stringify(asked.body)
  const headers = body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {}
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: path, method: asked.method, path: asked.path, headers, agent: false })
    const timer = setTimeout(
      () => sent.destroy(new Error(`${title} did not answer ${whatOf(asked)} in ${timeoutMs} ms`)),
      timeoutMs,
    )
    let answered = false
    const fail = (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      const nobody = ['ENOENT', 'ECONNREFUSED'].includes(error.code ?? '')
      // Between the request and its answer: it has ended.
      const ended = !answered && error.code === 'ECONNRESET'
      reject(nobody || ended ? new VmmAbsent(title, whatOf(asked), { cause: error }) : error)
    }
    sent.on('error', fail)
    sent.on('response', (response) => {
      answered = true
      const parts: Buffer[] = []
      let size = 0
      response.on('data', (part: Buffer) => {
        size += part.length
        if (size <= answerLimit) parts.push(part)
        else sent.destroy(new Error(`${title} answered ${whatOf(asked)} with more than ${answerLimit} bytes`))
      })
      response.on('error', fail)
      response.on('end', () => {
        clearTimeout(timer)
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') })
      })
    })
    sent.end(body)
  })
}

const longestFault = 500

/** Cloud Hypervisor: a list, from what failed to why; older ones a text. */
export function faultText(status: number, text: string): string {
  const said = partsOf(text).join(': ').replaceAll(/\s+/g, ' ').trim()
  return said ? said.slice(0, longestFault) : `status ${status}, without a reason`
}

function partsOf(text: string): string[] {
  try {
    const parsed: unknown = JSON.parse(text)
    if (Array.isArray(parsed)) return parsed.map(String)
  } catch {
    // A text then.
  }
  return [text]
}
