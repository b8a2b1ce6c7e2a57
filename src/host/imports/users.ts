// Who uses a claim so that it may change under somebody who copies it. Pure.

import type { StoredObject } from '../../api/meta.ts'

const isOver = ({ status }: StoredObject): boolean => ['Succeeded', 'Failed'].includes(status?.phase)

/** 'pod default/web', for all that have it writable and have not ended. */
export function usersOf(claim: string, pods: StoredObject[], machines: StoredObject[]): string[] {
  const name = ({ metadata }: StoredObject) => `${metadata.namespace}/${metadata.name}`
  const ofPod = (pod: StoredObject) =>
    (pod.spec?.volumes ?? []).some(
      ({ persistentVolumeClaim: source }: any) => source?.claimName === claim && source.readOnly !== true,
    )
  const ofMachine = (machine: StoredObject) =>
    (machine.spec?.volumes ?? []).some(
      ({ persistentVolumeClaim, dataVolume }: any) =>
        (persistentVolumeClaim?.claimName === claim && persistentVolumeClaim.readOnly !== true) ||
        dataVolume?.name === claim,
    )
  return [
    ...pods.filter((pod) => !isOver(pod) && ofPod(pod)).map((pod) => `pod ${name(pod)}`),
    ...machines
      .filter((machine) => !isOver(machine) && ofMachine(machine))
      .map((machine) => `virtual machine ${name(machine)}`),
  ]
}
