// Rules for the containers of a Pod (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems, envVarNameProblems, portNameProblems } from '../../api/names.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue, tooMany } from '../../api/walk/rules.ts'
import { notFound } from '../rules/field.ts'
import { checkName, checkPort } from '../rules/names.ts'
import { validateLocalPath } from './local-path.ts'
import { validateLifecycle, validateProbe } from './probe-rules.ts'
import { validateResourceField, validateResources } from './resource-rules.ts'
import { validateContainerSecurity } from './security-rules.ts'

export interface PodContext {
  /** Names of the Pod's volumes. */
  volumes: Set<string>
  /** Of those that are claims. */
  claims: Set<string>
  hostNetwork: boolean
  restartPolicy: string
  /** terminationGracePeriodSeconds */
  grace: number | undefined
  os: string | undefined
}

export function validateContainers(spec: any, field: string, context: PodContext): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  if (Array.isArray(spec.containers) && spec.containers.length === 0) errors.push(requiredValue(`${field}.containers`))
  for (const list of ['containers', 'initContainers', 'ephemeralContainers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      const at = `${field}.${list}[${index}]`
      errors.push(...validateContainer(container, at, context))
      if (list === 'containers') errors.push(...validateMainContainer(container, at, context))
      else if (list === 'initContainers') errors.push(...validateInitContainer(container, at, context))
      else errors.push(...validateEphemeral(container, spec, at))
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
    ...validateResizePolicy(container.resizePolicy, `${field}.resizePolicy`, context.restartPolicy),
    ...validateContainerSecurity(container.securityContext, `${field}.securityContext`, context.os),
  ]
}

function validateRunning(container: any, field: string, { grace, os }: PodContext): FieldError[] {
  return [
    ...validateLifecycle(container.lifecycle, `${field}.lifecycle`, grace, os),
    ...validateProbe(container.livenessProbe, `${field}.livenessProbe`, 'liveness'),
    ...validateProbe(container.readinessProbe, `${field}.readinessProbe`, 'readiness'),
    ...validateProbe(container.startupProbe, `${field}.startupProbe`, 'startup'),
  ]
}

const validateMainContainer = (container: any, field: string, context: PodContext): FieldError[] => [
  ...validateRunning(container, field, context),
  ...validateRestart(container, field),
]

function validateInitContainer(container: any, field: string, context: PodContext): FieldError[] {
  const errors = validateRestart(container, field)
  if (container.restartPolicy === 'Always') return [...errors, ...validateRunning(container, field, context)]
  for (const name of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (container[name])
      errors.push(forbidden(`${field}.${name}`, 'may not be set for init containers without restartPolicy=Always'))
  }
  for (const [index, { restartPolicy }] of (container.resizePolicy ?? []).entries())
    if (restartPolicy === 'RestartContainer')
      errors.push(
        invalidValue(
          `${field}.resizePolicy[${index}].restartPolicy`,
          restartPolicy,
          "must not be set to 'RestartContainer' for non-sidecar initContainers",
        ),
      )
  return errors
}

const restartPolicies = ['Always', 'Never', 'OnFailure']

/** A container's own restart policy and rules (1.35). */
function validateRestart({ restartPolicy, restartPolicyRules = [] }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (restartPolicy && !restartPolicies.includes(restartPolicy))
    errors.push(notSupported(`${field}.restartPolicy`, restartPolicy, restartPolicies))
  if (!restartPolicy && restartPolicyRules.length)
    errors.push(requiredValue(`${field}.restartPolicy`, 'must specify restartPolicy when restart rules are used'))
  if (restartPolicyRules.length > 20) errors.push(tooMany(`${field}.restartPolicyRules`, restartPolicyRules.length, 20))
  for (const [index, { action, exitCodes }] of restartPolicyRules.entries()) {
    const at = `${field}.restartPolicyRules[${index}]`
    // The other one is refused by the table of what is not supported.
    if (action !== 'Restart' && action !== 'RestartAllContainers')
      errors.push(notSupported(`${at}.action`, action ?? '', ['Restart']))
    if (!exitCodes) errors.push(requiredValue(`${at}.exitCodes`, 'must be specified'))
    else if (!['In', 'NotIn'].includes(exitCodes.operator))
      errors.push(notSupported(`${at}.exitCodes.operator`, exitCodes.operator ?? '', ['In', 'NotIn']))
    if (exitCodes?.values?.length > 255) errors.push(tooMany(`${at}.exitCodes.values`, exitCodes.values.length, 255))
  }
  return errors
}

const notEphemeral = [
  ...['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'],
  ...['resizePolicy', 'restartPolicy', 'restartPolicyRules'],
]

