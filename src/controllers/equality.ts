// Equality of API data as upstream's apiequality.Semantic sees it: an absent field, an empty list and an empty map are one.

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)

export function semanticallyEqual(a: unknown, b: unknown): boolean {
  if (a === b || (isEmpty(a) && isEmpty(b))) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, index) => semanticallyEqual(item, b[index]))
  }
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  for (const field of Object.keys(left)) if (!semanticallyEqual(left[field], right[field])) return false
  for (const field of Object.keys(right)) if (!(field in left) && !isEmpty(right[field])) return false
  return true
}
