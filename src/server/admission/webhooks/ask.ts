// Asks a webhook over HTTPS: a Service at one of its endpoints under the name <service>.<namespace>.svc, or a URL
// (apiserver pkg/util/webhook/client.go, 1.36).

import type { IncomingMessage } from 'node:http'
import type { Agent, RequestOptions } from 'node:https'
import { tlsProblem } from '../../aggregation/tls-problem.ts'
import type { AskWebhook } from './dispatch.ts'
import type { WebhookClient } from './hooks.ts'

/** Where a port of a Service is answered right now. @throws Error that says why nowhere */
export type ResolveService = (namespace: string, name: string, port: number) => { host: string; port: number }

const largestAnswer = 16 * 1024 * 1024

/** A webhook answered, but not as it should. */
class BadAnswer extends Error {}

export function createAsk(resolve: ResolveService): AskWebhook {
  const https = () => process.getBuiltinModule('node:https')
  let agent: Agent | undefined
  /** Connections are kept apart by address, name and CA. */
  const kept = (): Agent => {
    agent ??= new (https().Agent)({ keepAlive: true, maxFreeSockets: 8, timeout: 60_000 })
    return agent
  }

  /** `fresh`: a connection of its own. */
  function send(options: RequestOptions, body: string, signal: AbortSignal, fresh: boolean): Promise<IncomingMessage> {
    return new Promise((settle, fail) => {
      const request = https().request({ ...options, signal, ...(fresh && { agent: false }) }, settle)
      request.on('error', (error: Error & { again?: boolean }) => {
        // A kept connection that the other side closed meanwhile says nothing about the webhook.
        error.again = request.reusedSocket && !fresh
        fail(error)
      })
      request.end(body)
    })
  }

  return async (client, review, seconds) => {
    const url = urlOf(client)
    const timeout = `timeout=${seconds}s`
    const shown = `${url}?${timeout}`
    const signal = AbortSignal.timeout(seconds * 1000)
    const body = JSON.stringify(review)
    try {
      const options = { ...optionsFor(client, url, timeout, Buffer.byteLength(body), resolve), agent: kept() }
      const message = await send(options, body, signal, false).catch((error: Error & { again?: boolean }) => {
        if (!error.again || signal.aborted) throw error
        return send(options, body, signal, true)
      })
      return await readAnswer(message)
    } catch (error) {
      if (error instanceof BadAnswer) throw new Error(`failed to call webhook: ${error.message}`, { cause: error })
      const why = signal.aborted ? 'context deadline exceeded' : tlsProblem(error as Error)
      throw new Error(`failed to call webhook: Post ${JSON.stringify(shown)}: ${why}`, { cause: error })
    }
  }
}

function urlOf({ url, service }: WebhookClient): string {
  if (!service) return (url ?? '').replace(/^(https:\/\/[^/]*)$/, '$1/')
  const path = service.path.startsWith('/') ? service.path : `/${service.path}`
  return `https://${service.name}.${service.namespace}.svc:${service.port}${path}`
}

function optionsFor(
  client: WebhookClient,
  url: string,
  query: string,
  length: number,
  resolve: ResolveService,
): RequestOptions {
  const parsed = new URL(url)
  const { service } = client
  const named = { host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(parsed.port || 443) }
  const at = service ? resolve(service.namespace, service.name, service.port) : named
  return {
    method: 'POST',
    host: at.host,
    port: at.port,
    path: `${parsed.pathname}?${query}`,
    setHost: false,
    headers: {
      host: parsed.host,
      'content-type': 'application/json',
      accept: 'application/json, */*',
      'content-length': length,
      'user-agent': 'kube-apiserver-admission',
    },
    // An address is no name to ask for; its certificate is checked against the address.
    ...(!isAddress(named.host) && { servername: named.host }),
    minVersion: 'TLSv1.2',
    // Go trusts every certificate of the bundle as it is, not only roots.
    ...(client.ca && { ca: client.ca, allowPartialTrustChain: true }),
  } as RequestOptions
}

const isAddress = (host: string): boolean => /^[\d.]+$/.test(host) || host.includes(':')

async function readAnswer(message: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > largestAnswer) {
      message.destroy()
      throw new BadAnswer(`the response is larger than ${largestAnswer} bytes`)
    }
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  const status = message.statusCode ?? 0
  if (status < 200 || status > 299) throw new BadAnswer(refusalText(status, text))
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new BadAnswer((error as Error).message)
  }
}

function refusalText(status: number, text: string): string {
  if (status === 404) return 'the server could not find the requested resource'
  if (status >= 500)
    return `an error on the server (${JSON.stringify(text.slice(0, 2048))}) has prevented the request from succeeding`
  return `the server responded with the status code ${status} but did not return more information: ${text.slice(0, 2048)}`
}
