// 'sha256:12ab…': what a download must come to. Texts: CDI 1.65 (pkg/util/checksum).

const lengths: Record<string, number> = { md5: 32, sha1: 40, sha256: 64, sha512: 128 }

export interface Checksum {
  algorithm: string
  hash: string
}

/** The checksum, or why the text is none. */
export function parseChecksum(text: string): Checksum | string {
  const colon = text.indexOf(':')
  if (colon < 0) return `invalid checksum format: expected 'algorithm:hash', got '${text}'`
  const algorithm = text.slice(0, colon).trim().toLowerCase()
  const hash = text
    .slice(colon + 1)
    .trim()
    .toLowerCase()
  if (hash === '') return 'checksum hash value cannot be empty'
  const length = Object.hasOwn(lengths, algorithm) ? lengths[algorithm] : undefined
  if (length === undefined)
    return `unsupported hash algorithm '${algorithm}': supported algorithms are: md5, sha1, sha256, sha512`
  if (hash.length !== length)
    return `invalid ${algorithm} hash length: expected ${length} hex characters, got ${hash.length}`
  if (!/^[0-9a-f]+$/.test(hash)) return 'checksum hash is not valid hexadecimal'
  return { algorithm, hash }
}
