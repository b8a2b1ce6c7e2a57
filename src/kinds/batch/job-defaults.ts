// Defaults of a Job's spec that depend on other fields, for Jobs and the templates of CronJobs
// (pkg/apis/batch/v1/defaults.go, 1.36).

import { defaultPodSpec } from '../core/pod-defaults.ts'

const noLimit = 2147483647

/** In a template the counts stay open: each Job made of it gets its own defaults. */
export function defaultJobSpec(spec: any): void {
  defaultPodSpec(spec.template?.spec)
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
  spec.parallelism ??= 1
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : noLimit
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed'
  spec.completionMode ??= 'NonIndexed'
  spec.suspend ??= false
  spec.manualSelector ??= false
  defaultFailurePolicy(spec)
}

export function defaultFailurePolicy(spec: any): void {
  for (const rule of spec.podFailurePolicy?.rules ?? [])
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True'
}
