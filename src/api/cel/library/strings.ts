// The strings extension of cel-go, version 2. Positions count code points.

import { declare, type Library } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { formatText } from './format-text.ts'

const outOfRange = (index: bigint): CelError => new CelError(`index out of range: ${index}`)

function charAt(text: string, index: bigint): string {
  const characters = [...text]
  if (index < 0n || index > BigInt(characters.length)) throw outOfRange(index)
  return characters[Number(index)] ?? ''
}

const matchesAt = (text: string[], part: string[], at: number): boolean => part.every((ch, i) => text[at + i] === ch)

function indexOf(value: string, search: string, offset = 0n): bigint {
  const [text, part] = [[...value], [...search]]
  if (part.length === 0) return offset
  if (offset < 0n || offset > BigInt(text.length)) throw outOfRange(offset)
  for (let at = Number(offset); at + part.length <= text.length; at++) if (matchesAt(text, part, at)) return BigInt(at)
  return -1n
}

function lastIndexOf(value: string, search: string, offset?: bigint): bigint {
  const [text, part] = [[...value], [...search]]
  if (part.length === 0) return offset ?? BigInt(text.length)
  if (offset !== undefined && (offset < 0n || offset >= BigInt(text.length))) throw outOfRange(offset)
  const last = Math.min(offset === undefined ? text.length : Number(offset), text.length - part.length)
  for (let at = last; at >= 0; at--) if (matchesAt(text, part, at)) return BigInt(at)
  return -1n
}

function replace(text: string, from: string, to: string, limit = -1n): string {
  if (limit === 0n) return text
  if (limit < 0n)
    return text.split(from).length > 1 || from === '' ? replaceTimes(text, from, to, Number.POSITIVE_INFINITY) : text
  return replaceTimes(text, from, to, Number(limit))
}

function replaceTimes(text: string, from: string, to: string, times: number): string {
  const parts = from === '' ? [...text] : text.split(from)
  let left = times
  if (from === '') {
    let result = ''
    for (const part of parts) result += (left-- > 0 ? to : '') + part
    return left > 0 ? result + to : result
  }
  return parts.reduce((result, part) => result + (left-- > 0 ? to : from) + part)
}

function split(text: string, separator: string, limit = -1n): string[] {
  if (limit === 0n) return []
  const parts = separator === '' ? [...text] : text.split(separator)
  if (limit < 0n || parts.length <= Number(limit)) return parts
  const head = parts.slice(0, Number(limit) - 1)
  return [...head, parts.slice(head.length).join(separator)]
}

function substring(value: string, start: bigint, end?: bigint): string {
  const text = [...value]
  const size = BigInt(text.length)
  if (end !== undefined && start > end) throw new CelError(`invalid substring range. start: ${start}, end: ${end}`)
  if (start < 0n || start > size) throw outOfRange(start)
  if (end !== undefined && (end < 0n || end > size)) throw outOfRange(end)
  return text.slice(Number(start), end === undefined ? undefined : Number(end)).join('')
}

/** Unicode's White_Space, as Go trims it: a byte order mark stays. */
const trim = (text: string): string =>
  text.replace(
    /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g,
    '',
  )

const quotes: Record<string, string> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is escaped
const quote = (text: string): string => `"${text.replace(/[\x07\b\f\n\r\t\v\\"]/g, (ch) => quotes[ch]!)}"`

const join = (items: string[], separator = ''): string => {
  if (items.some((item) => typeof item !== 'string')) throw new CelError('no such overload')
  return items.join(separator)
}

export const strings: Library = [
  declare('charAt', 'string_char_at_int', 'string.(int) string', charAt),
  declare('indexOf', 'string_index_of_string', 'string.(string) int', indexOf),
  declare('indexOf', 'string_index_of_string_int', 'string.(string, int) int', indexOf),
  declare('lastIndexOf', 'string_last_index_of_string', 'string.(string) int', lastIndexOf),
  declare('lastIndexOf', 'string_last_index_of_string_int', 'string.(string, int) int', lastIndexOf),
  declare('lowerAscii', 'string_lower_ascii', 'string.() string', (text: string) =>
    text.replace(/[A-Z]+/g, (part) => part.toLowerCase()),
  ),
  declare('upperAscii', 'string_upper_ascii', 'string.() string', (text: string) =>
    text.replace(/[a-z]+/g, (part) => part.toUpperCase()),
  ),
  declare('replace', 'string_replace_string_string', 'string.(string, string) string', replace),
  declare('replace', 'string_replace_string_string_int', 'string.(string, string, int) string', replace),
  declare('split', 'string_split_string', 'string.(string) list(string)', split),
  declare('split', 'string_split_string_int', 'string.(string, int) list(string)', split),
  declare('substring', 'string_substring_int', 'string.(int) string', substring),
  declare('substring', 'string_substring_int_int', 'string.(int, int) string', substring),
  declare('trim', 'string_trim', 'string.() string', trim),
  declare('join', 'list_join', 'list(string).() string', (items: string[]) => join(items)),
  declare('join', 'list_join_string', 'list(string).(string) string', join),
  declare('strings.quote', 'strings_quote', '(string) string', quote),
  declare('format', 'string_format', 'string.(list(dyn)) string', formatText),
]
