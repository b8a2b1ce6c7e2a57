// IP addresses and networks in CEL (Kubernetes' ip and cidr libraries).

import { declare, type Library, nameType } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { opaqueType } from '../types.ts'
import { CelObject } from '../values.ts'

const ipType = nameType('ip', opaqueType('net.IP'))
const cidrType = nameType('cidr', opaqueType('net.CIDR'))

class IP extends CelObject {
  readonly type = ipType
  readonly bytes: number[]
  constructor(bytes: number[]) {
    super()
    this.bytes = bytes
  }
  override equals(other: CelObject): boolean {
    return other instanceof IP && this.bytes.join() === other.bytes.join()
  }
  override get costSize(): number {
    return this.bytes.length
  }
}

class CIDR extends CelObject {
  readonly type = cidrType
  readonly ip: IP
  readonly bits: number
  constructor(ip: IP, bits: number) {
    super()
    this.ip = ip
    this.bits = bits
  }
  override equals(other: CelObject): boolean {
    return other instanceof CIDR && this.bits === other.bits && this.ip.equals(other.ip)
  }
  override get costSize(): number {
    return Math.ceil(this.bits / 8)
  }
}

function parseV4(text: string): number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined
  return parts.map(Number)
}

function parseV6(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const groups = halves.map((half) =>
    (half === '' ? [] : half.split(':')).flatMap((group, i, all) => readGroup(group, i === all.length - 1)),
  )
  if (groups.flat().some((byte) => byte < 0)) return undefined
  const [head = [], tail] = groups
  if (tail === undefined) return head.length === 16 ? head : undefined
  const missing = 16 - head.length - tail.length
  return missing >= 2 ? [...head, ...Array<number>(missing).fill(0), ...tail] : undefined
}

function readGroup(group: string, last: boolean): number[] {
  if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 255]
  }
  return (last && parseV4(group)) || [-1]
}

const isMapped = (bytes: number[]): boolean =>
  bytes.length === 16 && bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255

function parseIP(text: string): IP {
  const quoted = JSON.stringify(text)
  if (text.includes('%')) throw new CelError(`IP address ${quoted} with zone value is not allowed`)
  const bytes = text.includes(':') ? parseV6(text) : parseV4(text)
  if (!bytes) {
    throw new CelError(
      `IP Address ${quoted} parse error during conversion from string: ParseAddr(${quoted}): unable to parse IP`,
    )
  }
  if (isMapped(bytes)) throw new CelError(`IPv4-mapped IPv6 address ${quoted} is not allowed`)
  return new IP(bytes)
}

function parseCIDR(text: string): CIDR {
  const quoted = JSON.stringify(text)
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text)
  const bytes = match && (match[1]!.includes(':') ? parseV6(match[1]!) : parseV4(match[1]!))
  if (!match || !bytes || Number(match[2]) > bytes.length * 8) {
    throw new CelError(
      `network address parse error during conversion from string: netip.ParsePrefix(${quoted}): no valid prefix`,
    )
  }
  if (isMapped(bytes)) throw new CelError(`IPv4-mapped IPv6 address ${quoted} is not allowed`)
  return new CIDR(new IP(bytes), Number(match[2]))
}

function succeeds(run: () => unknown): boolean {
  try {
    run()
    return true
  } catch {
    return false
  }
}

function ipText({ bytes }: IP): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!)
  let best = { start: -1, size: 1 }
  for (let i = 0; i < 8; i++) {
    let size = 0
    while (i + size < 8 && groups[i + size] === 0) size++
    if (size > best.size) best = { start: i, size }
  }
  const text = groups.map((group) => group.toString(16))
  if (best.start < 0) return text.join(':')
  return `${text.slice(0, best.start).join(':')}::${text.slice(best.start + best.size).join(':')}`
}

const maskBytes = (bytes: number[], bits: number): number[] =>
  bytes.map((byte, i) => byte & (255 << Math.min(8, Math.max(0, 8 - (bits - 8 * i)))) & 255)

const masked = ({ ip, bits }: CIDR): CIDR => new CIDR(new IP(maskBytes(ip.bytes, bits)), bits)

