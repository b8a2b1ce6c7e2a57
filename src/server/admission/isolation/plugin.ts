// How strongly Pods must be isolated: chooses a runtime class for those that name none, refuses those that are isolated
// less than their namespace or a ClusterIsolationPolicy demands, and stamps every Pod with what it has. Modelled after
// Pod Security's modes: enforce refuses Pods; templates of controllers are warned of.

import { invalid } from '../../../api/errors.ts'
import type { ApiObject, StoredObject } from '../../../api/meta.ts'
import { equalJson } from '../../../api/walk/plain.ts'
import { notSupported } from '../../../api/walk/rules.ts'
import {
  containersOf,
  hostAccess,
  isBelow,
  isLevel,
  type Level,
  labelPrefix,
  levelLabel,
  levelOfHandler,
  levels,
} from '../../../kinds/isolation/levels.ts'
import { forbiddenObject } from '../../auth/authz.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import type { ByNamespace } from '../by-namespace.ts'
import type { Lookup } from '../lookup.ts'
import { changesContainers, harmlessToPods, podTemplates } from '../pod-contents.ts'
import { choose, remedyFor, runsAs } from './class.ts'
import { type Demand, type Demands, demandsOn, type Rule, rulesOf, strictest } from './demands.ts'
import { checkNamespace } from './namespaces.ts'

const nobody: readonly Rule[] = []
const runtimeClasses = 'runtimeclasses.node.k8s.io'
const mirror = 'kubernetes.io/config.mirror'

/** Asks once for what a Pod of this request must be; nothing where nobody demands anything. */
function createJudge(lookup: Lookup, policies: ByNamespace) {
  const known = new WeakMap<readonly StoredObject[], Rule[]>()
  function rules(): readonly Rule[] {
    const all = policies('')
    if (all.length === 0) return nobody
    let found = known.get(all)
    if (!found) {
      found = rulesOf(all)
      known.set(all, found)
    }
    return found
  }
  return ({ namespace, user }: AdmissionRequest, spec: Record<string, any>): Demands | undefined => {
    const labels = lookup.get('', 'namespaces', '', namespace)?.metadata.labels
    const all = rules()
    if (all.length === 0 && !hasOurs(labels)) return undefined
    const images = containersOf(spec).map(({ image }) => image ?? '')
    const serviceAccount = spec.serviceAccountName || 'default'
    return demandsOn({ namespace, labels, images, serviceAccount, user }, all)
  }
}

function hasOurs(labels: Record<string, string> | undefined): boolean {
  for (const key in labels) if (key.startsWith(labelPrefix)) return true
  return false
}

const writes = ({ operation }: AdmissionRequest): boolean => operation === 'CREATE' || operation === 'UPDATE'

/** Before the class is looked at: Pods that name none, and templates of those for whom a rule chooses. */
export function isolationClasses(lookup: Lookup, policies: ByNamespace): AdmissionPlugin {
  const judge = createJudge(lookup, policies)
  return {
    name: 'IsolationClass',
    resources: ['pods', ...Object.keys(podTemplates)],
    admit(request) {
      const { object, resource, namespace, name } = request
      if (!writes(request) || request.subresource !== '') return
      const isPod = resource.groupResource === 'pods'
      if (isPod && (request.operation !== 'CREATE' || object!.metadata.annotations?.[mirror] !== undefined)) return
      const spec = isPod ? object!.spec : changedTemplate(request)?.spec
      if (!spec || spec.runtimeClassName) return
      const demands = judge(request, spec)
      const chosen = demands && choose(spec, demands, namespace, lookup)
      if (!chosen) return
      // What a namespace or an image makes of it shows in the Pod; whose it is is known only now.
      if (!isPod && !chosen.ofUser) return
      if (!chosen.name) throw forbiddenObject('', 'pods', name, chosen.by)
      spec.runtimeClassName = chosen.name
    },
  }
}

/** The template of a controller that this request makes or changes. */
function changedTemplate({ resource, object, old, subresource }: AdmissionRequest): any {
  const of = subresource === '' ? podTemplates[resource.groupResource] : undefined
  const template = of?.(object!)
  return template && (!old || !equalJson(template, of!(old))) ? template : undefined
}

