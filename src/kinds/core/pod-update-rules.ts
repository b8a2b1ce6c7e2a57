// What an update of a Pod may change: little of the Pod itself, ephemeral containers and resources through their own
// subresources, and of the status what upstream guards (pkg/apis/core/validation ValidatePod…Update, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue } from '../../api/walk/rules.ts'
import { qosClassOf } from './resource-rules.ts'

const updateText =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

export function validatePodUpdate(pod: ApiObject, old: ApiObject): FieldError[] {
  for (const list of ['containers', 'initContainers'])
    if ((pod.spec[list]?.length ?? 0) !== (old.spec[list]?.length ?? 0))
      return [forbidden(`spec.${list}`, 'pod updates may not add or remove containers')]
  const errors = [
    ...tolerationErrors(pod.spec.tolerations, old.spec.tolerations),
    ...gateErrors(pod.spec.schedulingGates, old.spec.schedulingGates),
    ...deadlineErrors(pod.spec.activeDeadlineSeconds, old.spec.activeDeadlineSeconds),
  ]
  const gated = Boolean(old.spec.schedulingGates?.length)
  if (gated) errors.push(...placementErrors(pod.spec, old.spec))
  if (!equalJson(fixedPart(pod.spec, old.spec, gated), fixedPart(old.spec, old.spec, gated)))
    errors.push(forbidden('spec', updateText))
  return errors
}

const sameKey = (a: any, b: any) =>
  equalJson({ ...a, tolerationSeconds: undefined }, { ...b, tolerationSeconds: undefined })

