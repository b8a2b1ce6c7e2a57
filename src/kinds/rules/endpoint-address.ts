// Addresses that traffic may be led to: nothing of the machine itself and nothing of one link alone
// (ValidateEndpointIP of pkg/apis/core/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { addressNumber, checkAddress } from './addresses.ts'

const special: { family: 4 | 6; bits: number; prefix: bigint; text: (address: string) => string }[] = [
  { family: 4, bits: 32, prefix: 0n, text: (address) => `may not be unspecified (${address})` },
  { family: 6, bits: 128, prefix: 0n, text: (address) => `may not be unspecified (${address})` },
  { family: 4, bits: 8, prefix: 127n, text: () => 'may not be in the loopback range (127.0.0.0/8, ::1/128)' },
  { family: 6, bits: 128, prefix: 1n, text: () => 'may not be in the loopback range (127.0.0.0/8, ::1/128)' },
  {
    family: 4,
    bits: 16,
    prefix: 0xa9fen,
    text: () => 'may not be in the link-local range (169.254.0.0/16, fe80::/10)',
  },
  { family: 6, bits: 10, prefix: 0x3fan, text: () => 'may not be in the link-local range (169.254.0.0/16, fe80::/10)' },
  {
    family: 4,
    bits: 24,
    prefix: 0xe00000n,
    text: () => 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
  },
  {
    family: 6,
    bits: 16,
    prefix: 0xff02n,
    text: () => 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
  },
]

/** An IPv6 address that says an IPv4 one (::ffff:127.0.0.1) is judged as that. */
function plain(number: { family: 4 | 6; value: bigint }): { family: 4 | 6; value: bigint } {
  const isMapped = number.family === 6 && number.value >> 32n === 0xffffn
  return isMapped ? { family: 4, value: number.value & 0xffffffffn } : number
}

export function checkEndpointAddress(field: string, address: unknown): FieldError[] {
  const number = typeof address === 'string' ? addressNumber(address) : undefined
  if (typeof address !== 'string' || !number) return checkAddress(field, address)
  const { family, value } = plain(number)
  return special
    .filter((one) => one.family === family && value >> BigInt((family === 4 ? 32 : 128) - one.bits) === one.prefix)
    .map(({ text }) => invalidValue(field, address, text(address)))
}