/** Last of those that complete: stamps what the Pod came to be, then checks it. */
export function isolation(lookup: Lookup, policies: ByNamespace): AdmissionPlugin {
  const judge = createJudge(lookup, policies)
  return {
    name: 'Isolation',
    resources: ['pods', 'namespaces', runtimeClasses, ...Object.keys(podTemplates)],
    admit(request) {
      if (request.resource.groupResource !== 'pods') return
      if (request.operation === 'UPDATE') restamp(request, lookup)
      // Who changed it late has everybody look again: then it is settled.
      else if (request.operation === 'CREATE' && request.subresource === '' && request.again !== 'wanted')
        stamp(request, lookup)
    },
    validate(request) {
      if (!writes(request)) return
      const { groupResource } = request.resource
      if (groupResource === 'pods') checkPod(request)
      else if (groupResource === 'namespaces') checkNamespace(request, lookup)
      else if (groupResource === runtimeClasses) checkClass(request)
      else checkTemplate(request)
    },
  }

  function checkPod(request: AdmissionRequest): void {
    const { object, old, operation, subresource, name } = request
    if (harmlessToPods.has(subresource) || (operation === 'UPDATE' && !changesContainers(object!, old!))) return
    const spec = object!.spec ?? {}
    const demands = judge(request, spec)
    if (!demands?.all.length) return
    const level = object!.metadata.labels?.[levelLabel] as Level
    const enforced = strictest(demands.all.filter(({ mode }) => mode === 'enforce'))
    if (enforced) {
      request.annotate?.(`${labelPrefix}enforce-policy`, `${enforced.minimum} by ${enforced.by}`)
      const text = violation(enforced, level, spec)
      if (text) throw forbiddenObject('', 'pods', name, `violates ${text}`)
    }
    tell(request, demands, level, spec, ['warn'])
  }

  /** A Pod of it is refused later, when nobody listens any more; who may not even ask is refused now. */
  function checkTemplate(request: AdmissionRequest): void {
    const template = changedTemplate(request)
    if (!template) return
    const spec = template.spec ?? {}
    const demands = judge(request, spec)
    if (!demands) return
    const chosen = choose(spec, demands, request.namespace, lookup)
    if (chosen && !chosen.name) request.warnings.push(chosen.by)
    const whole = chosen?.name ? { ...spec, runtimeClassName: chosen.name } : spec
    const { level } = runsAs(whole, lookup)
    const ofUser = strictest(demands.all.filter(({ mode, ofUser }) => mode === 'enforce' && ofUser))
    const text = ofUser && violation(ofUser, level, whole)
    const { resource, name } = request
    if (text) throw forbiddenObject(resource.group, resource.plural, name, `its Pods would violate ${text}`)
    tell(request, demands, level, whole, ['warn', 'enforce'])
  }

  function tell(
    request: AdmissionRequest,
    { all }: Demands,
    level: Level,
    spec: Record<string, any>,
    warned: Demand['mode'][],
  ): void {
    const text = (modes: Demand['mode'][]): string | undefined => {
      const demand = strictest(all.filter(({ mode }) => modes.includes(mode)))
      const found = demand && violation(demand, level, spec)
      return found && `would violate ${found}`
    }
    const audited = text(['audit'])
    if (audited) request.annotate?.(`${labelPrefix}audit-violations`, audited)
    const warning = text(warned)
    if (warning) request.warnings.push(warning)
  }

  function violation({ minimum, by }: Demand, level: Level, spec: Record<string, any>): string | undefined {
    if (!isBelow(level, minimum)) return undefined
    const runs = runsAs(spec, lookup)
    const remedy = remedyFor(minimum, spec, lookup)
    return `isolation ${JSON.stringify(minimum)} (${by}): it would run as ${JSON.stringify(level)} (${runs.because}); ${remedy}`
  }
}

function stamp(request: AdmissionRequest, lookup: Lookup): void {
  const { metadata, spec } = request.object!
  const { level, instead } = runsAs(spec ?? {}, lookup)
  const said = metadata.labels?.[levelLabel]
  if (said !== undefined && said !== level) throw forged(request, said, level)
  metadata.labels = { ...metadata.labels, [levelLabel]: level }
  if (instead)
    request.warnings.push(
      `${instead.access.join(', ')} shares the machine: the Pod counts as "container", although RuntimeClass "${spec!.runtimeClassName}" gives "${instead.level}"`,
    )
}

/** It stays for good, but for a privileged container that comes later. */
function restamp(request: AdmissionRequest, lookup: Lookup): void {
  const { metadata, spec } = request.object!
  const before = request.old!.metadata.labels?.[levelLabel] ?? runsAs(request.old!.spec, lookup).level
  const level = before !== 'container' && hostAccess(spec).length > 0 ? 'container' : before
  const said = metadata.labels?.[levelLabel]
  if (said === level) return
  if (said !== undefined && said !== before) throw forged(request, said, level)
  metadata.labels = { ...metadata.labels, [levelLabel]: level }
}

const forged = ({ name }: AdmissionRequest, said: string, level: string) =>
  forbiddenObject(
    '',
    'pods',
    name,
    `its label ${levelLabel} says ${JSON.stringify(said)}, but it runs as ${JSON.stringify(level)}; leave the label out, the server sets it`,
  )

/** A class does not claim what its handler is known not to give. */
function checkClass({ object, name, subresource }: AdmissionRequest): void {
  if (subresource !== '') return
  const known = levelOfHandler(String((object as ApiObject).handler))
  for (const field of ['labels', 'annotations'] as const) {
    const said = object!.metadata[field]?.[levelLabel]
    if (said === undefined) continue
    const supported = levels.filter((level) => !known || !isBelow(known, level))
    if (!isLevel(said) || !supported.includes(said))
      throw invalid(
        'RuntimeClass',
        name,
        [notSupported(`metadata.${field}[${levelLabel}]`, said, supported)],
        'node.k8s.io',
      )
  }
}
