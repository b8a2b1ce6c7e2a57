// What a check of the Pod Security Standards is, and the words that checks share (pod-security-admission/policy, 1.36).

export interface Violation {
  reason: string
  detail: string
}

/** The parts of a Pod, or of a template of Pods, that checks look at. */
export interface PodLike {
  metadata: { annotations?: Record<string, string> }
  spec: Record<string, any>
}

export interface Check {
  id: string
  /** The minor version of Kubernetes whose standard has it first. */
  since: number
  /** Restricted checks that are stricter forms of baseline ones take their place. */
  replaces?: string
  /** `minor`: the version of the standard that is asked for. */
  check(pod: PodLike, minor: number): Violation | undefined
}

export const containersOf = ({ spec }: PodLike): Record<string, any>[] => [
  ...(spec.initContainers ?? []),
  ...(spec.containers ?? []),
  ...(spec.ephemeralContainers ?? []),
]

export const quoted = (items: readonly string[]): string => items.map((item) => `"${item}"`).join(', ')

export const sorted = (items: Iterable<string>): string[] => [...new Set(items)].sort()

export const plural = (word: string, count: number, many = `${word}s`): string => (count === 1 ? word : many)

/** 'containers "a", "b"' */
export const named = (names: readonly string[], word = 'container'): string =>
  `${plural(word, names.length)} ${quoted(names)}`

/** 'pod and containers "a"': who set something, of the two that can. */
export const setters = (pod: boolean, names: readonly string[]): string =>
  [...(pod ? ['pod'] : []), ...(names.length > 0 ? [named(names)] : [])].join(' and ')

export const namesWhere = (pod: PodLike, bad: (container: Record<string, any>) => boolean): string[] =>
  containersOf(pod)
    .filter(bad)
    .map(({ name }) => name)

export const isWindows = ({ spec }: PodLike): boolean => spec.os?.name === 'windows'

/** Root in a user namespace is nobody outside of it. */
export const hasOwnUsers = ({ spec }: PodLike): boolean => spec.hostUsers === false
