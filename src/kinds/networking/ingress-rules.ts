// The rules of Ingress (pkg/apis/networking/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import {
  dnsLabelProblems,
  dnsSubdomainProblems,
  pathSegmentProblems,
  portNameProblems,
  wildcardSubdomainProblems,
} from '../../api/names.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { addressNumber, checkAddress } from '../rules/addresses.ts'
import { checkName, checkPort } from '../rules/names.ts'

const classAnnotation = 'kubernetes.io/ingress.class'
const notAnAddress = 'must be a DNS name, not an IP address'

const listOf = (value: unknown): any[] => (Array.isArray(value) ? value : [])

function validateHost(host: string, path: string): FieldError[] {
  const problems = host.includes('*') ? wildcardSubdomainProblems(host) : dnsSubdomainProblems(host)
  return problems.map((problem) => invalidValue(path, host, problem))
}

export function validateLocalReference(reference: any, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (reference.apiGroup !== undefined)
    for (const problem of dnsSubdomainProblems(reference.apiGroup))
      errors.push(invalidValue(`${path}.apiGroup`, reference.apiGroup, problem))
  return [
    ...errors,
    ...checkName(`${path}.kind`, reference.kind, pathSegmentProblems),
    ...checkName(`${path}.name`, reference.name, pathSegmentProblems),
  ]
}

function validateService(service: any, path: string): FieldError[] {
  const errors = checkName(`${path}.service.name`, service.name, dnsLabelProblems)
  const { name, number } = service.port ?? {}
  if (name && number) errors.push(invalidValue(path, '', 'cannot set both port name & port number'))
  else if (name)
    for (const problem of portNameProblems(name)) errors.push(invalidValue(`${path}.service.port.name`, name, problem))
  else if (number) errors.push(...checkPort(`${path}.service.port.number`, number))
  else errors.push(requiredValue(path, 'port name or number is required'))
  return errors
}

function validateBackend(backend: any, path: string): FieldError[] {
  const { resource, service } = backend ?? {}
  if (resource && service) return [invalidValue(path, '', 'cannot set both resource and service backends')]
  if (resource) return validateLocalReference(resource, `${path}.resource`)
  if (service) return validateService(service, path)
  return [invalidValue(path, '', 'resource or service backend is required')]
}

const badSequences = ['//', '/./', '/../', '%2f', '%2F']
const badSuffixes = ['/..', '/.']

function validatePath(entry: any, at: string): FieldError[] {
  const { pathType, path = '', backend } = entry ?? {}
  if (pathType === undefined) return [requiredValue(`${at}.pathType`, 'pathType must be specified')]
  const errors: FieldError[] = []
  const say = (problem: string) => errors.push(invalidValue(`${at}.path`, path, problem))
  const isStrict = pathType === 'Exact' || pathType === 'Prefix'
  if (isStrict) {
    if (!path.startsWith('/')) say('must be an absolute path')
    for (const bad of badSequences) if (path.includes(bad)) say(`must not contain '${bad}'`)
    for (const bad of badSuffixes) if (path.endsWith(bad)) say(`cannot end with '${bad}'`)
  } else if (pathType === 'ImplementationSpecific') {
    if (path && !path.startsWith('/')) say('must be an absolute path')
  } else errors.push(notSupported(`${at}.pathType`, pathType, ['Exact', 'ImplementationSpecific', 'Prefix']))
  return [...errors, ...validateBackend(backend, `${at}.backend`)]
}

function validateRule(rule: any, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (rule?.host) {
    if (addressNumber(rule.host)) errors.push(invalidValue(`${path}.host`, rule.host, notAnAddress))
    errors.push(...validateHost(rule.host, `${path}.host`))
  }
  if (!rule?.http) return errors
  const paths = listOf(rule.http.paths)
  if (paths.length === 0) errors.push(requiredValue(`${path}.http.paths`))
  return [...errors, ...paths.flatMap((entry, index) => validatePath(entry, `${path}.http.paths[${index}]`))]
}

function validateTls(entry: any, path: string): FieldError[] {
  const errors = listOf(entry?.hosts).flatMap((host, index) => validateHost(String(host), `${path}.hosts[${index}]`))
  if (entry?.secretName)
    for (const problem of dnsSubdomainProblems(entry.secretName))
      errors.push(invalidValue(`${path}.secretName`, entry.secretName, problem))
  return errors
}

function validateStatus(status: any): FieldError[] {
  return listOf(status?.loadBalancer?.ingress).flatMap((entry, index) => {
    const path = `status.loadBalancer.ingress[${index}]`
    const errors = entry?.ip ? checkAddress(`${path}.ip`, entry.ip) : []
    if (!entry?.hostname) return errors
    for (const problem of dnsSubdomainProblems(entry.hostname))
      errors.push(invalidValue(`${path}.hostname`, entry.hostname, problem))
    if (addressNumber(entry.hostname)) errors.push(invalidValue(`${path}.hostname`, entry.hostname, notAnAddress))
    return errors
  })
}

export function validateIngress({ metadata, spec = {}, status }: ApiObject, old?: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const rules = listOf(spec.rules)
  if (rules.length === 0 && !spec.defaultBackend)
    errors.push(invalidValue('spec', spec.rules ?? null, 'either `defaultBackend` or `rules` must be specified'))
  if (spec.defaultBackend) errors.push(...validateBackend(spec.defaultBackend, 'spec.defaultBackend'))
  errors.push(...rules.flatMap((rule, index) => validateRule(rule, `spec.rules[${index}]`)))
  errors.push(...listOf(spec.tls).flatMap((entry, index) => validateTls(entry, `spec.tls[${index}]`)))
  const name = spec.ingressClassName
  if (name !== undefined)
    for (const problem of dnsSubdomainProblems(name)) errors.push(invalidValue('spec.ingressClassName', name, problem))
  const annotated = metadata.annotations?.[classAnnotation]
  if (!old && annotated !== undefined && name !== undefined && annotated !== name)
    errors.push(
      invalidValue(
        `annotations.${classAnnotation}`,
        annotated,
        'must match `ingressClassName` when both are specified',
      ),
    )
  return [...errors, ...validateStatus(status)]
}

export const usesClassAnnotation = ({ metadata }: ApiObject): string[] =>
  metadata.annotations?.[classAnnotation] === undefined
    ? []
    : [`annotation ${JSON.stringify(classAnnotation)} is deprecated, please use 'spec.ingressClassName' instead`]