function containsIP(cidr: CIDR, other: IP): boolean {
  if (cidr.ip.bytes.length !== other.bytes.length) return false
  return maskBytes(cidr.ip.bytes, cidr.bits).join() === maskBytes(other.bytes, cidr.bits).join()
}

const containsCIDR = (cidr: CIDR, other: CIDR): boolean => cidr.bits <= other.bits && containsIP(cidr, other.ip)

const is =
  (v4: (bytes: number[]) => boolean, v6: (bytes: number[]) => boolean) =>
  ({ bytes }: IP) =>
    (bytes.length === 4 ? v4 : v6)(bytes)
const allZero = (bytes: number[]): boolean => bytes.every((byte) => byte === 0)
const isLoopback = is(
  (b) => b[0] === 127,
  (b) => allZero(b.slice(0, 15)) && b[15] === 1,
)
const isLinkLocalMulticast = is(
  (b) => b[0] === 224 && b[1] === 0 && b[2] === 0,
  (b) => b[0] === 255 && (b[1]! & 15) === 2,
)
const isLinkLocalUnicast = is(
  (b) => b[0] === 169 && b[1] === 254,
  (b) => b[0] === 254 && (b[1]! & 0xc0) === 0x80,
)
const isMulticast = is(
  (b) => b[0]! >= 224 && b[0]! < 240,
  (b) => b[0] === 255,
)
const isGlobalUnicast = (ip: IP): boolean =>
  !allZero(ip.bytes) &&
  !(ip.bytes.length === 4 && ip.bytes.every((byte) => byte === 255)) &&
  !isLoopback(ip) &&
  !isMulticast(ip) &&
  !isLinkLocalUnicast(ip)

export const net: Library = [
  declare('ip', 'string_to_ip', '(string) ip', parseIP),
  declare('isIP', 'is_ip', '(string) bool', (text: string) => succeeds(() => parseIP(text))),
  declare('ip.isCanonical', 'ip_is_canonical', '(string) bool', (text: string) => ipText(parseIP(text)) === text),
  declare('family', 'ip_family', 'ip.() int', ({ bytes }: IP) => (bytes.length === 4 ? 4n : 6n)),
  declare('isUnspecified', 'ip_is_unspecified', 'ip.() bool', ({ bytes }: IP) => allZero(bytes)),
  declare('isLoopback', 'ip_is_loopback', 'ip.() bool', isLoopback),
  declare('isLinkLocalMulticast', 'ip_is_link_local_multicast', 'ip.() bool', isLinkLocalMulticast),
  declare('isLinkLocalUnicast', 'ip_is_link_local_unicast', 'ip.() bool', isLinkLocalUnicast),
  declare('isGlobalUnicast', 'ip_is_global_unicast', 'ip.() bool', isGlobalUnicast),
  declare('string', 'ip_to_string', '(ip) string', ipText),
  declare('cidr', 'string_to_cidr', '(string) cidr', parseCIDR),
  declare('isCIDR', 'is_cidr', '(string) bool', (text: string) => succeeds(() => parseCIDR(text))),
  declare('containsIP', 'cidr_contains_ip_string', 'cidr.(string) bool', (cidr: CIDR, text: string) =>
    containsIP(cidr, parseIP(text)),
  ),
  declare('containsIP', 'cidr_contains_ip_ip', 'cidr.(ip) bool', containsIP),
  declare('containsCIDR', 'cidr_contains_cidr_string', 'cidr.(string) bool', (cidr: CIDR, text: string) =>
    containsCIDR(cidr, parseCIDR(text)),
  ),
  declare('containsCIDR', 'cidr_contains_cidr', 'cidr.(cidr) bool', containsCIDR),
  declare('ip', 'cidr_ip', 'cidr.() ip', ({ ip }: CIDR) => ip),
  declare('prefixLength', 'cidr_prefix_length', 'cidr.() int', ({ bits }: CIDR) => BigInt(bits)),
  declare('masked', 'cidr_masked', 'cidr.() cidr', masked),
  declare('string', 'cidr_to_string', '(cidr) string', ({ ip, bits }: CIDR) => `${ipText(ip)}/${bits}`),
]
