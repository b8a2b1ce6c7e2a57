// PodSecurity: Pods meet the standard that their namespace enforces; templates of Pods, and standards that are only to be
// told, are warned of (pod-security-admission/admission, 1.36).

import { invalid } from '../../../api/errors.ts'
import type { ApiObject, StoredObject } from '../../../api/meta.ts'
import { forbiddenObject } from '../../auth/authz.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import type { Lookup } from '../lookup.ts'
import { changesContainers, harmlessToPods, podTemplates } from '../pod-contents.ts'
import type { PodLike } from './check.ts'
import {
  detailsOf,
  isStricter,
  policyOf,
  reasonsOf,
  type Standard,
  sameStandard,
  standardText,
  violationsOf,
} from './policy.ts'

const annotation = 'pod-security.kubernetes.io/'

export const podSecurity = (lookup: Lookup): AdmissionPlugin => ({
  name: 'PodSecurity',
  resources: ['pods', 'namespaces', ...Object.keys(podTemplates)],
  validate(request) {
    if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return
    const { groupResource } = request.resource
    if (groupResource === 'pods') return checkPod(request, lookup)
    if (groupResource === 'namespaces') return checkNamespace(request, lookup)
    const template = podTemplates[groupResource]
    if (template && request.subresource === '') checkTemplate(request, template(request.object!), lookup)
  },
})

const labelsOf = (lookup: Lookup, namespace: string) => lookup.get('', 'namespaces', '', namespace)?.metadata.labels

function checkPod(request: AdmissionRequest, lookup: Lookup): void {
  if (harmlessToPods.has(request.subresource)) return
  const { policy, errors } = policyOf(labelsOf(lookup, request.namespace))
  if (errors.length === 0 && Object.values(policy).every(({ level }) => level === 'privileged')) return
  if (request.operation === 'UPDATE' && !changesContainers(request.object!, request.old!)) return
  const pod = podOf(request.object!)
  const { enforce } = policy
  request.annotate?.(`${annotation}enforce-policy`, standardText(enforce))
  const violations = violationsOf(pod, enforce)
  if (violations.length > 0)
    throw forbiddenObject(
      '',
      'pods',
      request.name,
      `violates PodSecurity ${JSON.stringify(standardText(enforce))}: ${detailsOf(violations)}`,
    )
  tell(request, pod, policy)
}

const podOf = ({ metadata, spec = {} }: ApiObject): PodLike => ({ metadata, spec })

function checkTemplate(request: AdmissionRequest, template: any, lookup: Lookup): void {
  if (!template) return
  const { policy } = policyOf(labelsOf(lookup, request.namespace))
  if (policy.warn.level === 'privileged' && policy.audit.level === 'privileged') return
  tell(request, { metadata: template.metadata ?? {}, spec: template.spec ?? {} }, policy)
}

function tell(request: AdmissionRequest, pod: PodLike, { audit, warn }: { audit: Standard; warn: Standard }): void {
  const text = (standard: Standard): string | undefined => {
    const violations = violationsOf(pod, standard)
    return violations.length > 0
      ? `would violate PodSecurity ${JSON.stringify(standardText(standard))}: ${detailsOf(violations)}`
      : undefined
  }
  const audited = text(audit)
  if (audited) request.annotate?.(`${annotation}audit-violations`, audited)
  const warned = sameStandard(audit, warn) ? audited : text(warn)
  if (warned) request.warnings.push(warned)
}

function checkNamespace(request: AdmissionRequest, lookup: Lookup): void {
  if (request.subresource !== '') return
  const { object, old, name } = request
  const { policy, errors } = policyOf(object!.metadata.labels)
  const before = old && policyOf(old.metadata.labels)
  const known = before?.errors.map(({ field, value }) => `${field}=${value}`).join()
  if (errors.length > 0 && errors.map(({ field, value }) => `${field}=${value}`).join() !== known)
    throw invalid('Namespace', name, errors)
  if (!before) return
  const [now, then] = [policy.enforce, before.policy.enforce]
  if (sameStandard(now, then) || now.level === 'privileged') return
  if (now.version === then.version && !isStricter(now.level, then.level)) return
  request.warnings.push(...existingViolations(name, now, lookup.list('', 'pods', name)))
}

const most = 3000

/** The Pods that are there are not stopped: whoever asks for more is told of them. */
function existingViolations(namespace: string, enforce: Standard, pods: readonly StoredObject[]): string[] {
  const found = new Map<string, string[]>()
  for (const pod of pods.slice(0, most)) {
    const violations = violationsOf(podOf(pod), enforce)
    if (violations.length === 0) continue
    const reasons = reasonsOf(violations)
    found.set(reasons, [...(found.get(reasons) ?? []), pod.metadata.name])
  }
  const warnings: string[] = []
  if (pods.length > most)
    warnings.push(
      `new PodSecurity enforce level only checked against the first ${most} of ${pods.length} existing pods`,
    )
  if (found.size === 0) return warnings
  const level = JSON.stringify(standardText(enforce))
  warnings.push(
    `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${level}`,
  )
  const texts = [...found].map(([reasons, names]) => {
    const others = names.length - 1
    const more = others === 0 ? '' : ` (and ${others} other ${others === 1 ? 'pod' : 'pods'})`
    return `${names.sort()[0]}${more}: ${reasons}`
  })
  return [...warnings, ...texts.sort()]
}
