// A StorageProfile for each StorageClass: what is known of it, and what a person added (CDI 1.65).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { appLabel } from '../kinds/cdi/annotations.ts'
import { localProvisioner } from '../kinds/storage/local-provisioner.ts'
import { defaultSnapshotClass } from '../kinds/volumesnapshot/names.ts'
import { type ControllerDefinition, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { storageClasses, storageProfiles, volumeSnapshotClasses } from './resources.ts'

const byName = ({ metadata }: StoredObject): string[] => [metadata.name]

/** What the local volumes can do: one machine, directories; as a block device where somebody asks for one. */
const localSets = ['Filesystem', 'Block'].map((volumeMode) => ({ accessModes: ['ReadWriteOnce'], volumeMode }))

export function profileStatus(
  storageClass: StoredObject,
  profile: StoredObject,
  snapshotClasses: StoredObject[],
  now: number,
): Record<string, unknown> {
  const snapshotClass = classForSnapshots(snapshotClasses, storageClass.provisioner)
  const isKnown = storageClass.provisioner === localProvisioner
  const sets = profile.spec?.claimPropertySets ?? (isKnown ? localSets : undefined)
  const recognized = {
    type: 'Recognized',
    status: isKnown ? 'True' : 'False',
    reason: isKnown ? 'RecognizedProvisioner' : 'UnrecognizedProvisioner',
    message: isKnown ? 'Provisioner is recognized' : 'Provisioner is not recognized',
  }
  const before = (profile.status?.conditions ?? []).find((one: any) => one.type === recognized.type)
  const time = formatTime(now)
  const times =
    before?.status === recognized.status
      ? { lastTransitionTime: before.lastTransitionTime, lastHeartbeatTime: before.lastHeartbeatTime }
      : { lastTransitionTime: time, lastHeartbeatTime: time }
  return {
    storageClass: storageClass.metadata.name,
    provisioner: storageClass.provisioner,
    cloneStrategy: profile.spec?.cloneStrategy ?? 'copy',
    dataImportCronSourceFormat: 'pvc',
    ...(sets && { claimPropertySets: sets }),
    ...(snapshotClass && { snapshotClass }),
    conditions: [{ ...recognized, ...times }],
  }
}

/** The driver's default class, else its first one. */
function classForSnapshots(classes: StoredObject[], driver: string): string | undefined {
  const own = classes
    .filter((one) => one.driver === driver)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  const marked = own.find(({ metadata }) => metadata.annotations?.[defaultSnapshotClass] === 'true')
  return (marked ?? own[0])?.metadata.name
}

export const storageProfile: ControllerDefinition = {
  name: 'storageprofile',
  start(context) {
    const { client, informers, clock } = context
    const classes = informers.informer(storageClasses)
    const profiles = informers.informer(storageProfiles)
    const snapshotClasses = informers.informer(volumeSnapshotClasses)

    async function sync(name: string): Promise<undefined> {
      const storageClass = classes.get(name)
      const profile = profiles.get(name)
      if (!storageClass) {
        if (profile) await client.delete(storageProfiles, name, undefined, {}).catch(unlessGone)
        return
      }
      const current =
        profile ??
        (await client.create(storageProfiles, {
          apiVersion: 'cdi.kubevirt.io/v1beta1',
          kind: 'StorageProfile',
          metadata: { name, labels: appLabel },
          spec: {},
        }))
      const status = profileStatus(storageClass, current, snapshotClasses.list(), clock.now())
      if (!semanticallyEqual(status, current.status)) await client.updateStatus(storageProfiles, { ...current, status })
    }

    return reconcileOn(
      context,
      'storageprofile',
      [
        { ref: storageClasses, keys: byName },
        { ref: storageProfiles, keys: byName },
        { ref: volumeSnapshotClasses, keys: () => profiles.list().flatMap(byName) },
      ],
      sync,
      1,
    )
  },
}

const unlessGone = (error: unknown): void => {
  if (!isApiError(error, 'NotFound')) throw error
}
