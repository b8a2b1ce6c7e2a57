// VirtualMachineInstanceMigration: asks the node to move an instance, by the status of the instance, and tells what became
// of it.

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { isMigrationOver, migrationFinalizer } from '../kinds/kubevirt/virtualmachineinstancemigration.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { planMigration } from './migration-plan.ts'
import { migrationConfiguration, policyFor } from './migration-policy.ts'
import { moment } from './moment.ts'
import {
  migrationPolicies,
  namespaces,
  nodes,
  virtualMachineInstanceMigrations,
  virtualMachineInstances,
} from './resources.ts'

/** Migrations that are over and stay, for each instance (KubeVirt 1.9). */
const kept = 5

const instanceKey = ({ metadata, spec }: StoredObject): string => `${metadata.namespace}/${spec.vmiName}`

export const virtualMachineInstanceMigration: ControllerDefinition = {
  name: 'virtualmachineinstancemigration',
  start(context) {
    const migrations = context.informers.informer(virtualMachineInstanceMigrations)
    migrations.addIndex('instance', (migration) => [instanceKey(migration)])
    return reconcileOn(
      context,
      'virtualmachineinstancemigration',
      [
        {
          ref: virtualMachineInstanceMigrations,
          // Where one is over, another may begin.
          keys: (migration) => [
            objectKey(migration),
            ...(isMigrationOver(migration) ? migrations.list().filter(isPending).map(objectKey) : []),
          ],
        },
        {
          ref: virtualMachineInstances,
          keys: (instance) => migrations.byIndex('instance', objectKey(instance)).flatMap(itself),
        },
      ],
      createSync(context),
      1,
    )
  },
}

const isPending = (migration: StoredObject): boolean => migration.status?.phase === 'Pending'

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('virtualmachineinstancemigration-controller')
  const migrations = informers.informer(virtualMachineInstanceMigrations)
  const instances = informers.informer(virtualMachineInstances)
  const read = {
    nodes: informers.informer(nodes),
    namespaces: informers.informer(namespaces),
    policies: informers.informer(migrationPolicies),
  }

  /** Others write this status, too: false when it is another one by now. */
  async function ask({ metadata }: StoredObject, value: Record<string, unknown>): Promise<boolean> {
    const { name, namespace, resourceVersion } = metadata
    const patch = [
      { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
      { op: 'add', path: '/status/migrationState', value },
    ]
    try {
      await client.patch(virtualMachineInstances, name, namespace, 'json', patch, { subresource: 'status' })
      return true
    } catch (error) {
      if (isApiError(error, 'NotFound') || isApiError(error, 'Invalid')) return false
      throw error
    }
  }

  async function letGo(migration: StoredObject): Promise<void> {
    const { name, namespace, resourceVersion, finalizers = [] } = migration.metadata
    if (!finalizers.includes(migrationFinalizer)) return
    const others = finalizers.filter((one) => one !== migrationFinalizer)
    const metadata = { resourceVersion, finalizers: others.length ? others : null }
    await gone(client.patch(virtualMachineInstanceMigrations, name, namespace, 'merge', { metadata }))
  }

  const remove = ({ metadata: { name, namespace, uid } }: StoredObject) =>
    gone(client.delete(virtualMachineInstanceMigrations, name, namespace, { preconditions: { uid } }))

  /** The oldest that are over, beyond those that are kept. */
  async function collect(migration: StoredObject): Promise<void> {
    const over = migrations.byIndex('instance', instanceKey(migration)).filter(isMigrationOver)
    const created = (one: StoredObject) => moment(one.metadata.creationTimestamp)
    const oldest = over.sort((a, b) => created(a) - created(b)).slice(0, Math.max(0, over.length - kept))
    for (const one of oldest) if (!one.metadata.deletionTimestamp) await remove(one)
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const migration = migrations.get(key)
    if (!migration) return undefined
    const instance = instances.get(instanceKey(migration))
    const policy =
      instance && policyFor(read.policies.list(), instance, read.namespaces.get(migration.metadata.namespace!))
    const {
      status,
      ask: wanted,
      events,
      requeueAfter,
    } = planMigration({
      migration,
      instance,
      others: migrations.list().filter((one) => one !== migration && !isMigrationOver(one)),
      nodeLabels: read.nodes.get(instance?.status?.nodeName ?? '')?.metadata.labels,
      configuration: migrationConfiguration(policy),
      policyName: policy?.metadata.name,
      now: clock.now(),
    })
    if (wanted && !(await ask(instance!, wanted))) return { requeueAfter: 20 }
    for (const { type, reason, message } of events) record(migration, type, reason, message)
    if (status && !semanticallyEqual(status, migration.status))
      await gone(client.updateStatus(virtualMachineInstanceMigrations, { ...migration, status }))
    else if (isMigrationOver(migration)) {
      await letGo(migration)
      if (!instance && !migration.metadata.deletionTimestamp) await remove(migration)
      else await collect(migration)
    }
    return requeueAfter === undefined ? undefined : { requeueAfter }
  }
}

async function gone(work: Promise<unknown>): Promise<void> {
  await work.catch((error) => {
    if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
  })
}