function tolerationErrors(after: any[] = [], before: any[] = []): FieldError[] {
  if (before.every((toleration) => after.some((item) => sameKey(item, toleration)))) return []
  return [forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')]
}

function gateErrors(after: any[] = [], before: any[] = []): FieldError[] {
  const known = new Set(before.map(({ name }) => name))
  const added = after.filter(({ name }) => !known.has(name)).map(({ name }) => name)
  if (!added.length) return []
  return [
    forbidden('spec.schedulingGates', `only deletion is allowed, but found new scheduling gates '${added.join(', ')}'`),
  ]
}

function deadlineErrors(after: number | undefined, before: number | undefined): FieldError[] {
  if (before === undefined || after === before) return []
  const field = 'spec.activeDeadlineSeconds'
  if (after === undefined) return [invalidValue(field, null, 'must not update from a positive integer to nil value')]
  return after > before ? [invalidValue(field, after, `must be less than or equal to previous value`)] : []
}

/** A Pod behind a gate may still be told more narrowly where to go. */
function placementErrors(spec: any, old: any): FieldError[] {
  const errors: FieldError[] = []
  const selector = spec.nodeSelector ?? {}
  if (Object.entries(old.nodeSelector ?? {}).some(([key, value]) => selector[key] !== value))
    errors.push(
      invalidValue(
        'spec.nodeSelector',
        spec.nodeSelector,
        'only additions to spec.nodeSelector are allowed (no mutations or deletions)',
      ),
    )
  const terms = (of: any) =>
    of.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms as any[] | undefined
  const [before, after] = [terms(old), terms(spec)]
  const field = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms'
  if (!before?.length) return errors
  if (after?.length !== before.length)
    return [
      ...errors,
      invalidValue(field, after, 'no additions/deletions to non-empty NodeSelectorTerms list are allowed'),
    ]
  const widened = before.some((term, index) =>
    ['matchExpressions', 'matchFields'].some((part) => {
      const [had, has] = [term[part] ?? [], after[index][part] ?? []]
      return had.some((requirement: unknown, place: number) => !equalJson(requirement, has[place]))
    }),
  )
  if (widened) errors.push(invalidValue(field, after, 'only additions are allowed (no mutations or deletions)'))
  return errors
}

/** The spec without what an update may change; the node of a Pod that has none yet comes by binding. */
function fixedPart(spec: any, old: any, gated: boolean): unknown {
  const images = (list: any[] | undefined) => list?.map(({ image: _image, imagePullPolicy: _policy, ...rest }) => rest)
  const { nodeAffinity: _node, ...affinity } = spec.affinity ?? {}
  return {
    ...spec,
    containers: images(spec.containers),
    initContainers: images(spec.initContainers),
    activeDeadlineSeconds: undefined,
    schedulingGates: undefined,
    tolerations: undefined,
    ...(gated && { nodeSelector: undefined, affinity: Object.keys(affinity).length ? affinity : undefined }),
    nodeName: old.nodeName ? spec.nodeName : undefined,
    terminationGracePeriodSeconds:
      old.terminationGracePeriodSeconds < 0 ? undefined : spec.terminationGracePeriodSeconds,
  }
}

const mirror = 'kubernetes.io/config.mirror'

/** PUT or PATCH pods/x/ephemeralcontainers: they come and never go or change. */
export function validateEphemeralUpdate(pod: ApiObject, old: ApiObject): FieldError[] {
  if (old.metadata.annotations?.[mirror]) return [forbidden('', 'static pods do not support ephemeral containers')]
  const now: any[] = pod.spec.ephemeralContainers ?? []
  return (old.spec.ephemeralContainers ?? []).flatMap((before: any) => {
    const after = now.find(({ name }) => name === before.name)
    if (!after)
      return [
        forbidden('spec.ephemeralContainers', `existing ephemeral containers "${before.name}" may not be removed`),
      ]
    return equalJson(before, after)
      ? []
      : [forbidden('spec.ephemeralContainers', `existing ephemeral containers "${before.name}" may not be changed`)]
  })
}

const resizable = ['cpu', 'memory']

/** PUT or PATCH pods/x/resize: cpu and memory of containers and of the Pod. */
export function validateResize(pod: ApiObject, old: ApiObject): FieldError[] {
  if (old.metadata.annotations?.[mirror]) return [forbidden('', 'static pods cannot be resized')]
  const errors: FieldError[] = []
  const renamed: FieldError[] = []
  for (const list of ['containers', 'initContainers'] as const) {
    const [before, after]: any[][] = [old.spec[list] ?? [], pod.spec[list] ?? []]
    if (before!.length !== after!.length)
      return [forbidden(`spec.${list}`, `${list} may not be added or removed on resize`)]
    for (const [index, { name }] of before!.entries())
      if (after![index].name !== name)
        renamed.push(forbidden(`spec.${list}[${index}].name`, `${list} may not be renamed or reordered on resize`))
    if (renamed.length) continue
    before!.forEach((container, index) => {
      errors.push(...resizeErrors(after![index], container, `spec.${list}[${index}]`, list))
    })
  }
  if (renamed.length) return renamed
  const known: string = old.status?.qosClass ?? qosClassOf(old.spec)
  if (known !== qosClassOf(pod.spec))
    errors.unshift(invalidValue('spec', known, 'Pod QOS Class may not change as a result of resizing'))
  errors.push(...removed(pod.spec.resources, old.spec.resources, 'spec.resources'))
  if (!equalJson(withoutResizable(pod.spec.resources), withoutResizable(old.spec.resources)))
    errors.push(forbidden('spec', 'only cpu and memory resources are mutable'))
  return errors
}

function resizeErrors(after: any, before: any, field: string, list: string): FieldError[] {
  if (equalJson(after.resources ?? {}, before.resources ?? {})) return []
  const errors = removed(after.resources, before.resources, `${field}.resources`)
  const restarts = (after.resizePolicy ?? []).some((one: any) => one.restartPolicy === 'RestartContainer')
  if (list === 'initContainers' && before.restartPolicy !== 'Always' && restarts)
    errors.push(
      forbidden(field, 'non-sidecar init containers with a resize policy of RestartContainer cannot be resized'),
    )
  if (!equalJson(withoutResizable(after.resources), withoutResizable(before.resources)))
    errors.push(
      list === 'containers'
        ? forbidden('spec', 'only cpu and memory resources are mutable')
        : forbidden(field, 'only cpu and memory resources for init or sidecar containers are mutable'),
    )
  return errors
}

function removed(after: any, before: any, field: string): FieldError[] {
  return (['requests', 'limits'] as const).flatMap((part) =>
    Object.keys(before?.[part] ?? {}).some((name) => after?.[part]?.[name] === undefined)
      ? [forbidden(`${field}.${part}`, `resource ${part} cannot be removed`)]
      : [],
  )
}

function withoutResizable(resources: any): unknown {
  const rest = (amounts: Record<string, unknown> = {}) =>
    Object.fromEntries(Object.entries(amounts).filter(([name]) => !resizable.includes(name)))
  return { requests: rest(resources?.requests), limits: rest(resources?.limits), claims: resources?.claims ?? [] }
}

/** Only resources and resize policies of what was sent count. */
export function narrowToResize(spec: any, old: any): any {
  for (const list of ['containers', 'initContainers']) {
    const [before, after]: any[][] = [old[list] ?? [], spec[list] ?? []]
    // Added, removed or renamed containers stay for the rules to refuse.
    if (before!.length !== after!.length || before!.some(({ name }, index) => after![index].name !== name)) return spec
  }
  const merged = (list: string) =>
    old[list]?.map((container: any, index: number) => {
      const { resources, resizePolicy } = spec[list][index]
      const { resources: _resources, resizePolicy: _policy, ...rest } = container
      return { ...rest, ...(resources && { resources }), ...(resizePolicy && { resizePolicy }) }
    })
  const { resources: _resources, ...rest } = old
  return {
    ...rest,
    containers: merged('containers'),
    ...(old.initContainers && { initContainers: merged('initContainers') }),
    ...(spec.resources && { resources: spec.resources }),
  }
}

/** A container that ended for good stays so, whoever writes the status. */
export function validatePodStatus(pod: ApiObject, old: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const [now, before] = [pod.status ?? {}, old.status ?? {}]
  if (before.qosClass && now.qosClass !== before.qosClass)
    errors.push(invalidValue('status.qosClass', now.qosClass, 'field is immutable'))
  if (now.observedGeneration < 0)
    errors.push(invalidValue('status.observedGeneration', now.observedGeneration, 'must be a non-negative integer'))
  const all = [...(old.spec.containers ?? []), ...(old.spec.initContainers ?? [])]
  if (
    all.some(({ restartPolicyRules }) =>
      restartPolicyRules?.some((rule: any) => rule.action === 'RestartAllContainers'),
    )
  )
    return errors
  for (const list of ['containerStatuses', 'initContainerStatuses'] as const)
    (before[list] ?? []).forEach((was: any, index: number) => {
      const ended = was.state?.terminated
      const is = now[list]?.find(({ name }: any) => name === was.name)
      const container = all.find(({ name }) => name === was.name)
      if (ended && is && !is.state?.terminated && !mayRestart(container, old.spec, ended.exitCode))
        errors.push(forbidden(`status.${list}[${index}].state`, 'may not be transitioned to non-terminated state'))
    })
  return errors
}

/** By its own rules first, then its own policy, then the Pod's (ContainerShouldRestart, 1.36). */
export function mayRestart(container: any, spec: any, exitCode: number): boolean {
  for (const { action, exitCodes } of container?.restartPolicyRules ?? []) {
    const listed = exitCodes?.values?.includes(exitCode) === true
    if (exitCodes && (exitCodes.operator === 'In') === listed && action) return true
  }
  const policy = container?.restartPolicy ?? spec.restartPolicy ?? 'Always'
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0)
}
