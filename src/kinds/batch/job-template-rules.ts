// How the Pod template of a Job may still change: where a suspended Job's Pods will go, and what they will get
// (validatePodTemplateUpdate of pkg/apis/batch/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { immutable } from '../rules/field.ts'

/** Suspended, without running Pods, and never started or known to be suspended. */
function mayChange({ spec, status }: ApiObject): boolean {
  const isSuspended = (status?.conditions ?? []).some(
    (condition: any) => condition.type === 'Suspended' && condition.status === 'True',
  )
  return Boolean(spec?.suspend) && (!status?.startTime || isSuspended) && !status?.active
}

export function validateTemplateChange(template: any, old: ApiObject): FieldError[] {
  const before = old.spec?.template
  if (!mayChange(old)) return immutable('spec.template', template, before)
  const { metadata, spec } = template ?? {}
  const { labels, annotations } = metadata ?? {}
  const { nodeSelector, tolerations, schedulingGates } = spec ?? {}
  const allowed = {
    ...before,
    metadata: without({ ...before?.metadata, labels, annotations }),
    spec: without({
      ...before?.spec,
      nodeSelector,
      tolerations,
      schedulingGates,
      affinity: withNodeAffinity(before?.spec?.affinity, spec?.affinity),
      containers: withResources(before?.spec?.containers, spec?.containers),
      initContainers: withResources(before?.spec?.initContainers, spec?.initContainers),
    }),
  }
  const sent = { ...template, metadata: without({ ...metadata }), spec: without({ ...spec }) }
  return immutable('spec.template', sent, allowed)
}

/** Without fields that are not set, so that an absent one equals none. */
function without(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function withNodeAffinity(before: any, after: any): unknown {
  const { nodeAffinity: _, ...rest } = before ?? {}
  const kept = without({ ...rest, nodeAffinity: after?.nodeAffinity })
  return Object.keys(kept).length || after ? kept : undefined
}

const withResources = (before: any[] | undefined, after: any[] | undefined): unknown =>
  before?.map((container, index) => {
    const same = after?.length === before.length && after[index]?.name === container.name
    return same ? without({ ...container, resources: after[index].resources }) : container
  })
