// Runs a command in a container through the API, as `kubectl exec` does: WebSocket channels v5.

import type { IncomingMessage } from 'node:http'
import WebSocket from 'ws'
import type { ServerAccess } from '../../client/kubeconfig.ts'

export interface Answer {
  stdout: string
  stderr: string
  code: number
  /** performance.now() when it began to answer. */
  firstAt?: number
}

export interface ExecTarget {
  namespace: string
  pod: string
  container: string
}

interface ExecOptions {
  signal: AbortSignal
  timeoutMs: number
}

const channels = { stdout: 1, stderr: 2, error: 3 }

export function execUrl(server: string, { namespace, pod, container }: ExecTarget, command: string[]): string {
  const query = new URLSearchParams([
    ['container', container],
    ...command.map((word) => ['command', word]),
    ['stdout', 'true'],
    ['stderr', 'true'],
  ])
  return `${server.replace(/^http/, 'ws')}/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query}`
}

/** The exit code that a v1.Status on the error channel tells. @throws Error for a command that did not run */
export function exitCodeOf(status: any): number {
  if (status.status === 'Success') return 0
  const code = status.details?.causes?.find((cause: any) => cause.reason === 'ExitCode')?.message
  if (code === undefined) throw new Error(status.message ?? 'the command did not run')
  return Number(code)
}

/** @throws Error when the command cannot be run, or does not end in time */
export function exec(
  access: ServerAccess,
  target: ExecTarget,
  command: string[],
  { signal, timeoutMs }: ExecOptions,
): Promise<Answer> {
  const socket = new WebSocket(execUrl(access.server, target, command), 'v5.channel.k8s.io', {
    ca: access.ca,
    cert: access.clientCertificate,
    key: access.clientKey,
    ...(access.token && { headers: { authorization: `Bearer ${access.token}` } }),
  })
  const answer: Answer = { stdout: '', stderr: '', code: -1 }
  return new Promise<Answer>((resolve, reject) => {
    const ending = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const stop = () => {
      reject(signal.aborted ? signal.reason : new Error(`no answer within ${timeoutMs / 1000} s`))
      socket.terminate()
    }
    ending.addEventListener('abort', stop, { once: true })
    socket.on('message', (data: Buffer) => take(answer, data, reject))
    socket.on('unexpected-response', (_request, response) => void refused(response).then(reject))
    socket.on('error', reject)
    socket.on('close', () => {
      ending.removeEventListener('abort', stop)
      if (answer.code >= 0) resolve(answer)
      else reject(new Error('the connection ended before the command did'))
    })
    if (ending.aborted) stop()
  })
}

function take(answer: Answer, data: Buffer, failed: (error: unknown) => void): void {
  const text = data.subarray(1).toString()
  if (data[0] === channels.stdout) {
    answer.stdout += text
    if (text) answer.firstAt ??= performance.now()
  } else if (data[0] === channels.stderr) answer.stderr += text
  else if (data[0] === channels.error) {
    try {
      answer.code = exitCodeOf(JSON.parse(text))
    } catch (error) {
      failed(error)
    }
  }
}

async function refused(response: IncomingMessage): Promise<Error> {
  let body = ''
  for await (const chunk of response) body += chunk
  try {
    return new Error((JSON.parse(body) as { message: string }).message)
  } catch {
    return new Error(`the server answered ${response.statusCode}: ${body.trim()}`)
  }
}
