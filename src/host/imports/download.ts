// Gets a file over HTTP: certificates, credentials and headers as asked, redirects, and never from addresses that are
// only this machine's own (its loopback, the link-local address where clouds keep their secrets), whatever a name leads to.

import { lookup as resolve } from 'node:dns'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { rootCertificates } from 'node:tls'
import { namesThisMachine } from '../../kinds/cdi/own-address.ts'
import { ImportError } from './failure.ts'

export interface Download {
  url: string
  headers: [name: string, value: string][]
  /** user:password */
  credentials?: string
  /** PEM of further authorities. */
  ca?: string
  insecure: boolean
  /** The address behind the name in the URL, where this machine's resolver does not know it (a Service). */
  address?: string
}

const mostRedirects = 10
const idleMs = 60_000

const own = new BlockList()
own.addSubnet('127.0.0.0', 8, 'ipv4')
own.addSubnet('0.0.0.0', 8, 'ipv4')
own.addSubnet('169.254.0.0', 16, 'ipv4')
own.addAddress('::1', 'ipv6')
own.addAddress('::', 'ipv6')
own.addSubnet('fe80::', 10, 'ipv6')

const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

const isIn = (list: BlockList, address: string): boolean => {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
}

const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')

const refused = (host: string, address: string): ImportError =>
  new ImportError(`${host} leads to ${address}, which is an address of this machine only: it is not asked for data`)

/** The response with status 200; its body is the file. */
export async function download(wanted: Download, signal: AbortSignal): Promise<IncomingMessage> {
  const first = new URL(wanted.url)
  // Who may say so was checked when it was written.
  const mayBeLocal = namesThisMachine(first)
  let url = first
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const response = await ask(
      url,
      wanted,
      { isFirst: url.host === first.host, mayBeLocal: mayBeLocal && hop === 0 },
      signal,
    )
    const { statusCode = 0, statusMessage = '', headers } = response
    if (statusCode >= 300 && statusCode < 400 && headers.location) {
      response.resume()
      url = new URL(headers.location, url)
      if (!/^https?:$/.test(url.protocol)) throw new ImportError(`the server redirects to ${url.protocol}`)
      continue
    }
    if (statusCode === 200) return response
    response.destroy()
    throw new ImportError(`expected status code 200, got ${statusCode}. Status: ${statusCode} ${statusMessage}`)
  }
  throw new ImportError(`the server redirects more than ${mostRedirects} times`)
}

interface Hop {
  isFirst: boolean
  mayBeLocal: boolean
}

function ask(url: URL, wanted: Download, hop: Hop, signal: AbortSignal): Promise<IncomingMessage> {
  const host = hostOf(url)
  const allowed = (address: string) => !isIn(hop.mayBeLocal ? linkLocal : own, address)
  if (isIP(host) && !allowed(host)) return Promise.reject(refused(host, host))
  const options: RequestOptions = {
    method: 'GET',
    signal,
    // Credentials and headers are for the server that was named.
    headers: { 'user-agent': 'tandem', ...(hop.isFirst && headersOf(wanted)) },
    ...(hop.isFirst && wanted.credentials && { auth: wanted.credentials }),
    lookup: lookupOnly(allowed, hop.isFirst ? wanted.address : undefined),
    ...(url.protocol === 'https:' && {
      rejectUnauthorized: !wanted.insecure,
      ...(wanted.ca && { ca: [...rootCertificates, wanted.ca] }),
    }),
  }
  return new Promise((done, fail) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, done)
    request.setTimeout(idleMs, () => request.destroy(new Error(`no answer within ${idleMs / 1000} s`)))
    request.on('error', (error) =>
      fail(
        error instanceof ImportError
          ? error
          : new ImportError(`HTTP request errored: ${reasonOf(error)}`, { cause: error }),
      ),
    )
    request.end()
  })
}

const reasonOf = (error: Error): string => error.message || (error as NodeJS.ErrnoException).code || 'no connection'

function headersOf({ headers }: Download): Record<string, string | string[]> {
  const found: Record<string, string[]> = {}
  for (const [name, value] of headers) found[name] = [...(found[name] ?? []), value]
  return found
}

/** The check sits where the connection gets its address: a name that changes its mind in between gains nothing. */
function lookupOnly(allowed: (address: string) => boolean, address: string | undefined): LookupFunction {
  return (name, options, done) => {
    const answer = (found: { address: string; family: number }[]): void => {
      const bad = found.find((one) => !allowed(one.address))
      if (bad) done(refused(name, bad.address), '', 0)
      else if (options.all) done(null, found)
      else done(null, found[0]!.address, found[0]!.family)
    }
    if (address) return answer([{ address, family: isIP(address) }])
    resolve(name, { ...options, all: true }, (error, found) => {
      if (error) done(error, '', 0)
      else answer(found)
    })
  }
}
