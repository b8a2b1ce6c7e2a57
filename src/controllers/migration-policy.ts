// Which MigrationPolicy holds for an instance, and what it makes of the defaults (pkg/virt-controller/watch/migration,
// KubeVirt 1.9). Pure.

import type { StoredObject } from '../api/meta.ts'

type Labels = Record<string, string> | undefined

/** KubeVirt's, except for the pause: between two processes of one machine it is short. */
export const migrationDefaults = {
  allowAutoConverge: false,
  allowPostCopy: false,
  allowWorkloadDisruption: false,
  bandwidthPerMigration: '0',
  completionTimeoutPerGiB: 150,
  maxDowntimeMs: 50,
  parallelMigrationsPerCluster: 5,
  parallelOutboundMigrationsPerNode: 2,
  progressTimeout: 150,
  unsafeMigrationOverride: false,
}

const settings = [
  'allowAutoConverge',
  'bandwidthPerMigration',
  'completionTimeoutPerGiB',
  'maxDowntimeMs',
  'allowPostCopy',
  'allowWorkloadDisruption',
] as const

/** How many labels it names; undefined when one of them is another. */
function score(wanted: Labels, labels: Labels = {}): number | undefined {
  const entries = Object.entries(wanted ?? {})
  return entries.every(([key, value]) => labels[key] === value) ? entries.length : undefined
}

/** The one that names most of the instance's and its namespace's labels; the instance's count first, then the name. */
export function policyFor(
  policies: readonly StoredObject[],
  instance: StoredObject,
  namespace: StoredObject | undefined,
): StoredObject | undefined {
  const matching = policies.flatMap((policy) => {
    const { selectors } = policy.spec ?? {}
    const own = score(selectors?.virtualMachineInstanceSelector, instance.metadata.labels)
    const around = score(selectors?.namespaceSelector, namespace?.metadata.labels)
    return !selectors || own === undefined || around === undefined ? [] : [{ policy, own, around }]
  })
  matching.sort(
    (a, b) =>
      b.own + b.around - (a.own + a.around) ||
      b.own - a.own ||
      (a.policy.metadata.name < b.policy.metadata.name ? -1 : 1),
  )
  return matching[0]?.policy
}

export function migrationConfiguration(policy: StoredObject | undefined): Record<string, unknown> {
  const changed = settings.flatMap((name) => {
    const value = policy?.spec?.[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...migrationDefaults, ...Object.fromEntries(changed) }
}
