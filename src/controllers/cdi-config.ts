// The objects of CDI that tools look for: CDI "cdi" says that everything is there, CDIConfig "config" what is in force.

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { appLabel } from '../kinds/cdi/annotations.ts'
import { type ControllerDefinition, reconcileOn } from './controller.ts'
import { filesystemOverhead } from './data-volume-claim.ts'
import { semanticallyEqual } from './equality.ts'
import { cdiConfigs, cdis, storageClasses } from './resources.ts'
import { defaultStorageClass } from './volume-matching.ts'

/** The release of CDI whose API this is. */
const version = 'v1.65.0'

export function configStatus(
  spec: any,
  classes: StoredObject[],
  uploadProxy: string | undefined,
): Record<string, unknown> {
  const overhead = String(filesystemOverhead)
  const standard = defaultStorageClass(classes)?.metadata.name
  const url = spec?.uploadProxyURLOverride ?? uploadProxy
  return {
    ...(url && { uploadProxyURL: url }),
    ...(standard && { scratchSpaceStorageClass: standard }),
    filesystemOverhead: {
      global: overhead,
      storageClass: Object.fromEntries(classes.map(({ metadata }) => [metadata.name, overhead]).sort()),
    },
    ...(spec?.preallocation && { preallocation: true }),
  }
}

export function deployedStatus(before: any, now: number): Record<string, unknown> {
  const time = formatTime(now)
  const condition = (type: string, status: string) => {
    const old = before?.conditions?.find((one: any) => one.type === type && one.status === status)
    return old ?? { type, status, lastHeartbeatTime: time, lastTransitionTime: time }
  }
  return {
    phase: 'Deployed',
    operatorVersion: version,
    targetVersion: version,
    observedVersion: version,
    conditions: [condition('Available', 'True'), condition('Progressing', 'False'), condition('Degraded', 'False')],
  }
}

export const cdiConfig: ControllerDefinition = {
  name: 'cdi-config',
  start(context) {
    const { client, informers, clock, settings } = context
    const operators = informers.informer(cdis)
    const configs = informers.informer(cdiConfigs)
    const classes = informers.informer(storageClasses)
    const only = () => ['config']

    async function sync(): Promise<undefined> {
      const operator = operators.get('cdi') ?? (await client.create(cdis, { ...named('CDI', 'cdi'), spec: {} }))
      const status = deployedStatus(operator.status, clock.now())
      if (!semanticallyEqual(status, operator.status)) await client.update(cdis, { ...operator, status })
      const config =
        configs.get('config') ?? (await client.create(cdiConfigs, { ...named('CDIConfig', 'config'), spec: {} }))
      // A setting in the operator's object is the one that counts, as upstream.
      const spec = operator.spec?.config ?? config.spec ?? {}
      const wanted = {
        ...config,
        spec,
        status: configStatus(spec, classes.list(), settings.externalAddress && `https://${settings.externalAddress}`),
      }
      if (!semanticallyEqual(wanted, config)) await client.update(cdiConfigs, wanted)
    }

    return reconcileOn(
      context,
      'cdi-config',
      [
        { ref: cdis, keys: only },
        { ref: cdiConfigs, keys: only },
        { ref: storageClasses, keys: only },
      ],
      sync,
      1,
    )
  },
}

const named = (kind: string, name: string): ApiObject => ({
  apiVersion: 'cdi.kubevirt.io/v1beta1',
  kind,
  metadata: { name, labels: appLabel },
})
