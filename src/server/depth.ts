// How deep JSON text is nested. Code that walks objects calls itself: what is nested without end would end its stack in the
// middle of the work, so it is refused at the door.

/** Far beyond what any kind has (a schema in a CustomResourceDefinition comes to some tens), far below what a stack bears. */
export const maxDepth = 512

/** True when the JSON text goes deeper than `maxDepth`. Text that is too short for that costs nothing. */
export function isTooDeep(text: string): boolean {
  if (text.length <= 2 * maxDepth) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 34) at = endOfString(text, at)
    else if (code === 123 || code === 91) {
      if (++depth > maxDepth) return true
    } else if (code === 125 || code === 93) depth--
  }
  return false
}

/** Where the string ends that begins at `start`. */
export function endOfString(text: string, start: number): number {
  let at = start + 1
  for (;;) {
    const quote = text.indexOf('"', at)
    if (quote < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(quote - 1 - slashes) === 92) slashes++
    if (slashes % 2 === 0) return quote
    at = quote + 1
  }
}

/** The same for a value that is read already (YAML). Does not call itself. */
export function isValueTooDeep(value: unknown): boolean {
  let level = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return true
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []))
  }
  return false
}
