// A column that shows the status of one condition.

import type { Column } from '../../api/kind.ts'
import { text } from '../columns.ts'

export const conditionStatus = (type: string): Column =>
  text(type, ({ status }) => {
    const conditions: { type: string; status: string }[] = status?.conditions ?? []
    return conditions.find((condition) => condition.type === type)?.status ?? ''
  })
