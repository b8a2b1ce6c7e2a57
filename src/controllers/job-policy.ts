// podFailurePolicy and successPolicy: what a Pod's failure means for its Job, and when enough has succeeded. Pure;
// pod_failure_policy.go and success_policy.go of pkg/controller/job (1.36), texts included.

import type { StoredObject } from '../api/meta.ts'
import { parseIndexes } from './job-indexes.ts'

export interface FailureVerdict {
  /** Whether the failure counts towards the limits. */
  counts: boolean
  action?: 'Count' | 'FailIndex' | 'FailJob' | 'Ignore'
  /** Why the whole Job fails. */
  message?: string
}

/** The first terminated container that the rule means. */
function matchingContainer(pod: StoredObject, { operator, values = [], containerName }: any): any {
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])]
  return statuses.find(({ name, state }) => {
    const code = state?.terminated?.exitCode
    if (!code || (containerName !== undefined && containerName !== name)) return false
    return operator === 'In' ? values.includes(code) : operator === 'NotIn' && !values.includes(code)
  })
}

const matchingCondition = (pod: StoredObject, patterns: any[]): any =>
  (pod.status?.conditions ?? []).find((condition: any) =>
    patterns.some(({ type, status }) => condition.type === type && condition.status === status),
  )

/** What the rule says of the Pod; undefined when it does not match. */
function reasonOf(pod: StoredObject, { action, onExitCodes, onPodConditions }: any, index: number): string | undefined {
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`
  const rule = `matching ${action} rule at index ${index}`
  if (onExitCodes) {
    const container = matchingContainer(pod, onExitCodes)
    if (!container) return undefined
    return `Container ${container.name} for pod ${name} failed with exit code ${container.state.terminated.exitCode} ${rule}`
  }
  const condition = matchingCondition(pod, onPodConditions ?? [])
  return condition && `Pod ${name} has condition ${condition.type} ${rule}`
}

export function failureVerdict(job: StoredObject, pod: StoredObject): FailureVerdict {
  const rules: any[] = job.spec.podFailurePolicy?.rules ?? []
  for (const [index, rule] of rules.entries()) {
    const reason = reasonOf(pod, rule, index)
    if (reason === undefined) continue
    const { action } = rule
    return { action, counts: action !== 'Ignore', ...(action === 'FailJob' && { message: reason }) }
  }
  return { counts: true }
}

/** The text for the condition when a rule of the success policy is met. */
export function successMessage(job: StoredObject, succeeded: Set<number>): string | undefined {
  const rules: any[] = job.spec.successPolicy?.rules ?? []
  if (!succeeded.size) return undefined
  const index = rules.findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return succeededCount !== undefined && succeeded.size >= succeededCount
    const wanted = [...parseIndexes(succeededIndexes)].filter((each) => each < job.spec.completions)
    if (!wanted.length) return false
    const done = wanted.filter((each) => succeeded.has(each)).length
    return done === wanted.length || (succeededCount !== undefined && done >= succeededCount)
  })
  return index < 0 ? undefined : `Matched rules at index ${index}`
}
