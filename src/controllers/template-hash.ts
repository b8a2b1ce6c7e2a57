// The pod-template-hash: the same template gives the same name for ever, on every machine. FNV-1a (32 bit) of canonical
// JSON, written in the alphabet of apimachinery util/rand (no vowels, nothing that looks alike).

const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

export const hashLabel = 'pod-template-hash'

/** `collisions` makes another hash of the same template when the first one's name is taken. */
export function templateHash(template: unknown, collisions = 0): string {
  const sum = fnv1a(canonical(template) + (collisions ? `#${collisions}` : ''))
  return [...String(sum)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('')
}

/** JSON with sorted names and without empty values, as an object that went through the API would be. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined && field !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}
