// Rules for probes and lifecycle handlers (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { checkPort, checkPortOrName } from '../rules/names.ts'

const numbers = ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold']

export function validateProbe(probe: any, field: string, kind: 'liveness' | 'readiness' | 'startup'): FieldError[] {
  if (!probe) return []
  const errors = validateHandler(probe, field, ['exec', 'httpGet', 'tcpSocket', 'grpc'])
  for (const name of numbers) {
    if (probe[name] < 0)
      errors.push(invalidValue(`${field}.${name}`, probe[name], 'must be greater than or equal to 0'))
  }
  if (kind !== 'readiness' && (probe.successThreshold ?? 1) !== 1)
    errors.push(invalidValue(`${field}.successThreshold`, probe.successThreshold, 'must be 1'))
  const grace = probe.terminationGracePeriodSeconds
  if (grace === undefined) return errors
  if (kind === 'readiness')
    errors.push(invalidValue(`${field}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'))
  else if (grace <= 0)
    errors.push(invalidValue(`${field}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'))
  return errors
}

export function validateLifecycle(
  lifecycle: any,
  field: string,
  grace: number | undefined,
  os: string | undefined,
): FieldError[] {
  const errors: FieldError[] = []
  if (lifecycle?.stopSignal && !os)
    errors.push(forbidden(`${field}.stopSignal`, 'may not be set for containers with empty `spec.os.name`'))
  for (const hook of ['postStart', 'preStop']) {
    const seconds = lifecycle?.[hook]?.sleep?.seconds
    if (grace !== undefined && seconds > grace)
      errors.push(
        invalidValue(
          `${field}.${hook}.sleep`,
          seconds,
          `must be non-negative and less than terminationGracePeriodSeconds (${grace})`,
        ),
      )
  }
  for (const hook of ['postStart', 'preStop']) {
    if (lifecycle?.[hook])
      errors.push(...validateHandler(lifecycle[hook], `${field}.${hook}`, ['exec', 'httpGet', 'tcpSocket', 'sleep']))
  }
  return errors
}

function validateHandler(handler: any, field: string, kinds: string[]): FieldError[] {
  const given = kinds.filter((kind) => handler[kind] !== undefined)
  if (given.length === 0) return [requiredValue(field, 'must specify a handler type')]
  const errors = given.slice(1).map((kind) => forbidden(`${field}.${kind}`, 'may not specify more than 1 handler type'))
  const kind = given[0]!
  const action = handler[kind]
  const at = `${field}.${kind}`
  if (kind === 'exec' && !action.command?.length) errors.push(requiredValue(`${at}.command`))
  if (kind === 'httpGet') {
    if (!action.path) errors.push(requiredValue(`${at}.path`))
    errors.push(...checkPortOrName(`${at}.port`, action.port))
    if (!['HTTP', 'HTTPS'].includes(action.scheme))
      errors.push(notSupported(`${at}.scheme`, action.scheme, ['HTTP', 'HTTPS']))
  }
  if (kind === 'tcpSocket') errors.push(...checkPortOrName(`${at}.port`, action.port))
  if (kind === 'grpc') errors.push(...checkPort(`${at}.port`, action.port))
  if (kind === 'sleep' && action.seconds < 0)
    errors.push(invalidValue(at, action.seconds, 'must be non-negative and less than terminationGracePeriodSeconds'))
  return errors
}
