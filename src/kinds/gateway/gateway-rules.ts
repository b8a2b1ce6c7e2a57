// The rules of Gateway that its schema does not say (gateway-api apis/v1/gateway_types.go, 1.5).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { invalidValue } from '../../api/walk/rules.ts'

const listOf = (value: unknown): any[] => (Array.isArray(value) ? value : [])

/** The class that Tandem makes itself. */
export const ownClassName = 'tandem'

const namePattern = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const nameWords = `only valid characters (matching ${namePattern.source})`

const withoutTls = ['HTTP', 'TCP', 'UDP']
const withoutNames = ['TCP', 'UDP']

const hasTwice = (keys: unknown[]): boolean => new Set(keys).size < keys.length

function validateListeners(listeners: any[]): FieldError[] {
  const field = 'spec.listeners'
  const errors: FieldError[] = []
  const demand = (fine: boolean, message: string) => {
    if (!fine) errors.push(invalidValue(field, 'array', message))
  }
  const all = (rule: (listener: any) => boolean) => listeners.every((listener) => rule(listener ?? {}))
  demand(
    all(({ protocol, tls }) => !withoutTls.includes(protocol) || tls === undefined),
    "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
  )
  demand(
    all(({ protocol, tls }) => protocol !== 'HTTPS' || !tls?.mode || tls.mode === 'Terminate'),
    'tls mode must be Terminate for protocol HTTPS',
  )
  demand(
    all(({ protocol, tls }) => protocol !== 'TLS' || Boolean(tls?.mode)),
    'tls mode must be set for protocol TLS',
  )
  demand(
    all(({ protocol, hostname }) => !withoutNames.includes(protocol) || !hostname),
    "hostname must not be specified for protocols ['TCP', 'UDP']",
  )
  demand(!hasTwice(listeners.map((one) => one?.name)), 'Listener name must be unique within the Gateway')
  demand(
    !hasTwice(listeners.map((one) => JSON.stringify([one?.port, one?.protocol, one?.hostname]))),
    'Combination of port, protocol and hostname must be unique for each listener',
  )
  for (const [index, listener] of listeners.entries()) {
    const { mode, certificateRefs, options } = listener?.tls ?? {}
    const hasNone = listOf(certificateRefs).length === 0 && Object.keys(options ?? {}).length === 0
    if (mode === 'Terminate' && hasNone)
      errors.push(
        invalidValue(
          `${field}[${index}].tls`,
          'object',
          'certificateRefs or options must be specified when mode is Terminate',
        ),
      )
  }
  return errors
}

function validateAddresses(addresses: any[]): FieldError[] {
  const field = 'spec.addresses'
  const errors: FieldError[] = []
  for (const type of ['IPAddress', 'Hostname']) {
    const values = addresses.filter((one) => one?.type === type && one.value !== undefined).map(({ value }) => value)
    if (hasTwice(values)) errors.push(invalidValue(field, 'array', `${type} values must be unique`))
  }
  for (const [index, address] of addresses.entries())
    if (address?.type === 'Hostname' && address.value && !namePattern.test(address.value))
      errors.push(invalidValue(`${field}[${index}]`, 'object', `Hostname value must be empty or contain ${nameWords}`))
  return errors
}

const keyPattern =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$/

function validateKeys(map: unknown, field: string, word: string): FieldError[] {
  const keys = Object.keys(map ?? {})
  const errors: FieldError[] = []
  if (keys.some((key) => !keyPattern.test(key)))
    errors.push(
      invalidValue(
        field,
        'object',
        `${word} keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up to 63 characters.`,
      ),
    )
  if (keys.some((key) => key.split('/')[0]!.length >= 253))
    errors.push(
      invalidValue(
        field,
        'object',
        `If specified, the ${word.toLowerCase()} key's prefix must be a DNS subdomain not longer than 253 characters in total.`,
      ),
    )
  return errors
}

export function validateGateway({ spec = {} }: ApiObject): FieldError[] {
  const errors = [...validateListeners(listOf(spec.listeners)), ...validateAddresses(listOf(spec.addresses))]
  errors.push(...validateKeys(spec.infrastructure?.annotations, 'spec.infrastructure.annotations', 'Annotation'))
  errors.push(...validateKeys(spec.infrastructure?.labels, 'spec.infrastructure.labels', 'Label'))
  if (hasTwice(listOf(spec.tls?.frontend?.perPort).map((one) => one?.port)))
    errors.push(
      invalidValue(
        'spec.tls.frontend.perPort',
        'array',
        'Port for TLS configuration must be unique within the Gateway',
      ),
    )
  return errors
}

/** A Gateway of somebody else's class is theirs to judge; what would be unsafe to leave out is refused in the status. */
export function whatHasNoEffect({ spec }: ApiObject, old?: ApiObject): string[] {
  if (spec?.gatewayClassName !== ownClassName) return []
  const warnings: string[] = []
  const warn = (field: string, value: unknown, before: unknown, why: string) => {
    if (value !== undefined && !equalJson(value, before)) warnings.push(`${field} has no effect: ${why}`)
  }
  warn(
    'spec.infrastructure',
    spec.infrastructure,
    old?.spec?.infrastructure,
    'Tandem serves Gateways itself and makes no objects for them',
  )
  warn(
    'spec.allowedListeners',
    spec.allowedListeners,
    old?.spec?.allowedListeners,
    'Tandem serves no ListenerSets; write the listeners into the Gateway',
  )
  warn('spec.tls.backend', spec.tls?.backend, old?.spec?.tls?.backend, 'backends are asked without a certificate')
  for (const [index, listener] of listOf(spec.listeners).entries())
    warn(
      `spec.listeners[${index}].tls.options`,
      listener?.tls?.options,
      listOf(old?.spec?.listeners)[index]?.tls?.options,
      'there are no options of TLS here',
    )
  return warnings
}
