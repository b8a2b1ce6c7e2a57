// Rules for a Pod's spec, used for Pods and for templates (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems, dnsSubdomainProblems } from '../../api/names.ts'
import { validateLabels } from '../../api/validate-meta.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { checkAddress } from '../rules/addresses.ts'
import { validateContainers } from './container-rules.ts'
import { validateResourceClaims } from './resource-claim-rules.ts'
import { validateAmounts, validatePodResources } from './resource-rules.ts'
import { validatePlacement } from './scheduling-rules.ts'
import { validatePodSecurity } from './security-rules.ts'
import { validateVolumes } from './volume-rules.ts'

export function validatePodSpec(spec: any, field: string): FieldError[] {
  if (!spec || typeof spec !== 'object') return []
  const volumes: any[] = spec.volumes ?? []
  const context = {
    volumes: new Set(volumes.map((volume) => volume.name)),
    claims: new Set(
      volumes.filter((volume) => volume.persistentVolumeClaim || volume.ephemeral).map((volume) => volume.name),
    ),
    hostNetwork: spec.hostNetwork === true,
    restartPolicy: spec.restartPolicy ?? 'Always',
    grace: spec.terminationGracePeriodSeconds,
    os: spec.os?.name,
  }
  return [
    ...validateVolumes(volumes, `${field}.volumes`),
    ...validateContainers(spec, field, context),
    ...validatePodResources(spec, field),
    ...validateAmounts(spec.overhead, `${field}.overhead`),
    ...validateNumbers(spec, field),
    ...validateNames(spec, field),
    ...validatePodSecurity(spec, `${field}.securityContext`),
    ...validatePlacement(spec, field),
    ...validateResourceClaims(spec, field),
    ...validateDns(spec, field),
  ]
}

function validateNumbers(spec: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const deadline = spec.activeDeadlineSeconds
  if (deadline !== undefined && (deadline < 1 || deadline > 2147483647))
    errors.push(invalidValue(`${field}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'))
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
  check('hostnameOverride', dnsSubdomainProblems)
  check('serviceAccountName', dnsSubdomainProblems)
  check('nodeName', dnsSubdomainProblems)
  check('runtimeClassName', dnsSubdomainProblems)
  check('priorityClassName', dnsSubdomainProblems)
  if (spec.hostnameOverride && spec.setHostnameAsFQDN)
    errors.push(
      forbidden(`${field}.setHostnameAsFQDN`, 'setHostnameAsFQDN and hostnameOverride are mutually exclusive'),
    )
  if (spec.hostnameOverride && spec.hostNetwork)
    errors.push(forbidden(`${field}.hostNetwork`, 'hostNetwork and hostnameOverride are mutually exclusive'))
  for (const [index, { ip, hostnames = [] }] of (spec.hostAliases ?? []).entries()) {
    const at = `${field}.hostAliases[${index}]`
    errors.push(...checkAddress(`${at}.ip`, ip))
    hostnames.forEach((name: string, place: number) => {
      errors.push(...dnsSubdomainProblems(name).map((text) => invalidValue(`${at}.hostnames[${place}]`, name, text)))
    })
  }
  return [...errors, ...validateLabels(spec.nodeSelector, `${field}.nodeSelector`)]
}

function validateDns(spec: any, field: string): FieldError[] {
  const at = `${field}.dnsConfig`
  const { nameservers = [], searches = [], options = [] } = spec.dnsConfig ?? {}
  const errors: FieldError[] = []
  if (spec.dnsPolicy === 'None' && !spec.dnsConfig)
    return [requiredValue(at, 'must provide `dnsConfig` when `dnsPolicy` is None')]
  if (spec.dnsPolicy === 'None' && !nameservers.length)
    return [requiredValue(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')]
  if (nameservers.length > 3)
    errors.push(invalidValue(`${at}.nameservers`, nameservers, 'must not have more than 3 nameservers'))
  nameservers.forEach((server: string, index: number) => {
    errors.push(...checkAddress(`${at}.nameservers[${index}]`, server))
  })
  if (searches.length > 32)
    errors.push(invalidValue(`${at}.searches`, searches, 'must not have more than 32 search paths'))
  if (searches.join(' ').length > 2048)
    errors.push(
      invalidValue(
        `${at}.searches`,
        searches,
        'must not have more than 2048 characters (including spaces) in the search list',
      ),
    )
  searches.forEach((search: string, index: number) => {
    // Underscores are allowed in searches since 1.34.
    const name = search.replace(/\.$/, '').replaceAll('_', '-')
    if (search !== '.')
      errors.push(...dnsSubdomainProblems(name).map((text) => invalidValue(`${at}.searches[${index}]`, search, text)))
  })
  options.forEach((option: { name?: string }, index: number) => {
    if (!option.name) errors.push(requiredValue(`${at}.options[${index}]`, 'must not be empty'))
  })
  return errors
}
