// Which headers pass a proxy: all but those of the connection itself (RFC 9110, 7.6.1).

type Headers = Record<string, string | string[] | undefined>

const connectionHeaders = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Headers named by Connection belong to the connection, too. */
const namedBy = (headers: Headers): Set<string> =>
  new Set(
    [headers.connection ?? []]
      .flat()
      .flatMap((value) => value.split(','))
      .map((name) => name.trim().toLowerCase()),
  )

function passing(headers: Headers, stops: (name: string) => boolean): Record<string, string | string[]> {
  const named = namedBy(headers)
  const passed: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || connectionHeaders.has(name) || named.has(name)) continue
    if (!stops(name)) passed[name] = value
  }
  return passed
}

export interface Forwarded {
  client: string
  host: string
  scheme: string
  uri?: string
  /** Headers that stop here. */
  stops?: (name: string) => boolean
}

/** What the proxied server gets. */
export function requestHeaders(headers: Headers, forwarded: Forwarded): Record<string, string | string[]> {
  const passed = passing(headers, (name) => name === 'expect' || Boolean(forwarded.stops?.(name)))
  const before = headers['x-forwarded-for']
  passed.host = forwarded.host
  passed['x-forwarded-for'] = [before ?? [], forwarded.client].flat().join(', ')
  passed['x-forwarded-host'] = forwarded.host
  passed['x-forwarded-proto'] = forwarded.scheme
  if (forwarded.uri !== undefined) passed['x-forwarded-uri'] = forwarded.uri
  return passed
}

/** What the client gets. */
export const responseHeaders = (headers: Headers): Record<string, string | string[]> => passing(headers, () => false)
