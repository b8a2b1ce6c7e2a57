// Which runtime class a Pod has or gets, and how strongly that isolates it.

import type { StoredObject } from '../../../api/meta.ts'
import { hostAccess, isBelow, type Level, levelOfClass, levels, stronger } from '../../../kinds/isolation/levels.ts'
import { readinessOf } from '../../../kinds/node/runtime-readiness.ts'
import type { Lookup } from '../lookup.ts'
import { type Demands, strictest } from './demands.ts'

export interface Runs {
  level: Level
  /** What its class would give, where it shares the machine and so has less. */
  instead?: { level: Level; access: string[] }
  /** Why it has this level, for a person. */
  because: string
}

type Spec = Record<string, any>

export function runsAs(spec: Spec, lookup: Lookup): Runs {
  const name = spec.runtimeClassName
  const found = name && lookup.get('node.k8s.io', 'runtimeclasses', '', name)
  const given: Level = found ? levelOfClass(found) : 'container'
  const access = hostAccess(spec)
  const because = name ? `spec.runtimeClassName is ${JSON.stringify(name)}` : 'no spec.runtimeClassName'
  if (access.length === 0) return { level: given, because }
  return {
    level: 'container',
    because: `${access.join(', ')} shares the machine, whatever its runtime class`,
    ...(given !== 'container' && { instead: { level: given, access } }),
  }
}

/** Those that can be had and give what is wanted, the weakest first: the stronger one is, the more it costs. */
export function classesFor(wanted: Level, lookup: Lookup): string[] {
  return lookup
    .list('node.k8s.io', 'runtimeclasses')
    .filter((one) => readinessOf(one) !== 'False')
    .map((one) => ({ name: one.metadata.name, level: levelOfClass(one), order: preference(one) }))
    .filter(({ level }) => !isBelow(level, wanted))
    .sort(
      (a, b) => levels.indexOf(a.level) - levels.indexOf(b.level) || a.order - b.order || (a.name < b.name ? -1 : 1),
    )
    .map(({ name }) => name)
}

const preferred = ['runc', 'runsc', 'microvm']
/** Among equals that which Tandem itself brings. */
const preference = ({ handler }: StoredObject): number =>
  preferred.includes(handler) ? preferred.indexOf(handler) : preferred.length

export interface Chosen {
  name?: string
  /** Who chose, or why nobody could. */
  by: string
  ofUser?: boolean
}

/** The class of a Pod that names none: a rule's, else one for the namespace's default; undefined leaves it without. */
export function choose(
  spec: Spec,
  { all, choice, preset }: Demands,
  namespace: string,
  lookup: Lookup,
): Chosen | undefined {
  if (spec.runtimeClassName) return undefined
  // No class keeps it apart from a machine that it shares.
  if (hostAccess(spec).length > 0) return undefined
  if (choice) return { name: choice.runtimeClassName, by: choice.by, ofUser: choice.ofUser }
  if (!preset) return undefined
  const demanded = strictest(all.filter(({ mode }) => mode === 'enforce'))
  const wanted = demanded ? stronger(preset, demanded.minimum) : preset
  if (wanted === 'container') return undefined
  const by = `label isolation.tandem.dev/default of namespace "${namespace}"`
  const [name] = classesFor(wanted, lookup)
  return name
    ? { name, by }
    : {
        by: `no RuntimeClass gives isolation "${wanted}", which is the default by ${by}: see kubectl get runtimeclasses`,
      }
}

/** What to do about a Pod that is isolated too weakly. */
export function remedyFor(wanted: Level, spec: Spec, lookup: Lookup): string {
  const names = classesFor(wanted, lookup).map((name) => JSON.stringify(name))
  if (names.length === 0)
    return wanted === 'vm'
      ? 'only a virtual machine gives that: create a VirtualMachine (kubevirt.io/v1)'
      : 'no RuntimeClass gives that: see kubectl get runtimeclasses'
  const leave = hostAccess(spec).length > 0 ? 'leave that out and ' : ''
  const suits = spec.runtimeClassName && names.includes(JSON.stringify(spec.runtimeClassName))
  if (leave && suits) return 'leave that out'
  return `${leave}set spec.runtimeClassName to ${names.length > 1 ? `one of ${names.join(', ')}` : names[0]}`
}
