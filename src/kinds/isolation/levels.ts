// How strongly a workload is kept apart from its machine and from others: four levels, each stronger than the one before.
// What a runtime class gives, what a Pod takes back, and the labels that say so. Pure.

import type { ApiObject } from '../../api/meta.ts'

/** Own namespaces; a kernel in between; a small machine with its own kernel; a whole virtual machine. */
export const levels = ['container', 'sandboxed', 'microvm', 'vm'] as const
export type Level = (typeof levels)[number]

export const labelPrefix = 'isolation.tandem.dev/'
/** On a Pod what it runs in, set by the server; on a RuntimeClass what it gives. */
export const levelLabel = `${labelPrefix}level`

export const isLevel = (text: unknown): text is Level => levels.includes(text as Level)

export const isBelow = (level: Level, wanted: Level): boolean => levels.indexOf(level) < levels.indexOf(wanted)

/** Of two the one that asks for more. */
export const stronger = (a: Level, b: Level): Level => (isBelow(a, b) ? b : a)

/** What a handler is known to give; undefined for one that only its administrator knows. */
export function levelOfHandler(handler: string): Level | undefined {
  if (/^(runc|crun|youki)$/.test(handler)) return 'container'
  if (/^(runsc|gvisor|wasm)(-|$)/.test(handler)) return 'sandboxed'
  return /^(kata|microvm|firecracker|cloud-hypervisor)(-|$)/.test(handler) ? 'microvm' : undefined
}

/** What an administrator says of a class, else what its handler is known for; who says nothing is taken for a container. */
export function levelOfClass({ metadata, handler }: ApiObject): Level {
  const said = metadata.labels?.[levelLabel] ?? metadata.annotations?.[levelLabel]
  return isLevel(said) ? said : (levelOfHandler(String(handler ?? '')) ?? 'container')
}

/** How a Pod shares its machine, which no runtime class keeps apart again: `hostNetwork=true`, … */
export function hostAccess(spec: Record<string, any> = {}): string[] {
  const shared = ['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => spec[field] === true)
  const privileged = containersOf(spec).filter(({ securityContext }) => securityContext?.privileged === true)
  return [
    ...shared.map((field) => `${field}=true`),
    ...privileged.map(({ name }) => `privileged=true of container ${JSON.stringify(name)}`),
  ]
}

export const containersOf = (spec: Record<string, any>): any[] => [
  ...(spec.initContainers ?? []),
  ...(spec.containers ?? []),
  ...(spec.ephemeralContainers ?? []),
]
