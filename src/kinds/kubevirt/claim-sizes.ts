// How the machine driver hears of a claim that has grown: by an annotation of the instance. The driver watches instances
// and nothing else.

/** claim=bytes,claim=bytes */
export const claimSizesAnnotation = 'tandem.dev/claim-sizes'

export const claimSizesText = (sizes: Map<string, number>): string =>
  [...sizes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([claim, bytes]) => `${claim}=${bytes}`)
    .join(',')

export function claimSizesOf(annotations: Record<string, string> | undefined): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const part of (annotations?.[claimSizesAnnotation] ?? '').split(',')) {
    const at = part.lastIndexOf('=')
    const bytes = Number(part.slice(at + 1))
    if (at > 0 && Number.isSafeInteger(bytes) && bytes > 0) sizes.set(part.slice(0, at), bytes)
  }
  return sizes
}
