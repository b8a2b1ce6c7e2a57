// DataImportCron: has its source looked at when it is time, imports what is new, shows it by its DataSource, and lets old
// imports go. Who looks into a registry is the host.

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { parseCronSchedule } from '../kinds/batch/cron-schedule.ts'
import { desiredDigest, importCronLabel, lastCronTime, nextCronTime } from '../kinds/cdi/annotations.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { cronStatus, digestOf, importName, importOf, outdated, sourceOfCron } from './import-cron-plan.ts'
import { moment } from './moment.ts'
import { dataImportCrons, dataSources, dataVolumes, persistentVolumeClaims } from './resources.ts'

/** Objects of a cron name it in a label. */
const ofCron = ({ metadata }: StoredObject): string[] => {
  const name = metadata.labels?.[importCronLabel]
  return name ? [`${metadata.namespace}/${name}`] : []
}

export const dataImportCron: ControllerDefinition = {
  name: 'dataimportcron',
  start(context) {
    return reconcileOn(
      context,
      'dataimportcron',
      [
        { ref: dataImportCrons, keys: itself },
        { ref: dataVolumes, keys: ofCron },
        { ref: dataSources, keys: ofCron },
        { ref: persistentVolumeClaims, keys: ofCron },
      ],
      createSync(context),
      2,
    )
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('dataimportcron-controller')
  const crons = informers.informer(dataImportCrons)
  const volumes = informers.informer(dataVolumes)
  const sources = informers.informer(dataSources)
  const claims = informers.informer(persistentVolumeClaims)

  /** Another cron has the DataSource, and means it. */
  function isManagedByOther(cron: StoredObject): boolean {
    const { namespace, name } = cron.metadata
    const source = sources.get(`${namespace}/${cron.spec.managedDataSource}`)
    const holder = source?.metadata.labels?.[importCronLabel]
    if (!holder || holder === name) return false
    const other = crons.get(`${namespace}/${holder}`)
    if (other?.spec.managedDataSource !== cron.spec.managedDataSource) return false
    const text = `DataSource ${cron.spec.managedDataSource} is already managed by DataImportCron ${holder}`
    record(cron, 'Warning', 'ErrDataSourceAlreadyManaged', text)
    return true
  }

  /** Notes that it is time to look; the first time is now. */
  async function look(cron: StoredObject): Promise<number | undefined> {
    const { schedule, template } = cron.spec
    if (!schedule) return undefined
    const { annotations = {}, name, namespace } = cron.metadata
    const now = clock.now()
    const due = moment(annotations[nextCronTime])
    if (annotations[lastCronTime] && due > now) return due - now
    const next = parseCronSchedule(schedule).next(now)
    const claim = template.spec.source?.pvc
    const from = claim && claims.get(`${claim.namespace || namespace}/${claim.name}`)
    await client.patch(dataImportCrons, name, namespace, 'merge', {
      metadata: {
        annotations: {
          [lastCronTime]: formatTime(now),
          ...(next && { [nextCronTime]: formatTime(next) }),
          ...(from && { [desiredDigest]: `uid:${from.metadata.uid}` }),
        },
      },
    })
    return next && next - now
  }

  async function importNewest(cron: StoredObject): Promise<void> {
    const digest = digestOf(cron)
    if (!digest) return
    const key = `${cron.metadata.namespace}/${importName(cron, digest)}`
    if (volumes.get(key) || claims.get(key)) return
    await client.create(dataVolumes, importOf(cron, digest)).catch((error) => {
      if (!isApiError(error, 'AlreadyExists')) throw error
    })
  }

  async function show(cron: StoredObject): Promise<void> {
    const existing = sources.get(`${cron.metadata.namespace}/${cron.spec.managedDataSource}`)
    const wanted = sourceOfCron(cron, existing)
    if (!existing) await client.create(dataSources, wanted)
    else if (!semanticallyEqual(wanted, existing)) await client.update(dataSources, wanted as StoredObject)
  }

  async function collect(cron: StoredObject): Promise<void> {
    const imports = volumes.list(cron.metadata.namespace).filter((volume) => ofCron(volume)[0] === objectKey(cron))
    const over = outdated(
      cron,
      imports.filter(({ status }) => status?.phase === 'Succeeded'),
    )
    for (const { metadata } of over)
      await client
        .delete(dataVolumes, metadata.name, metadata.namespace, { preconditions: { uid: metadata.uid } })
        .catch((error) => {
          if (!isApiError(error, 'NotFound')) throw error
        })
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const cron = crons.get(key)
    if (!cron || cron.metadata.deletionTimestamp || isManagedByOther(cron)) return undefined
    const wait = await look(cron)
    const current = crons.get(key) ?? cron
    await importNewest(current)
    const digest = digestOf(current)
    const place = digest && `${current.metadata.namespace}/${importName(current, digest)}`
    const status = cronStatus({
      cron: current,
      volume: place ? volumes.get(place) : undefined,
      claim: place ? claims.get(place) : undefined,
      now: clock.now(),
    })
    const noted = semanticallyEqual(status, current.status)
      ? current
      : await client.update(dataImportCrons, { ...current, status })
    await show(noted)
    await collect(noted)
    return wait === undefined ? undefined : { requeueAfter: wait }
  }
}
