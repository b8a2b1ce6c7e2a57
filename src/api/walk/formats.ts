// String formats that validation of custom resources knows (kube-openapi strfmt, 1.32); unknown ones pass.

import { parseDurationNanos, parseTime } from '../time.ts'

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.|$)){4}$/
const hostname =
  /^(?=.{1,255}$)[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*\.?$/

const checks: Record<string, (text: string) => boolean> = {
  'date-time': (text) => parseTime(text) !== undefined,
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && parseTime(`${text}T00:00:00Z`) !== undefined,
  byte: (text) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text),
  duration: (text) => parseDurationNanos(text) !== undefined,
  ipv4: (text) => isIPv4(text),
  ipv6: (text) => isIPv6(text),
  cidr: (text) => isCidr(text),
  hostname: (text) => hostname.test(text),
  uri: (text) => URL.canParse(text),
  email: (text) => /^[^\s@<>]+@[^\s@<>]+$/.test(text) && text.length <= 320,
  mac: (text) => /^[0-9a-fA-F]{2}(?:([:-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){4}$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
  uuid4: (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i.test(text),
}

export const matchesFormat = (format: string, text: string): boolean =>
  Object.hasOwn(checks, format) ? checks[format]!(text) : true

export const isIPv4 = (text: string): boolean => ipv4.test(text) && !text.endsWith('.')

export function isIPv6(text: string): boolean {
  if (text.length > 45 || !/^[0-9a-fA-F:.]+$/.test(text)) return false
  const sides = text.split('::')
  if (sides.length > 2) return false
  let groups = 0
  for (const [index, side] of sides.entries()) {
    const parts = side === '' ? [] : side.split(':')
    for (const [position, part] of parts.entries()) {
      const last = index === sides.length - 1 && position === parts.length - 1
      if (last && part.includes('.')) {
        if (!isIPv4(part)) return false
        groups += 2
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups++
      else return false
    }
  }
  return sides.length === 2 ? groups < 8 : groups === 8
}

export const isIP = (text: string): boolean => isIPv4(text) || isIPv6(text)

export function isCidr(text: string): boolean {
  const [address = '', bits = '', more] = text.split('/')
  if (more !== undefined || !/^(?:0|[1-9]\d{0,2})$/.test(bits)) return false
  return (isIPv4(address) && Number(bits) <= 32) || (isIPv6(address) && Number(bits) <= 128)
}
