// The text of a CEL expression as tokens, literals decoded.

import { letterEscapes } from './letter-escapes.ts'
import { CelIssue } from './problem.ts'
import { Uint } from './values.ts'

export interface Token {
  kind: 'ident' | 'literal' | 'op' | 'end'
  text: string
  value?: unknown
  pos: number
}

const operators = ['&&', '||', '==', '!=', '<=', '>=']
const single = new Set('+-*/%<>!?:.,()[]{}')
const numberPattern =
  /0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)|\d+[uU]?/y
const identPattern = /[A-Za-z_][A-Za-z0-9_]*/y
const stringStart = /([rR]?[bB]?|[bB][rR])("""|'''|"|')/y
const maxInt = 2n ** 63n - 1n

export function tokenize(source: string): Token[] {
  const tokens: Token[] = []
  let pos = 0
  while (pos < source.length) {
    const ch = source[pos]
    if (ch === ' ' || ch === '\t' || ch === '\n' || ch === '\r' || ch === '\f') pos++
    else if (source.startsWith('//', pos)) {
      const end = source.indexOf('\n', pos)
      pos = end < 0 ? source.length : end
    } else {
      const [token, next] = readToken(source, pos)
      tokens.push(token)
      pos = next
    }
  }
  tokens.push({ kind: 'end', text: '<EOF>', pos: source.length })
  return tokens
}

function readToken(source: string, pos: number): [Token, number] {
  stringStart.lastIndex = pos
  const opening = stringStart.exec(source)
  if (opening) return readString(source, pos, opening)
  identPattern.lastIndex = pos
  const name = identPattern.exec(source)
  if (name) return [{ kind: 'ident', text: name[0], pos }, pos + name[0].length]
  numberPattern.lastIndex = pos
  const number = numberPattern.exec(source)
  if (number) {
    const text = number[0]
    return [{ kind: 'literal', text, value: numberValue(text, pos), pos }, pos + text.length]
  }
  const two = source.slice(pos, pos + 2)
  if (operators.includes(two)) return [{ kind: 'op', text: two, pos }, pos + 2]
  if (single.has(source[pos]!)) return [{ kind: 'op', text: source[pos]!, pos }, pos + 1]
  // ANTLR reports what its automaton had read: for a lone = & | that includes the next character.
  const bad = '=&|'.includes(source[pos]!) ? two : source[pos]
  throw new CelIssue(pos, `Syntax error: token recognition error at: '${bad}'`)
}

function numberValue(text: string, pos: number): unknown {
  if (/^\d*\.\d|^\d+[eE]/.test(text)) return Number(text)
  const unsigned = /[uU]$/.test(text)
  const value = BigInt(unsigned ? text.slice(0, -1) : text)
  if (unsigned) {
    if (value > 2n ** 64n - 1n) throw new CelIssue(pos, 'Syntax error: invalid uint literal')
    return new Uint(value)
  }
  // 2^63 is right after a minus sign only: the parser looks.
  if (value > maxInt + 1n) throw new CelIssue(pos, 'Syntax error: invalid int literal')
  return value
}

function readString(source: string, pos: number, opening: RegExpExecArray): [Token, number] {
  const prefix = opening[1]!.toLowerCase()
  const quote = opening[2]!
  const raw = prefix.includes('r')
  const start = pos + opening[0].length
  let end = start
  while (!source.startsWith(quote, end)) {
    if (end >= source.length || (quote.length === 1 && (source[end] === '\n' || source[end] === '\r'))) {
      throw new CelIssue(pos, `Syntax error: token recognition error at: '${source.slice(pos)}'`)
    }
    end += source[end] === '\\' && !raw ? 2 : 1
  }
  const body = source.slice(start, end)
  const bytes = prefix.includes('b')
  const value = bytes ? bytesOf(body, raw, start) : raw ? body : decodeEscapes(body, start)
  return [{ kind: 'literal', text: source.slice(pos, end + quote.length), value, pos }, end + quote.length]
}

const escapes: Record<string, string> = { ...letterEscapes, '"': '"', '`': '`', '?': '?' }
const escapePattern =
  /\\(?:([abfnrtv\\'"`?])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]?))/g

function decodeEscapes(body: string, pos: number): string {
  return body.replace(escapePattern, (match, letter, hex, short, long, octal, _other, offset) => {
    if (letter !== undefined) return escapes[letter]!
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
    const code = Number.parseInt(hex ?? short ?? long ?? 'z', 16)
    if (!(code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) {
      throw new CelIssue(pos + offset, `Syntax error: invalid escape sequence '${match}'`)
    }
    return String.fromCodePoint(code)
  })
}

function bytesOf(body: string, raw: boolean, pos: number): Uint8Array {
  if (raw) return new TextEncoder().encode(body)
  const parts: number[] = []
  let last = 0
  for (const match of body.matchAll(escapePattern)) {
    parts.push(...new TextEncoder().encode(body.slice(last, match.index)))
    last = match.index + match[0].length
    const [, letter, hex, short, long, octal] = match
    if (letter !== undefined) parts.push(escapes[letter]!.charCodeAt(0))
    else if (short ?? long) parts.push(...new TextEncoder().encode(decodeEscapes(match[0], pos + match.index)))
    else if (hex ?? octal) parts.push(hex ? Number.parseInt(hex, 16) : Number.parseInt(octal!, 8))
    else throw new CelIssue(pos + match.index, `Syntax error: invalid escape sequence '${match[0]}' in bytes literal`)
  }
  parts.push(...new TextEncoder().encode(body.slice(last)))
  return Uint8Array.from(parts)
}
