// Which labels a LabelSelector selects (meta/v1). Pure.

export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

type Labels = Record<string, string> | undefined
export type LabelMatcher = (labels: Labels) => boolean

/** An absent selector matches nothing, an empty one everything. */
export function matcherOf(selector: LabelSelector | undefined): LabelMatcher {
  if (!selector) return () => false
  const equal = Object.entries(selector.matchLabels ?? {})
  const expressions = selector.matchExpressions ?? []
  return (labels = {}) =>
    equal.every(([name, value]) => labels[name] === value) &&
    expressions.every(({ key, operator, values = [] }) => holds(labels[key], operator, values))
}

function holds(value: string | undefined, operator: string, values: string[]): boolean {
  if (operator === 'In') return value !== undefined && values.includes(value)
  if (operator === 'NotIn') return value === undefined || !values.includes(value)
  if (operator === 'Exists') return value !== undefined
  if (operator === 'DoesNotExist') return value === undefined
  return false
}
