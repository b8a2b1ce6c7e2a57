// The DataVolumes that a VirtualMachine brings along: made with it, gone with it, and full before it starts. Events and
// texts of KubeVirt's virt-controller (1.9, pkg/virt-controller/watch/vm).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { allowClaimAdoption } from '../kinds/cdi/annotations.ts'
import { resolveSource, sourceField } from '../kinds/cdi/clone-source.ts'
import type { ControllerContext } from './controller.ts'
import { controllerReference } from './ownership.ts'
import { dataSources, dataVolumes } from './resources.ts'

/** The machine that an object was made for, by uid. */
const createdBy = 'kubevirt.io/created-by'
/** A machine may start: who waits for a consumer gets one with it. */
const startable = new Set(['Succeeded', 'WaitForFirstConsumer', 'PendingPopulation'])

export const templatesOf = (machine: StoredObject): any[] => machine.spec.dataVolumeTemplates ?? []

/** Pure. A DataSource is followed now: what it names later is another disk. @throws Error when there is none */
export function dataVolumeFor(
  machine: StoredObject,
  template: any,
  dataSource: (key: string) => StoredObject | undefined,
): ApiObject {
  const { namespace, uid } = machine.metadata
  const { name, labels, annotations } = template.metadata ?? {}
  const { sourceRef, ...spec } = template.spec
  const priorityClassName = spec.priorityClassName ?? machine.spec.template?.spec?.priorityClassName
  const asVolume = { metadata: { namespace }, spec: template.spec } as unknown as StoredObject
  const source = resolveSource(asVolume, dataSource)
  if (source && 'problem' in source) throw new Error(source.problem.message)
  return {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataVolume',
    metadata: {
      name,
      namespace: namespace!,
      labels: { ...labels, [createdBy]: uid },
      annotations: { ...annotations, [allowClaimAdoption]: 'true' },
      ownerReferences: [controllerReference(machine)],
    },
    spec: {
      ...spec,
      ...(source && { source: sourceField(source) }),
      ...(priorityClassName && { priorityClassName }),
    },
  }
}

export interface MachineDataVolumes {
  /** Makes what is missing. True when nothing keeps the machine from starting. @throws ApiError */
  ensure(machine: StoredObject): Promise<boolean>
}

export function createMachineDataVolumes(context: ControllerContext): MachineDataVolumes {
  const { client, informers } = context
  const record = context.recorder('virtualmachine-controller')
  const volumes = informers.informer(dataVolumes)
  const sources = informers.informer(dataSources)

  async function create(machine: StoredObject, template: any): Promise<void> {
    const { name } = template.metadata ?? {}
    try {
      const made = dataVolumeFor(machine, template, (key) => sources.get(key))
      await client.create(dataVolumes, made)
      record(machine, 'Normal', 'SuccessfulDataVolumeCreate', `Created DataVolume ${name}`)
    } catch (error) {
      if (isApiError(error, 'AlreadyExists')) return
      const message = `Error creating DataVolume ${name}: ${(error as Error).message}`
      record(machine, 'Warning', 'FailedDataVolumeCreate', message)
      throw new Error(`failed to create DataVolume: ${(error as Error).message}`, { cause: error })
    }
  }

  function isStartable(machine: StoredObject, volume: StoredObject): boolean {
    const { name } = volume.metadata
    if (volume.status?.phase === 'Failed')
      record(machine, 'Warning', 'FailedDataVolumeImport', `DataVolume ${name} failed to import disk image`)
    const bound = (volume.status?.conditions ?? []).find((one: any) => one.type === 'Bound')
    if (bound?.status !== 'True' && bound?.reason === 'ErrExceededQuota')
      record(machine, 'Warning', 'FailedDataVolumeImport', `DataVolume ${name} exceeds quota limits`)
    return startable.has(volume.status?.phase)
  }

  return {
    async ensure(machine) {
      let ready = true
      for (const template of templatesOf(machine)) {
        const volume = volumes.get(`${machine.metadata.namespace}/${template.metadata.name}`)
        if (!volume) await create(machine, template)
        if (!volume || !isStartable(machine, volume)) ready = false
      }
      return ready
    },
  }
}
