// Links in what a proxied server answers: absolute paths would lead beside the proxy, so they get its path in front
// (apimachinery/pkg/util/proxy/transport.go, 1.36). Works on a stream, tag by tag.

import { Transform } from 'node:stream'

export interface LinkContext {
  /** '/api/v1/namespaces/default/pods/web/proxy' */
  prefix: string
  /** Scheme and host by which the client reaches this server. */
  scheme: 'http' | 'https'
  host: string
  /** host:port of the proxied server. */
  target: string
}

const absolute = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(.*)$/is

/** The link as the client must see it; what leads elsewhere, or is relative, stays. */
export function rewriteLink(link: string, { prefix, scheme, host, target }: LinkContext): string {
  const match = absolute.exec(link)
  const [, , linkHost = '', path = '', rest = ''] = match ?? ['', '', '', ...split(link)]
  if (linkHost && linkHost !== target && linkHost !== host) return link
  if (!path.startsWith('/')) return link
  const start = match ? `${scheme}://${host}` : ''
  return path.startsWith(prefix) ? `${start}${path}${rest}` : `${start}${prefix}${path}${rest}`
}

/** Path, and what follows it; '//host/x' is another host's. */
function split(link: string): [path: string, rest: string] {
  if (link.startsWith('//')) return ['', '']
  const end = link.search(/[?#]/)
  return end < 0 ? [link, ''] : [link.slice(0, end), link.slice(end)]
}

/** Attributes that hold a link, by element (the HTML specification's index of attributes of type URL). */
const linkAttributes: Record<string, string[]> = {
  a: ['href'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
}

const attribute = /([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/g

function rewriteTag(tag: string, context: LinkContext): string {
  const name = /^<([a-z][a-z0-9]*)/i.exec(tag)?.[1]?.toLowerCase() ?? ''
  const wanted = Object.hasOwn(linkAttributes, name) ? linkAttributes[name]! : []
  if (wanted.length === 0) return tag
  return tag.replace(attribute, (whole, key: string, equals: string, value: string) => {
    if (!wanted.includes(key.toLowerCase())) return whole
    const quote = /^["']/.test(value) ? value[0]! : ''
    const link = quote ? value.slice(1, -1) : value
    return `${key}${equals}${quote}${rewriteLink(link, context)}${quote}`
  })
}

/** End of the tag that begins at `from` ('>' in a quoted value ends nothing); -1 when it is not complete yet. */
function endOfTag(text: string, from: number): number {
  let quote = ''
  for (let at = from + 1; at < text.length; at++) {
    const character = text[at]!
    if (quote) {
      if (character === quote) quote = ''
    } else if (character === '"' || character === "'") quote = character
    else if (character === '>') return at + 1
  }
  return -1
}

/** A tag that never ends must not collect the rest of the answer in memory. */
const longestTag = 64 * 1024

/** Bytes in, bytes out; every byte is one character on the way, so any encoding that contains ASCII passes unharmed. */
export function linkRewriter(context: LinkContext): Transform {
  let held = ''
  /** Inside <script> and <style>, and comments: what ends it. */
  let until = ''
  function rewrite(text: string, last: boolean): [done: string, rest: string] {
    let done = ''
    let at = 0
    while (at < text.length) {
      if (until) {
        const end = text.toLowerCase().indexOf(until, at)
        const keep = last ? text.length : Math.max(at, text.length - until.length)
        if (end < 0) return [done + text.slice(at, keep), text.slice(keep)]
        done += text.slice(at, end)
        at = end
        until = ''
        continue
      }
      const open = text.indexOf('<', at)
      if (open < 0) return [done + text.slice(at), '']
      done += text.slice(at, open)
      if (!last && text.length - open < 4) return [done, text.slice(open)]
      if (text.startsWith('<!--', open)) {
        until = '-->'
        done += '<!--'
        at = open + 4
        continue
      }
      const end = endOfTag(text, open)
      if (end < 0) {
        if (!last && text.length - open < longestTag) return [done, text.slice(open)]
        return [done + text.slice(open), '']
      }
      const tag = text.slice(open, end)
      done += rewriteTag(tag, context)
      const raw = /^<(script|style)\b/i.exec(tag)?.[1]
      if (raw && !tag.endsWith('/>')) until = `</${raw.toLowerCase()}`
      at = end
    }
    return [done, '']
  }
  const step = (chunk: string, last: boolean): Buffer => {
    const [done, rest] = rewrite(held + chunk, last)
    held = rest
    return Buffer.from(done, 'latin1')
  }
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      callback(null, step(chunk.toString('latin1'), false))
    },
    flush(callback) {
      callback(null, step('', true))
    },
  })
}
