// Rules for the containers of a Pod (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems, envVarNameProblems, portNameProblems } from '../../api/names.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { notFound } from '../rules/field.ts'
import { checkName, checkPort } from '../rules/names.ts'
import { validateLifecycle, validateProbe } from './probe-rules.ts'
import { validateResources } from './resource-rules.ts'
import { validateLocalPath } from './volume-rules.ts'

export interface PodContext {
  /** Names of the Pod's volumes. */
  volumes: Set<string>
  hostNetwork: boolean
}

export function validateContainers(spec: any, field: string, context: PodContext): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  if (Array.isArray(spec.containers) && spec.containers.length === 0) errors.push(requiredValue(`${field}.containers`))
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      const at = `${field}.${list}[${index}]`
      errors.push(...validateContainer(container, at, context))
      errors.push(
        ...(list === 'containers' ? validateMainContainer(container, at) : validateInitContainer(container, at)),
      )
      if (names.has(container.name)) errors.push(duplicateValue(`${at}.name`, container.name))
      names.add(container.name)
    }
  }
  return [...errors, ...validateHostPorts(spec, field)]
}

function validateContainer(container: any, field: string, context: PodContext): FieldError[] {
  const errors = checkName(`${field}.name`, container.name, dnsLabelProblems)
  if (!container.image) errors.push(requiredValue(`${field}.image`))
  else if (container.image !== container.image.trim())
    errors.push(invalidValue(`${field}.image`, container.image, 'must not have leading or trailing whitespace'))
  for (const [index, source] of (container.envFrom ?? []).entries())
    errors.push(...validateEnvFrom(source, `${field}.envFrom[${index}]`))
  return [
    ...errors,
    ...validatePorts(container.ports, `${field}.ports`, context),
    ...validateEnv(container.env, `${field}.env`),
    ...validateMounts(container, field, context),
    ...validateResources(container.resources, `${field}.resources`),
    ...validateSecurity(container.securityContext, `${field}.securityContext`),
  ]
}

function validateMainContainer(container: any, field: string): FieldError[] {
  return [
    ...validateLifecycle(container.lifecycle, `${field}.lifecycle`),
    ...validateProbe(container.livenessProbe, `${field}.livenessProbe`, 'liveness'),
    ...validateProbe(container.readinessProbe, `${field}.readinessProbe`, 'readiness'),
    ...validateProbe(container.startupProbe, `${field}.startupProbe`, 'startup'),
    ...(container.restartPolicy ? [forbidden(`${field}.restartPolicy`, 'may not be set for non-init containers')] : []),
  ]
}

function validateInitContainer(container: any, field: string): FieldError[] {
  if (container.restartPolicy === 'Always')
    return validateMainContainer({ ...container, restartPolicy: undefined }, field)
  const errors: FieldError[] = []
  if (container.restartPolicy) errors.push(notSupported(`${field}.restartPolicy`, container.restartPolicy, ['Always']))
  for (const name of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (container[name])
      errors.push(forbidden(`${field}.${name}`, 'may not be set for init containers without restartPolicy=Always'))
  }
  return errors
}

function validatePorts(ports: any[] = [], field: string, context: PodContext): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [index, port] of ports.entries()) {
    const at = `${field}[${index}]`
    if (port.name) {
      errors.push(...portNameProblems(port.name).map((problem) => invalidValue(`${at}.name`, port.name, problem)))
      if (names.has(port.name)) errors.push(duplicateValue(`${at}.name`, port.name))
      names.add(port.name)
    }
    if (!port.containerPort) errors.push(requiredValue(`${at}.containerPort`))
    else errors.push(...checkPort(`${at}.containerPort`, port.containerPort))
    if (port.hostPort) errors.push(...checkPort(`${at}.hostPort`, port.hostPort))
    if (context.hostNetwork && port.hostPort && port.hostPort !== port.containerPort)
      errors.push(
        invalidValue(`${at}.containerPort`, port.containerPort, 'must match `hostPort` when `hostNetwork` is true'),
      )
  }
  return errors
}

