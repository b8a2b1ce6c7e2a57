// Says of each ClusterIsolationPolicy whether it can be kept: the classes that it chooses are there and give what the same
// rule demands.

import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { equalJson } from '../api/walk/plain.ts'
import { isBelow, levelOfClass } from '../kinds/isolation/levels.ts'
import { type Condition, withCondition } from './conditions.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { runtimeClasses } from './resources.ts'

const policies: ResourceRef = {
  group: 'policy.tandem.dev',
  version: 'v1alpha1',
  resource: 'clusterisolationpolicies',
}

export const isolationPolicy: ControllerDefinition = {
  name: 'isolation-policy-controller',
  start(context) {
    const { client, informers, clock } = context
    const informer = informers.informer(policies)
    const classes = informers.informer(runtimeClasses)
    /** A class that comes, goes or changes can be in any of them. */
    const everyPolicy = () => informer.list().map(({ metadata }) => metadata.name)
    return reconcileOn(
      context,
      'isolation-policy-controller',
      [
        { ref: policies, keys: itself },
        { ref: runtimeClasses, keys: everyPolicy },
      ],
      async (name) => {
        const policy = informer.get(name)
        if (!policy) return undefined
        const status = statusOf(policy, (className) => classes.get(className), formatTime(clock.now()))
        if (!equalJson(status, policy.status)) await client.updateStatus(policies, { ...policy, status })
        return undefined
      },
      1,
    )
  },
}

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
