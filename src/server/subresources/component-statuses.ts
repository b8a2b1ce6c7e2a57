// ComponentStatus: all parts of the control plane live in this process, so an answer that comes says most of it.

import { notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { StoredObject } from '../../api/meta.ts'
import { formOf } from '../accept.ts'
import { type Call, methodNotAllowed } from '../call.ts'
import { listAs } from '../forms.ts'
import type { Stored } from '../objects.ts'
import { createMatcher } from '../selection.ts'
import { answer } from '../verbs/get.ts'

const components = ['controller-manager', 'etcd-0', 'scheduler']

/** What upstream says with every answer (1.36). */
const deprecated = 'v1 ComponentStatus is deprecated in v1.19+'

function statusOf(name: string): Stored {
  const object = {
    apiVersion: 'v1',
    kind: 'ComponentStatus',
    metadata: { name, creationTimestamp: null },
    conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }],
  } as unknown as StoredObject
  return { key: name, revision: 0, object, json: JSON.stringify(object) }
}

export function componentStatuses(call: Call): ApiResponse {
  const { info, request } = call
  call.warnings.push(deprecated)
  if (info.verb === 'get') {
    if (!components.includes(info.name)) throw notFound('componentstatuses', info.name)
    return answer(call, 200, statusOf(info.name))
  }
  if (info.verb !== 'list') throw methodNotAllowed()
  const matcher = createMatcher(call.resource, request.query)
  const items = components.map(statusOf).filter((stored) => matcher.matches(stored.object))
  return { status: 200, ...listAs(formOf(request.headers.accept), call, { items, revision: 0 }) }
}