/** Two containers of one Pod cannot have the same port of the host. */
function validateHostPorts(spec: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const taken = new Set<string>()
  for (const [index, container] of (spec.containers ?? []).entries()) {
    for (const [place, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`
      if (taken.has(key)) errors.push(duplicateValue(`${field}.containers[${index}].ports[${place}].hostPort`, key))
      taken.add(key)
    }
  }
  return errors
}

const sources = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef']
const envFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
]

function validateEnv(env: any[] = [], field: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [index, variable] of env.entries()) {
    const at = `${field}[${index}]`
    errors.push(...checkName(`${at}.name`, variable.name, envVarNameProblems))
    const from = variable.valueFrom
    if (!from) continue
    const given = sources.filter((source) => from[source])
    if (variable.value)
      errors.push(invalidValue(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty'))
    else if (given.length === 0)
      errors.push(
        invalidValue(
          `${at}.valueFrom`,
          '',
          'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
        ),
      )
    else if (given.length > 1)
      errors.push(invalidValue(`${at}.valueFrom`, '', 'may not have more than one field specified at a time'))
    const path = from.fieldRef?.fieldPath
    if (from.fieldRef && !path) errors.push(requiredValue(`${at}.valueFrom.fieldRef.fieldPath`))
    else if (path && !envFields.includes(path) && !/^metadata\.(labels|annotations)\['[^']+'\]$/.test(path))
      errors.push(notSupported(`${at}.valueFrom.fieldRef.fieldPath`, path, envFields))
    for (const source of ['configMapKeyRef', 'secretKeyRef']) {
      if (!from[source]) continue
      if (!from[source].name) errors.push(requiredValue(`${at}.valueFrom.${source}.name`))
      if (!from[source].key) errors.push(requiredValue(`${at}.valueFrom.${source}.key`))
    }
  }
  return errors
}

function validateEnvFrom(source: any, field: string): FieldError[] {
  const given = ['configMapRef', 'secretRef'].filter((name) => source[name])
  if (given.length === 0) return [invalidValue(field, '', 'must specify one of: `configMapRef` or `secretRef`')]
  if (given.length > 1) return [invalidValue(field, '', 'may not have more than one field specified at a time')]
  return source[given[0]!].name ? [] : [requiredValue(`${field}.${given[0]}.name`)]
}

function validateMounts(container: any, field: string, context: PodContext): FieldError[] {
  const errors: FieldError[] = []
  const paths = new Set<string>()
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${field}.volumeMounts[${index}]`
    if (!mount.name) errors.push(requiredValue(`${at}.name`))
    else if (!context.volumes.has(mount.name)) errors.push(notFound(`${at}.name`, mount.name))
    if (!mount.mountPath) errors.push(requiredValue(`${at}.mountPath`))
    if (paths.has(mount.mountPath)) errors.push(invalidValue(`${at}.mountPath`, mount.mountPath, 'must be unique'))
    paths.add(mount.mountPath)
    if (mount.subPath) errors.push(...validateLocalPath(mount.subPath, `${at}.subPath`))
    if (mount.subPath && mount.subPathExpr)
      errors.push(
        invalidValue(`${at}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'),
      )
  }
  if (container.volumeDevices?.length)
    errors.push(forbidden(`${field}.volumeDevices`, 'raw block volumes are not supported for containers here'))
  return errors
}

function validateSecurity(context: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (!context) return errors
  for (const name of ['runAsUser', 'runAsGroup']) {
    if (context[name] < 0)
      errors.push(invalidValue(`${field}.${name}`, context[name], 'must be between 0 and 2147483647, inclusive'))
  }
  if (context.privileged && context.allowPrivilegeEscalation === false)
    errors.push(invalidValue(field, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'))
  return errors
}
