// Says of each ClusterIsolationPolicy whether it can be kept: the classes that it chooses are there and give what the same
// rule demands.

import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { isBelow, levelOfClass } from '../kinds/isolation/levels.ts'
import { type Condition, withCondition } from './conditions.ts'
import { keepsStatus } from './kept-status.ts'
import { runtimeClasses } from './resources.ts'

const policies: ResourceRef = {
  group: 'policy.tandem.dev',
  version: 'v1alpha1',
  resource: 'clusterisolationpolicies',
}

export const isolationPolicy = keepsStatus({
  name: 'isolation-policy-controller',
  of: policies,
  dependsOn: [runtimeClasses],
  status: (policy, { informers, clock }) =>
    statusOf(policy, (name) => informers.informer(runtimeClasses).get(name), formatTime(clock.now())),
})

/** Pure. */
export function statusOf(
  { metadata, spec, status }: StoredObject,
  classOf: (name: string) => StoredObject | undefined,
  now: string,
): { observedGeneration: number; conditions: Condition[] } {
  const problem = (spec.rules as any[]).map((rule) => problemOf(rule, classOf)).find((one) => one !== undefined)
  const observedGeneration = metadata.generation ?? 0
  const condition: Condition = {
    type: 'Ready',
    status: problem ? 'False' : 'True',
    observedGeneration,
    reason: problem?.reason ?? 'RulesInForce',
    message: problem?.message ?? `${spec.rules.length} ${spec.rules.length === 1 ? 'rule is' : 'rules are'} in force`,
  }
  return { observedGeneration, conditions: withCondition(status?.conditions, condition, now) }
}

interface Rule {
  name: string
  minimum?: any
  runtimeClassName?: string
}

function problemOf(
  { name, minimum, runtimeClassName }: Rule,
  classOf: (name: string) => StoredObject | undefined,
): { reason: string; message: string } | undefined {
  if (!runtimeClassName) return undefined
  const found = classOf(runtimeClassName)
  const chooses = `rule "${name}" chooses RuntimeClass "${runtimeClassName}"`
  if (!found) return { reason: 'RuntimeClassNotFound', message: `${chooses}, which is not there: its Pods are refused` }
  const level = levelOfClass(found)
  if (!minimum || !isBelow(level, minimum)) return undefined
  return {
    reason: 'RuntimeClassTooWeak',
    message: `${chooses}, which gives "${level}", and demands "${minimum}": its Pods are refused`,
  }
}
