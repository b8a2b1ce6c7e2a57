// PriorityLevelConfiguration: how many requests of a priority may be in work at once, and how many may wait.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { none, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { validateConditionTypes } from './conditions.ts'
import { mandatoryLevels } from './defaults.ts'

const mostQueues = 10_000_000
/** Bits of a flow's hash that choose its queues. */
const hashBits = 60

function defaults({ spec }: ApiObject): void {
  if (!spec) return
  for (const part of [spec.exempt, spec.limited]) if (part) part.lendablePercent ??= 0
  if (spec.exempt) spec.exempt.nominalConcurrencyShares ??= 0
  if (!spec.limited) return
  spec.limited.nominalConcurrencyShares ??= 30
  const queuing = spec.limited.limitResponse?.queuing
  if (!queuing) return
  queuing.handSize ||= 8
  queuing.queues ||= 64
  queuing.queueLengthLimit ||= 50
}

/** Bits needed to draw `hand` of `deck` queues without putting any back. */
export function entropyBits(deck: number, hand: number): number {
  let bits = 0
  for (let drawn = 0; drawn < hand; drawn++) bits += Math.log2(deck - drawn)
  return Math.ceil(bits)
}

function validateQueuing({ queues, handSize, queueLengthLimit }: any, path: string): FieldError[] {
  const errors: FieldError[] = []
  const say = (field: string, value: number, text: string) => errors.push(invalidValue(`${path}.${field}`, value, text))
  if (queueLengthLimit <= 0) say('queueLengthLimit', queueLengthLimit, 'must be positive')
  if (queues <= 0) say('queues', queues, 'must be positive')
  else if (queues > mostQueues) say('queues', queues, `must not be greater than ${mostQueues}`)
  if (handSize <= 0) say('handSize', handSize, 'must be positive')
  else if (handSize > queues) say('handSize', handSize, `should not be greater than queues (${queues})`)
  else if (entropyBits(queues, handSize) > hashBits)
    say(
      'handSize',
      handSize,
      `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${hashBits}`,
    )
  return errors
}

function validateResponse(response: any, path: string): FieldError[] {
  const { type = '', queuing } = response ?? {}
  if (type === 'Reject')
    return queuing ? [forbidden(`${path}.queuing`, 'must be nil if limited.limitResponse.type is not Limited')] : []
  if (type !== 'Queue') return [notSupported(`${path}.type`, type, ['Queue', 'Reject'])]
  if (!queuing) return [requiredValue(`${path}.queuing`, 'must not be empty if limited.limitResponse.type is Limited')]
  return validateQueuing(queuing, `${path}.queuing`)
}

function validateShares(part: any, path: string): FieldError[] {
  const { nominalConcurrencyShares: shares, lendablePercent: lendable, borrowingLimitPercent: borrowing } = part
  const errors: FieldError[] = []
  if (shares < 0)
    errors.push(invalidValue(`${path}.nominalConcurrencyShares`, shares, 'must be a non-negative integer'))
  if (lendable < 0 || lendable > 100)
    errors.push(invalidValue(`${path}.lendablePercent`, lendable, 'must be between 0 and 100, inclusive'))
  if (borrowing < 0)
    errors.push(
      invalidValue(`${path}.borrowingLimitPercent`, borrowing, 'if specified, must be a non-negative integer'),
    )
  return errors
}

function validateSpec(spec: any): FieldError[] {
  if (spec.type === 'Exempt')
    return [
      ...(spec.limited ? [forbidden('spec.limited', 'must be nil if the type is not Limited')] : []),
      ...(spec.exempt ? validateShares(spec.exempt, 'spec.exempt') : []),
    ]
  if (spec.type !== 'Limited') return [notSupported('spec.type', spec.type ?? '', ['Exempt', 'Limited'])]
  const errors = spec.exempt ? [forbidden('spec.exempt', 'must be nil if the type is Limited')] : []
  if (!spec.limited) return [...errors, requiredValue('spec.limited', 'must not be empty when type is Limited')]
  return [
    ...errors,
    ...validateShares(spec.limited, 'spec.limited'),
    ...validateResponse(spec.limited.limitResponse, 'spec.limited.limitResponse'),
  ]
}

function validate({ metadata, spec = {}, status }: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  if ((metadata.name === 'exempt') !== (spec.type === 'Exempt'))
    errors.push(invalidValue('spec.type', spec.type, "must be 'Exempt' if and only if `name` is 'exempt'"))
  errors.push(...validateSpec(spec))
  const fixed = mandatoryLevels.find((object) => object.metadata.name === metadata.name)?.spec
  if (fixed && metadata.name === 'exempt' && !equalJson({ ...spec, exempt: fixed.exempt }, fixed))
    errors.push(
      invalidValue('spec', spec, "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"),
    )
  else if (fixed && metadata.name !== 'exempt' && !equalJson(spec, fixed))
    errors.push(invalidValue('spec', spec, `spec of '${metadata.name}' must equal the fixed value`))
  return [...errors, ...validateConditionTypes(status)]
}

const queuing = (field: string) => (object: ApiObject) =>
  String(object.spec?.limited?.limitResponse?.queuing?.[field] ?? none)

export const priorityLevelConfiguration = defineKind({
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind: 'PriorityLevelConfiguration',
  plural: 'prioritylevelconfigurations',
  singular: 'prioritylevelconfiguration',
  scope: 'Cluster',
  schema: schemaOf('flowcontrol.v1.PriorityLevelConfiguration'),
  types,
  subresources: { status: true },
  columns: [
    text('Type', ({ spec }) => spec?.type ?? ''),
    text('NominalConcurrencyShares', ({ spec }) => String(spec?.limited?.nominalConcurrencyShares ?? none)),
    text('Queues', queuing('queues')),
    text('HandSize', queuing('handSize')),
    text('QueueLengthLimit', queuing('queueLengthLimit')),
    ageColumn,
  ],
  defaults,
  validate,
  example: {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'PriorityLevelConfiguration',
    metadata: { name: 'reports' },
    spec: {
      type: 'Limited',
      limited: { nominalConcurrencyShares: 5, limitResponse: { type: 'Queue', queuing: { queues: 16, handSize: 4 } } },
    },
  },
})
