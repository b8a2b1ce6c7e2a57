// URLs in CEL, split the way Go's net/url splits them, and the key escaping of JSON Patch.

import { declare, type Library, nameType } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { structType } from '../types.ts'
import { CelObject, ValueMap } from '../values.ts'

const urlType = nameType('url', structType('kubernetes.URL'))

class CelUrl extends CelObject {
  readonly type = urlType
  readonly text: string
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly query: string
  constructor(text: string, parts: { scheme: string; host: string; path: string; query: string }) {
    super()
    this.text = text
    this.scheme = parts.scheme
    this.host = parts.host
    this.path = parts.path
    this.query = parts.query
  }
  override equals(other: CelObject): boolean {
    return other instanceof CelUrl && this.text === other.text
  }
}

const parts = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#[\s\S]*)?$/

function problem(text: string): string | undefined {
  if (text === '') return 'empty url'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Go refuses them
  if (/[\x00-\x1f\x7f]/.test(text)) return 'net/url: invalid control character in URL'
  const match = parts.exec(text)
  if (!match || (!match[1] && !text.startsWith('/'))) return 'invalid URI for request'
  const [, scheme, host, path = ''] = match
  // A scheme with a path that has no root is opaque.
  if (scheme && host === undefined && !path.startsWith('/')) return undefined
  if (/%(?![0-9a-fA-F]{2})/.test(path))
    return `invalid URL escape "${/%.{0,2}/.exec(path.replace(/%[0-9a-fA-F]{2}/g, ''))?.[0]}"`
  return host === undefined ? undefined : hostProblem(host)
}

function hostProblem(authority: string): string | undefined {
  const host = authority.slice(authority.lastIndexOf('@') + 1)
  const bracketed = /^\[[^\]]*\](.*)$/.exec(host)
  if (host.startsWith('[') && !bracketed) return "missing ']' in host"
  const port = bracketed ? bracketed[1]! : host.slice(host.indexOf(':') < 0 ? host.length : host.indexOf(':'))
  if (port !== '' && !/^:\d*$/.test(port)) return `invalid port "${port}" after host`
  const bad = /[ "<>^`{|}\\]/.exec(host)
  return bad ? `invalid character "${bad[0]}" in host name` : undefined
}

function parse(text: string): CelUrl {
  const wrong = problem(text)
  if (wrong)
    throw new CelError(`URL parse error during conversion from string: parse ${JSON.stringify(text)}: ${wrong}`)
  const [, scheme = '', authority = '', path = '', query = ''] = parts.exec(text)! as unknown as string[]
  const host = authority.slice(authority.lastIndexOf('@') + 1)
  return new CelUrl(text, {
    scheme: scheme.toLowerCase(),
    host,
    path: authority === '' && scheme !== '' && !path.startsWith('/') ? '' : path,
    query,
  })
}

const hostname = ({ host }: CelUrl): string => /^\[([^\]]*)\]/.exec(host)?.[1] ?? host.replace(/:\d*$/, '')
const port = ({ host }: CelUrl): string => /:(\d*)$/.exec(host.replace(/^\[[^\]]*\]/, ''))?.[1] ?? ''
const escapedPath = ({ path }: CelUrl): string =>
  path.replace(/[^A-Za-z0-9\-_.~$&+,/:;=@%!'()*[\]]+/gu, (part) => encodeURIComponent(part))

function query({ query }: CelUrl): ValueMap {
  const values = new Map<string, string[]>()
  for (const [key, value] of new URLSearchParams(
    query
      .split('&')
      .filter((pair) => !pair.includes(';'))
      .join('&'),
  )) {
    values.set(key, [...(values.get(key) ?? []), value])
  }
  return new ValueMap(values)
}

export const url: Library = [
  declare('url', 'string_to_url', '(string) url', parse),
  declare('isURL', 'is_url_string', '(string) bool', (text: string) => problem(text) === undefined),
  declare('getScheme', 'url_get_scheme', 'url.() string', ({ scheme }: CelUrl) => scheme),
  declare('getHost', 'url_get_host', 'url.() string', ({ host }: CelUrl) => host),
  declare('getHostname', 'url_get_hostname', 'url.() string', hostname),
  declare('getPort', 'url_get_port', 'url.() string', port),
  declare('getEscapedPath', 'url_get_escaped_path', 'url.() string', escapedPath),
  declare('getQuery', 'url_get_query', 'url.() map(string, list(string))', query),
]

/** For the expressions of MutatingAdmissionPolicy. */
export const jsonPatch: Library = [
  declare('jsonpatch.escapeKey', 'string_jsonpatch_escapeKey_string', '(string) string', (key: string) =>
    key.replaceAll('~', '~0').replaceAll('/', '~1'),
  ),
]
