// Columns of `kubectl get` that the kinds of this group share (KubeVirt's CustomResourceDefinitions, 1.9).

import type { Column } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { humanDuration, parseTime } from '../../api/time.ts'
import { text } from '../columns.ts'

export const flag = (name: string, value: (object: ApiObject) => boolean | undefined): Column => ({
  name,
  type: 'boolean',
  value: (object) => value(object) ?? '',
})

/** How long ago, as the API server prints the dates of custom resources. */
export const moment = (name: string, value: (object: ApiObject) => string | undefined | null): Column => ({
  name,
  type: 'date',
  value(object, now) {
    const time = value(object)
    const at = time ? parseTime(time) : undefined
    return at === undefined ? '' : humanDuration(now - at)
  },
})

export const errorColumn = text('Error', ({ status }) => status?.error?.message ?? '')