function validateEphemeral(container: any, spec: any, field: string): FieldError[] {
  const text = 'cannot be set for an Ephemeral Container'
  const errors: FieldError[] = []
  const target = container.targetContainerName
  const others = [...(spec.containers ?? []), ...(spec.initContainers ?? [])]
  if (target && !others.some(({ name }) => name === target))
    errors.push(notFound(`${field}.targetContainerName`, target))
  for (const name of notEphemeral) if (container[name] !== undefined) errors.push(forbidden(`${field}.${name}`, text))
  if (Object.keys(container.resources ?? {}).length) errors.push(forbidden(`${field}.resources`, text))
  for (const [index, mount] of (container.volumeMounts ?? []).entries())
    for (const name of ['subPath', 'subPathExpr'])
      if (mount[name]) errors.push(forbidden(`${field}.volumeMounts[${index}].${name}`, text))
  return errors
}

function validateResizePolicy(policies: any[] = [], field: string, podPolicy: string): FieldError[] {
  const seen = new Set<string>()
  return policies.flatMap(({ resourceName, restartPolicy }, index) => {
    const errors: FieldError[] = []
    if (seen.has(resourceName)) errors.push(duplicateValue(`${field}[${index}]`, resourceName))
    seen.add(resourceName)
    if (!resourceName) errors.push(requiredValue(field))
    else if (!['cpu', 'memory'].includes(resourceName))
      errors.push(notSupported(field, resourceName, ['cpu', 'memory']))
    if (!restartPolicy) errors.push(requiredValue(field))
    else if (!['NotRequired', 'RestartContainer'].includes(restartPolicy))
      errors.push(notSupported(field, restartPolicy, ['NotRequired', 'RestartContainer']))
    if (podPolicy === 'Never' && restartPolicy !== 'NotRequired')
      errors.push(invalidValue(field, restartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return errors
  })
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
    if (from.fileKeyRef) continue
    if (from.resourceFieldRef)
      errors.push(...validateResourceField(from.resourceFieldRef, `${at}.valueFrom.resourceFieldRef`, false))
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
    if (mount.subPath) errors.push(...validateLocalPath(mount.subPath, `${field}.volumeMounts.subPath`))
    if (mount.subPathExpr) errors.push(...validateLocalPath(mount.subPathExpr, `${field}.volumeMounts.subPathExpr`))
    if (mount.subPath && mount.subPathExpr)
      errors.push(
        invalidValue(`${at}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'),
      )
    if (mount.mountPropagation === 'Bidirectional' && !container.securityContext?.privileged)
      errors.push(
        forbidden(
          `${field}.volumeMounts.mountPropagation`,
          'Bidirectional mount propagation is available only to privileged containers',
        ),
      )
    errors.push(...validateRecursiveReadOnly(mount, `${field}.volumeMounts.recursiveReadOnly`))
  }
  return [...errors, ...validateDevices(container, `${field}.volumeDevices`, context)]
}

function validateDevices(container: any, field: string, { volumes, claims }: PodContext): FieldError[] {
  const errors: FieldError[] = []
  const mounts: any[] = container.volumeMounts ?? []
  const [names, paths] = [new Set<string>(), new Set<string>()]
  for (const [index, { name, devicePath }] of (container.volumeDevices ?? []).entries()) {
    const at = `${field}[${index}]`
    const bad = (part: 'name' | 'devicePath', why: string) =>
      errors.push(invalidValue(`${at}.${part}`, part === 'name' ? name : devicePath, why))
    if (!name) errors.push(requiredValue(`${at}.name`))
    if (names.has(name)) bad('name', 'must be unique')
    if (!volumes.has(name)) errors.push(notFound(`${at}.name`, name))
    else if (!claims.has(name))
      bad('name', 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode')
    if (!devicePath) errors.push(requiredValue(`${at}.devicePath`))
    if (paths.has(devicePath)) bad('devicePath', 'must be unique')
    if (devicePath?.split('/').includes('..')) bad('devicePath', "can not contain backsteps ('..')")
    if (mounts.some((mount) => mount.name === name)) bad('name', 'must not already exist in volumeMounts')
    if (mounts.some((mount) => mount.mountPath === devicePath))
      bad('devicePath', 'must not already exist as a path in volumeMounts')
    names.add(name)
    paths.add(devicePath)
  }
  return errors
}

const recursiveModes = ['Disabled', 'Enabled', 'IfPossible']

function validateRecursiveReadOnly(mount: any, field: string): FieldError[] {
  const mode = mount.recursiveReadOnly
  if (mode === undefined || mode === 'Disabled') return []
  if (!recursiveModes.includes(mode)) return [notSupported(field, mode, recursiveModes)]
  const errors: FieldError[] = []
  if (!mount.readOnly) errors.push(forbidden(field, 'may only be specified when readOnly is true'))
  if ((mount.mountPropagation ?? 'None') !== 'None')
    errors.push(forbidden(field, 'may only be specified when mountPropagation is None or not specified'))
  return errors
}
