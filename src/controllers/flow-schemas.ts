// Priority and fairness: flow schemas say whether their priority level is there, and the mandatory objects come back when
// somebody removes them (apiserver/pkg/util/flowcontrol and registry/flowcontrol/ensurer, 1.36).

import { isApiError } from '../api/errors.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { mandatoryLevels, mandatorySchemas } from '../kinds/flowcontrol/defaults.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'

const group = { group: 'flowcontrol.apiserver.k8s.io', version: 'v1' }
const schemas: ResourceRef = { ...group, resource: 'flowschemas' }
const levels: ResourceRef = { ...group, resource: 'prioritylevelconfigurations' }

interface Condition {
  type: string
  status: string
  reason: string
  message: string
}

/** The condition that a schema shall have. Pure. */
export function dangling(level: string, exists: boolean): Condition {
  const what = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)}`
  return exists
    ? { type: 'Dangling', status: 'False', reason: 'Found', message: `${what} and it exists` }
    : { type: 'Dangling', status: 'True', reason: 'NotFound', message: `${what} but there is no such object` }
}

const levelOf = (schema: StoredObject): string => schema.spec?.priorityLevelConfiguration?.name ?? ''

export const flowSchemas: ControllerDefinition = {
  name: 'flow-schemas',
  start(context) {
    const { client, informers, clock } = context
    const known = informers.informer(schemas)
    const targets = informers.informer(levels)

    async function restore(key: string): Promise<boolean> {
      const [plural, name] = key.split('/')
      const isSchema = plural === 'schema'
      const object = (isSchema ? mandatorySchemas : mandatoryLevels).find((one) => one.metadata.name === name)
      if (!object || (isSchema ? known : targets).get(name!)) return false
      await client.create(isSchema ? schemas : levels, object).catch((error: unknown) => {
        if (!isApiError(error, 'AlreadyExists')) throw error
      })
      return true
    }

    async function sync(key: string): Promise<undefined> {
      if ((await restore(key)) || key.startsWith('level/')) return
      const schema = known.get(key.slice('schema/'.length))
      if (!schema || schema.metadata.deletionTimestamp) return
      const wanted = dangling(levelOf(schema), targets.get(levelOf(schema)) !== undefined)
      const conditions: Condition[] = schema.status?.conditions ?? []
      const current = conditions.find((condition) => condition.type === wanted.type)
      if (current?.status === wanted.status && current.message === wanted.message) return
      const lastTransitionTime = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z')
      const others = conditions.filter((condition) => condition !== current)
      const status = { ...schema.status, conditions: [...others, { ...wanted, lastTransitionTime }] }
      await client.updateStatus(schemas, { ...schema, status })
    }

    return reconcileOn(
      context,
      'flow-schemas',
      [
        { ref: schemas, keys: (schema) => itself(schema).map((name) => `schema/${name}`) },
        {
          ref: levels,
          keys: ({ metadata: { name } }) => [
            `level/${name}`,
            ...known
              .list()
              .filter((schema) => levelOf(schema) === name)
              .map((schema) => `schema/${schema.metadata.name}`),
          ],
        },
      ],
      sync,
      1,
    )
  },
}
