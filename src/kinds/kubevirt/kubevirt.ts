// KubeVirt: the object by which clients find out that virtual machines are to be had, of which version, and how they are
// configured. Tandem has no components to install: of the configuration it takes what machines may have of this machine, and
// says of all else that it has no effect.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import type { Schema } from '../../api/schema.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { text } from '../columns.ts'
import { types } from '../types.ts'

const open: Schema = { type: 'object', preserveUnknown: true }
const string: Schema = { type: 'string' }

const time: Schema = { type: 'string', format: 'date-time', nullable: true }

const condition: Schema = {
  type: 'object',
  properties: {
    type: string,
    status: string,
    reason: string,
    message: string,
    lastProbeTime: time,
    lastTransitionTime: time,
  },
  required: ['status', 'type'],
}

/** Fields of kubevirt.io/api/core/v1 (1.9); what is below `spec` is the user's, and kept as it is. */
const status: Schema = {
  type: 'object',
  properties: {
    phase: string,
    conditions: { type: 'array', items: condition },
    operatorVersion: string,
    observedKubeVirtVersion: string,
    targetKubeVirtVersion: string,
    observedKubeVirtRegistry: string,
    targetKubeVirtRegistry: string,
    observedDeploymentConfig: string,
    observedDeploymentID: string,
    targetDeploymentConfig: string,
    targetDeploymentID: string,
    observedGeneration: { type: 'integer', format: 'int64' },
    outdatedVirtualMachineInstanceWorkloads: { type: 'integer', format: 'int32' },
    defaultArchitecture: string,
    generations: { type: 'array', items: open },
    synchronizationAddresses: { type: 'array', items: string },
  },
}

const why = 'it configures components that Tandem does not have'

export const kubevirt = defineKind({
  group: 'kubevirt.io',
  version: 'v1',
  kind: 'KubeVirt',
  plural: 'kubevirts',
  singular: 'kubevirt',
  shortNames: ['kv', 'kvs'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: { type: 'object', properties: { spec: open, status } },
  types,
  subresources: { status: true },
  columns: [ageColumn, text('Phase', (object) => object.status?.phase ?? '')],
  // Whoever writes it in Go cannot leave it out, and virtctl adm patches below it.
  defaults(object) {
    object.spec = { configuration: {}, ...object.spec }
  },
  prepareCreate(object) {
    delete object.status
  },
  warnings: (object, old) => unheard(object, old).map((field) => `${field} has no effect: ${why}`),
  example: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { name: 'kubevirt', namespace: 'default' },
    spec: {},
  },
})

type Fields = Record<string, unknown>

/** What is set anew and has no effect: those of `configuration`, of its `developerConfiguration` and gates by their own names. */
function unheard({ spec = {} }: ApiObject, old?: ApiObject): string[] {
  const { configuration, ...rest } = spec
  const { configuration: configured, ...before } = old?.spec ?? {}
  const { developerConfiguration, permittedHostDevices, ...others } = configuration ?? {}
  const developed = configured?.developerConfiguration
  const { featureGates, ...further } = developerConfiguration ?? {}
  const at = 'spec.configuration'
  return [
    ...changed(rest, before, 'spec'),
    ...changed(others, configured, at),
    ...changed(further, developed, `${at}.developerConfiguration`),
    ...unheardGates(featureGates, developed?.featureGates, `${at}.developerConfiguration.featureGates`),
    // What machines may have of this machine: the devices that are permitted.
    ...(Object.keys(permittedHostDevices ?? {}).every((kind) => heardDevices.includes(kind))
      ? []
      : changed({ permittedHostDevices }, configured, at)),
  ]
}

const changed = (now: Fields, before: Fields = {}, at: string): string[] =>
  Object.keys(now)
    .filter((name) => !equalJson(now[name], before[name]) && !isEmpty(now[name]))
    .map((name) => `${at}.${name}`)

/** All but the gates that open what this machine has. */
function unheardGates(gates: unknown, before: unknown, at: string): string[] {
  if (!Array.isArray(gates)) return isEmpty(gates) ? [] : [at]
  const known = [...heardGates, ...(Array.isArray(before) ? before : [])]
  return gates.flatMap((gate, index) => (known.includes(gate) ? [] : [`${at}[${index}] (${gate})`]))
}

const heardDevices = ['pciHostDevices', 'mediatedDevices']
const heardGates = ['HostDisk', 'HostDevices']

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value as object).length === 0)
