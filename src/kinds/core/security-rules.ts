// Rules for the security contexts of Pods and containers (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { validateLocalPath } from './local-path.ts'

const maxId = 2_147_483_647
const idText = `must be between 0 and ${maxId}, inclusive`

const validateId = (value: unknown, field: string): FieldError[] =>
  typeof value === 'number' && (value < 0 || value > maxId) ? [invalidValue(field, value, idText)] : []

export function validatePodSecurity(spec: any, field: string): FieldError[] {
  const context = spec.securityContext
  if (!context) return []
  return [
    ...['fsGroup', 'runAsUser', 'runAsGroup'].flatMap((name) => validateId(context[name], `${field}.${name}`)),
    ...(context.supplementalGroups ?? []).flatMap((group: number, index: number) =>
      validateId(group, `${field}.supplementalGroups[${index}]`),
    ),
    ...validateSysctls(context.sysctls, spec, `${field}.sysctls`),
    ...validateSystem(context, field, spec.os?.name),
    ...validateProfiles(context, field),
  ]
}

/** `os`: of the Pod, where it names one. */
export function validateContainerSecurity(context: any, field: string, os?: string): FieldError[] {
  if (!context) return []
  const errors = ['runAsUser', 'runAsGroup'].flatMap((name) => validateId(context[name], `${field}.${name}`))
  if (context.allowPrivilegeEscalation === false && context.privileged)
    errors.push(invalidValue(field, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'))
  if (context.allowPrivilegeEscalation === false && context.capabilities?.add?.includes('CAP_SYS_ADMIN'))
    errors.push(
      invalidValue(
        field,
        context,
        'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
      ),
    )
  if (context.procMount === 'Unmasked')
    errors.push(invalidValue(`${field}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`'))
  return [...errors, ...validateSystem(context, field, os), ...validateProfiles(context, field)]
}

const validateSystem = (context: any, field: string, os: string | undefined): FieldError[] =>
  os === 'linux' && context.windowsOptions
    ? [forbidden(`${field}.windowsOptions`, 'windows options cannot be set for a linux pod')]
    : []

function validateProfiles(context: any, field: string): FieldError[] {
  const { seccompProfile, appArmorProfile } = context
  const errors: FieldError[] = []
  if (seccompProfile) errors.push(...validateSeccomp(seccompProfile, `${field}.seccompProfile`))
  if (appArmorProfile) errors.push(...validateAppArmor(appArmorProfile, `${field}.appArmorProfile`))
  return errors
}

function validateSeccomp({ type, localhostProfile }: any, field: string): FieldError[] {
  const types = ['Localhost', 'RuntimeDefault', 'Unconfined']
  if (!types.includes(type)) return [notSupported(`${field}.type`, type ?? '', types)]
  const at = `${field}.localhostProfile`
  if (type !== 'Localhost')
    return localhostProfile === undefined
      ? []
      : [invalidValue(at, localhostProfile, 'can only be set when seccomp type is Localhost')]
  return localhostProfile === undefined
    ? [requiredValue(at, 'must be set when seccomp type is Localhost')]
    : validateLocalPath(localhostProfile, at)
}

/** The kernel of a machine that has no AppArmor can confine nothing by it: the node refuses such Pods then. */
function validateAppArmor({ type, localhostProfile }: any, field: string): FieldError[] {
  const types = ['Localhost', 'RuntimeDefault', 'Unconfined']
  if (!types.includes(type)) return [notSupported(`${field}.type`, type ?? '', types)]
  const at = `${field}.localhostProfile`
  if (type === 'Localhost' && !`${localhostProfile ?? ''}`.trim())
    return [requiredValue(at, 'must be set when AppArmor type is Localhost')]
  if (type !== 'Localhost' && localhostProfile !== undefined)
    return [invalidValue(at, localhostProfile, 'can only be set when AppArmor type is Localhost')]
  return []
}

const sysctlPattern = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/
const sysctlText =
  'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$'

function validateSysctls(sysctls: any[] = [], spec: any, field: string): FieldError[] {
  const seen = new Set<string>()
  return sysctls.flatMap(({ name }, index) => {
    const at = `${field}[${index}].name`
    const errors: FieldError[] = []
    if (!name) errors.push(requiredValue(at))
    else if (name.length > 253 || !sysctlPattern.test(name)) errors.push(invalidValue(at, name, sysctlText))
    else if (seen.has(name)) errors.push(duplicateValue(at, name))
    seen.add(name)
    const dotted = `${name ?? ''}`.replaceAll('/', '.')
    if (spec.hostNetwork && dotted.startsWith('net.'))
      errors.push(invalidValue(at, name, "may not be specified when 'hostNetwork' is true"))
    if (spec.hostIPC && /^(kernel\.(shm|msg)|kernel\.sem$|fs\.mqueue\.)/.test(dotted))
      errors.push(invalidValue(at, name, "may not be specified when 'hostIPC' is true"))
    return errors
  })
}
