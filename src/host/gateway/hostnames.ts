// Names of hosts with and without a wildcard: '' stands for every name, '*.example.com' for any number of labels before the
// rest (gateway-api, Hostname of Listener and HTTPRoute, 1.5). Pure.

const isWild = (name: string): boolean => name.startsWith('*.')

/** Whether every name that `name` stands for is one that `pattern` stands for. */
export function covers(pattern: string, name: string): boolean {
  if (pattern === '' || pattern === name) return true
  return isWild(pattern) && name !== '' && name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1
}

/** The names that both stand for; undefined when there are none. */
export function intersection(one: string, other: string): string | undefined {
  if (covers(one, other)) return other
  return covers(other, one) ? one : undefined
}

/** Without names of its own a route has its listener's. */
export function sharedHostnames(listener: string, route: readonly string[] = []): string[] {
  const own = route.length > 0 ? route : ['']
  return own.map((name) => intersection(listener, name.toLowerCase())).filter((name) => name !== undefined)
}

/** Sorts the more specific name first: exact ones, then the longer. */
export const bySpecificity = (a: string, b: string): number =>
  Number(a === '') - Number(b === '') || Number(isWild(a)) - Number(isWild(b)) || b.length - a.length

/** The most specific of `names` that stands for `host`. */
export function mostSpecific(names: Iterable<string>, host: string): string | undefined {
  let best: string | undefined
  for (const name of names) if (covers(name, host) && (best === undefined || bySpecificity(name, best) < 0)) best = name
  return best
}
