// A migration needs an instance that can move, and one at a time (pkg/virt-api/webhooks, migration-create-admitter.go,
// KubeVirt 1.9).

import { isMigrationOver, migrationLabel } from '../../kinds/kubevirt/virtualmachineinstancemigration.ts'
import { badRequest } from '../call.ts'
import type { AdmissionPlugin } from './admission.ts'
import type { Lookup } from './lookup.ts'

const group = 'kubevirt.io'

export const migrations = (lookup: Lookup): AdmissionPlugin => ({
  name: 'VirtualMachineInstanceMigrations',
  resources: ['virtualmachineinstancemigrations.kubevirt.io'],
  validate({ operation, subresource, object, namespace }) {
    if (operation !== 'CREATE' || subresource || !object?.spec?.vmiName) return
    const name: string = object.spec.vmiName
    const instance = lookup.get(group, 'virtualmachineinstances', namespace, name)
    if (!instance) throw badRequest(`the VMI "${namespace}/${name}" does not exist`)
    if (['Succeeded', 'Failed'].includes(instance.status?.phase))
      throw badRequest('Cannot migrate VMI in finalized state.')
    const condition = instance.status?.conditions?.find((one: any) => one.type === 'LiveMigratable')
    if (condition?.status === 'False')
      throw badRequest(`Cannot migrate VMI, Reason: ${condition.reason}, Message: ${condition.message}`)
    const other = lookup
      .list(group, 'virtualmachineinstancemigrations', namespace)
      .find((one) => one.metadata.labels?.[migrationLabel] === name && !isMigrationOver(one))
    if (other)
      throw badRequest(
        `in-flight migration detected. Active migration job (${other.metadata.uid}) is currently already in progress for VMI ${name}.`,
      )
  },
})
