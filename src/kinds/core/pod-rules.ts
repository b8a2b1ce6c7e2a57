// Rules for a Pod's spec, used for Pods and for templates (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems, dnsSubdomainProblems, qualifiedNameProblems } from '../../api/names.ts'
import { validateLabels } from '../../api/validate-meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { validateContainers } from './container-rules.ts'
import { validateVolumes } from './volume-rules.ts'

export function validatePodSpec(spec: any, field: string): FieldError[] {
  if (!spec || typeof spec !== 'object') return []
  const volumes: any[] = spec.volumes ?? []
  const context = { volumes: new Set(volumes.map((volume) => volume.name)), hostNetwork: spec.hostNetwork === true }
  return [
    ...validateVolumes(volumes, `${field}.volumes`),
    ...validateContainers(spec, field, context),
    ...validateNumbers(spec, field),
    ...validateNames(spec, field),
    ...validateTolerations(spec.tolerations, `${field}.tolerations`),
    ...validateDns(spec, field),
    ...unsupported(spec, field),
  ]
}

/** Fields that Tandem would have to ignore. */
function unsupported(spec: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (spec.ephemeralContainers?.length)
    errors.push(forbidden(`${field}.ephemeralContainers`, 'ephemeral containers are not supported here'))
  if (spec.resourceClaims?.length)
    errors.push(forbidden(`${field}.resourceClaims`, 'dynamic resource allocation is not supported here'))
  if (spec.schedulingGates?.length)
    errors.push(forbidden(`${field}.schedulingGates`, 'scheduling gates are not supported here'))
  if (spec.hostUsers === false) errors.push(forbidden(`${field}.hostUsers`, 'user namespaces are not supported here'))
  if (spec.os?.name && spec.os.name !== 'linux') errors.push(forbidden(`${field}.os.name`, 'only linux Pods run here'))
  return errors
}

function validateNumbers(spec: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const deadline = spec.activeDeadlineSeconds
  if (deadline !== undefined && (deadline < 1 || deadline > 2147483647))
    errors.push(invalidValue(`${field}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'))
  if (spec.terminationGracePeriodSeconds < 0)
    errors.push(
      invalidValue(
        `${field}.terminationGracePeriodSeconds`,
        spec.terminationGracePeriodSeconds,
        'must be greater than or equal to 0',
      ),
    )
  if (spec.shareProcessNamespace && spec.hostPID)
    errors.push(
      invalidValue(`${field}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    )
  return errors
}

function validateNames(spec: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const check = (name: string, rule: (value: string) => string[]) => {
    if (spec[name])
      errors.push(...rule(spec[name]).map((problem) => invalidValue(`${field}.${name}`, spec[name], problem)))
  }
  check('hostname', dnsLabelProblems)
  check('subdomain', dnsLabelProblems)
  check('serviceAccountName', dnsSubdomainProblems)
  check('nodeName', dnsSubdomainProblems)
  check('runtimeClassName', dnsSubdomainProblems)
  check('priorityClassName', dnsSubdomainProblems)
  errors.push(...validateLabels(spec.nodeSelector, `${field}.nodeSelector`))
  return errors
}

function validateTolerations(tolerations: any[] = [], field: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [index, toleration] of tolerations.entries()) {
    const at = `${field}[${index}]`
    const operator = toleration.operator || 'Equal'
    if (toleration.key)
      errors.push(
        ...qualifiedNameProblems(toleration.key).map((problem) => invalidValue(`${at}.key`, toleration.key, problem)),
      )
    else if (operator !== 'Exists')
      errors.push(
        invalidValue(
          `${at}.operator`,
          operator,
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      )
    if (operator === 'Exists' && toleration.value)
      errors.push(invalidValue(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"))
    if (toleration.tolerationSeconds !== undefined && toleration.effect !== 'NoExecute')
      errors.push(
        invalidValue(
          `${at}.effect`,
          toleration.effect ?? '',
          "effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
      )
  }
  return errors
}

function validateDns(spec: any, field: string): FieldError[] {
  const { nameservers = [], searches = [] } = spec.dnsConfig ?? {}
  const errors: FieldError[] = []
  if (spec.dnsPolicy === 'None' && !nameservers.length)
    errors.push(
      requiredValue(
        `${field}.dnsConfig.nameservers`,
        'must provide at least one DNS nameserver when `dnsPolicy` is None',
      ),
    )
  if (nameservers.length > 3)
    errors.push(invalidValue(`${field}.dnsConfig.nameservers`, nameservers, 'must not have more than 3 nameservers'))
  if (searches.length > 32)
    errors.push(invalidValue(`${field}.dnsConfig.searches`, searches, 'must not have more than 32 search paths'))
  return errors
}

const updateText =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

export function validatePodUpdate(pod: ApiObject, old: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const before = old.spec.tolerations ?? []
  const after = pod.spec.tolerations ?? []
  if (!before.every((toleration: unknown) => after.some((item: any) => sameKey(item, toleration))))
    errors.push(forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'))
  errors.push(...deadlineErrors(pod.spec.activeDeadlineSeconds, old.spec.activeDeadlineSeconds))
  if (pod.spec.containers?.length !== old.spec.containers?.length)
    return [...errors, forbidden('spec.containers', 'pod updates may not add or remove containers')]
  if (!equalJson(fixedPart(pod.spec, old.spec), fixedPart(old.spec, old.spec)))
    errors.push(forbidden('spec', updateText))
  return errors
}

const sameKey = (a: any, b: any) =>
  equalJson({ ...a, tolerationSeconds: undefined }, { ...b, tolerationSeconds: undefined })

function deadlineErrors(after: number | undefined, before: number | undefined): FieldError[] {
  if (before === undefined || after === before) return []
  const field = 'spec.activeDeadlineSeconds'
  if (after === undefined) return [invalidValue(field, null, 'must not update from a positive integer to nil value')]
  return after > before ? [invalidValue(field, after, `must be less than or equal to previous value`)] : []
}

/** The spec without what an update may change; the node of a Pod that has none yet comes by binding. */
function fixedPart(spec: any, old: any): unknown {
  const images = (list: any[] | undefined) => list?.map(({ image: _image, imagePullPolicy: _policy, ...rest }) => rest)
  return {
    ...spec,
    containers: images(spec.containers),
    initContainers: images(spec.initContainers),
    activeDeadlineSeconds: undefined,
    nodeName: old.nodeName ? spec.nodeName : undefined,
    tolerations: undefined,
    terminationGracePeriodSeconds:
      old.terminationGracePeriodSeconds < 0 ? undefined : spec.terminationGracePeriodSeconds,
  }
}
