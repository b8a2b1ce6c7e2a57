// Priority and fairness: every request belongs to a flow schema and takes a seat of its priority level, waits for one, or is
// told to come again.

import { ApiError } from '../../api/errors.ts'
import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { mandatoryLevels, mandatorySchemas } from '../../kinds/flowcontrol/defaults.ts'
import type { Attributes } from '../auth/authz.ts'
import type { Objects } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { type FlowSchema, inOrder } from './classify.ts'
import { createLevels, type Level } from './levels.ts'

const group = 'flowcontrol.apiserver.k8s.io'
/** A quarter of what a request may take at all, as upstream. */
const patience = 15_000

export interface Seat {
  /** What the answer says of it. */
  headers: Record<string, string>
  /** To be called once, when the request is done. */
  leave(): void
}

export interface FlowControl {
  /** A seat now, or a promise of one. @throws ApiError TooManyRequests */
  enter(user: UserInfo, request: Attributes): Seat | Promise<Seat>
  levels(): Level[]
}

interface Choice {
  schema: FlowSchema
  level: Level
  headers: Record<string, string>
  /** For levels that count nobody. */
  seat: Seat
}

export function createFlowControl(objects: Objects, registry: Registry): FlowControl {
  const levels = createLevels()
  let choices: Choice[] | undefined
  objects.store.watch(`/registry/${group}/`, objects.store.revision(), () => {
    choices = undefined
  })

  function stored(plural: string, mandatory: readonly ApiObject[]): ApiObject[] {
    const resource = registry.preferred(group, plural)
    const found: ApiObject[] = resource ? objects.list(resource, '').map((one) => one.object) : []
    // The mandatory ones hold even before they are written and after somebody removed them.
    const missing = mandatory.filter((one) => found.every(({ metadata }) => metadata.name !== one.metadata.name))
    return [...found, ...missing]
  }

  function compile(): Choice[] {
    levels.configure(stored('prioritylevelconfigurations', mandatoryLevels))
    return inOrder(stored('flowschemas', mandatorySchemas)).flatMap((schema) => {
      const level = levels.get(schema.level)
      if (!level) return []
      const headers = {
        'x-kubernetes-pf-flowschema-uid': schema.uid,
        'x-kubernetes-pf-prioritylevel-uid': level.uid,
      }
      return [{ schema, level, headers, seat: { headers, leave: () => levels.leave(level) } }]
    })
  }

  function choose(user: UserInfo, request: Attributes): Choice {
    choices ??= compile()
    for (const choice of choices) if (choice.schema.matches(user, request)) return choice
    // Somebody of neither group of everybody: what catches all catches them too.
    return choices.find(({ schema }) => schema.name === 'catch-all')!
  }

  return {
    enter(user, request) {
      const { schema, level, headers, seat } = choose(user, request)
      const entered = level.isExempt
        ? levels.enter(level, '', 0)
        : levels.enter(level, `${schema.name}\n${schema.flowOf(user, request)}`, patience)
      if (entered === true) return seat
      const settle = (result: true | string): Seat => {
        if (result === true) return seat
        throw Object.assign(tooMany(), { headers })
      }
      return typeof entered === 'string' ? settle(entered) : entered.then(settle)
    },
    levels() {
      choices ??= compile()
      return levels.all()
    },
  }
}

const tooMany = (): ApiError =>
  new ApiError('TooManyRequests', 'Too many requests, please try again later.', { retryAfterSeconds: 1 })
