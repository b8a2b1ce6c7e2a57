// How presets are laid over an instance as it was sent (pkg/virt-api/webhooks/mutating-webhook/mutators/preset.go,
// KubeVirt 1.9): a part of the domain that the instance leaves out is taken whole, one that it has stays as it is.

import type { ApiObject } from '../../api/meta.ts'
import { selectorMatcher } from '../../api/selector.ts'
import { copyJson, equalJson } from '../../api/walk/plain.ts'

const exclusion = 'virtualmachineinstancepresets.admission.kubevirt.io/exclude'
const applied = (preset: string): string => `virtualmachinepreset.kubevirt.io/${preset}`

/** The parts that presets set. */
const parts = [
  'resources.requests',
  'cpu',
  'firmware',
  'clock',
  'clock.timer',
  'features',
  'devices.watchdog',
  'ioThreadsPolicy',
]

const at = (domain: any, part: string): any => part.split('.').reduce((value, name) => value?.[name], domain)

/** Clocks are compared and taken in two parts: the offset and the timers. */
function partOf(domain: any, part: string): any {
  const value = at(domain, part)
  if (part !== 'clock' || !value) return value
  const { timer: _, ...offset } = value
  return offset
}

function set(domain: any, part: string, value: unknown): void {
  const names = part.split('.')
  const last = names.pop()!
  let place = domain
  for (const name of names) place = place[name] ??= {}
  place[last] = copyJson(value)
}

/** Requests are compared one by one: only those that both have can differ. */
function conflicts(preset: any, other: any): string[] {
  return parts.flatMap((part) => {
    const wish = partOf(preset, part)
    const has = partOf(other, part)
    if (wish === undefined || has === undefined) return []
    if (part === 'resources.requests')
      return Object.keys(wish)
        .filter((name) => has[name] !== undefined && String(has[name]) !== String(wish[name]))
        .map((name) => `spec.resources.requests[${name}]: ${wish[name]} != ${has[name]}`)
    const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
    return equalJson(wish, has) ? [] : [`spec.${part}: ${shown(wish)} != ${shown(has)}`]
  })
}

const aggregate = (texts: string[]): string => {
  const once = [...new Set(texts)]
  return once.length === 1 ? once[0]! : `[${once.join(', ')}]`
}

/**
 * Changes `instance` in place. Answers what the presets could not do because it says otherwise itself.
 * @throws Error when two presets for it contradict each other
 */
export function applyPresets(instance: ApiObject, presets: readonly ApiObject[]): string[] {
  const { metadata } = instance
  if (metadata.annotations?.[exclusion] === 'true') return []
  const matching = presets.filter((preset) =>
    selectorMatcher(preset.spec?.selector ?? {}).matches(metadata.labels ?? {}),
  )
  if (!matching.length) return []
  contradict(matching)
  instance.spec ??= {}
  const { spec } = instance
  spec.domain ??= {}
  const told: string[] = []
  for (const {
    metadata: { name = '' },
    spec: preset,
  } of matching) {
    const differences = conflicts(preset.domain, spec.domain)
    if (lay(preset.domain, spec.domain))
      metadata.annotations = { ...metadata.annotations, [applied(name)]: 'kubevirt.io/v1' }
    if (differences.length)
      told.push(`VirtualMachineInstancePreset ${name} is not applied as a whole: ${aggregate(differences)}`)
  }
  return told
}

function contradict(presets: readonly ApiObject[]): void {
  const texts: string[] = []
  for (const [index, preset] of presets.entries())
    for (const former of presets.slice(0, index)) {
      const found = conflicts(preset.spec.domain, former.spec.domain)
      if (found.length)
        texts.push(`presets '${preset.metadata.name}' and '${former.metadata.name}' conflict: ${aggregate(found)}`)
    }
  if (texts.length) throw new Error(`VirtualMachinePresets cannot be applied due to conflicts: ${aggregate(texts)}`)
}

/** True when a part of the domain is now as the preset has it. */
function lay(preset: any, domain: any): boolean {
  let isApplied = false
  for (const part of parts) {
    const wish = partOf(preset, part)
    if (wish === undefined || (part === 'resources.requests' && !Object.keys(wish).length)) continue
    if (at(domain, part) === undefined) set(domain, part, wish)
    if (equalJson(partOf(domain, part), wish)) isApplied = true
  }
  return isApplied
}

/** The fields of a preset's domain that no instance gets. */
export function withoutEffect(domain: any): string[] {
  const known = new Set(parts)
  return Object.entries(domain ?? {}).flatMap(([name, value]) => {
    if (known.has(name)) return []
    if (name !== 'devices' && name !== 'resources') return [name]
    return Object.entries(value ?? {})
      .filter(([child, inner]) => !known.has(`${name}.${child}`) && !saysNothing(inner))
      .map(([child]) => `${name}.${child}`)
  })
}

const saysNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === false || (Array.isArray(value) && !value.length)
