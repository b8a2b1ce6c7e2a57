// What a VirtualMachine is made from, when it names an instance type or a preference: kept as ControllerRevisions when it
// is first seen, so that a later change of the type changes no machine (pkg/instancetype, KubeVirt 1.9).

import { fieldErrorBody, isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { expand, type Types } from '../kinds/instancetype/expand.ts'
import {
  hasMatcher,
  instancetypeGroup,
  kindIndex,
  type MatcherField,
  matcherFields,
  matcherOf,
} from '../kinds/instancetype/matcher.ts'
import type { ControllerContext } from './controller.ts'
import { createInference, NothingInferred } from './instancetype-inference.ts'
import { controllerReference } from './ownership.ts'
import { controllerRevisions, virtualMachines } from './resources.ts'

const version = 'v1beta1'
const mark = (name: string) => `${instancetypeGroup}/${name}`

/** What the status says of a matcher; undefined: to be captured. Pure. */
export function knownRef(machine: StoredObject, field: MatcherField): Record<string, any> | undefined {
  const matcher = matcherOf(machine, field)
  const ref = machine.status?.[field.statusField]
  if (!matcher || !ref?.controllerRevisionRef?.name) return undefined
  if (ref.name !== matcher.name || ref.kind !== matcher.kind) return undefined
  return matcher.revisionName && matcher.revisionName !== ref.controllerRevisionRef.name ? undefined : ref
}

/** The revision that keeps `type` for the machine. Pure. */
export function revisionOf(machine: StoredObject, type: StoredObject): ApiObject {
  const { name, uid, generation = 1 } = type.metadata
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${machine.metadata.name}-${name}-${version}-${uid}-${generation}`,
      namespace: machine.metadata.namespace!,
      labels: {
        [mark('object-generation')]: String(generation),
        [mark('object-kind')]: type.kind,
        [mark('object-name')]: name,
        [mark('object-uid')]: uid,
        [mark('object-version')]: version,
      },
      ownerReferences: [controllerReference(machine)],
    },
    revision: 0,
    data: {
      apiVersion: `${instancetypeGroup}/${version}`,
      kind: type.kind,
      metadata: { name, uid, generation, ...(type.metadata.namespace && { namespace: type.metadata.namespace }) },
      spec: type.spec,
    },
  }
}

export interface Instancetypes {
  /** Brings the machine and its status up to what it names; true when something was written. @throws Error that a person can act on */
  prepare(machine: StoredObject): Promise<boolean>
  /** The machine with everything written out. @throws Error when it does not fit its type */
  expanded(machine: StoredObject): Promise<StoredObject>
}

export function createInstancetypes({ client }: ControllerContext): Instancetypes {
  /** What a volume recommends; null when it recommends nothing and that is no error. */
  async function infer(machine: StoredObject, field: MatcherField): Promise<object | null> {
    const { inferFromVolume = '', inferFromVolumeFailurePolicy: policy } = matcherOf(machine, field)!
    try {
      const { name, kind } = await createInference(client.get, field.label)(machine, inferFromVolume)
      return { name, kind: kind || field.kinds[0], ...forgotten }
    } catch (error) {
      if (error instanceof NothingInferred && policy === 'Ignore') return null
      throw error
    }
  }

  async function capture(machine: StoredObject, field: MatcherField): Promise<object> {
    const { name = '', kind, revisionName } = matcherOf(machine, field)!
    const namespace = machine.metadata.namespace!
    const index = kindIndex(field, kind)!
    if (revisionName) {
      await client.get(controllerRevisions, revisionName, namespace)
      return { name, kind, controllerRevisionRef: { name: revisionName } }
    }
    const ref = { group: instancetypeGroup, version, resource: field.resources[index] }
    const type = await client.get(ref, name, index === 0 ? undefined : namespace)
    const revision = revisionOf(machine, { ...type, kind: field.kinds[index] })
    await client.create(controllerRevisions, revision).catch((error) => {
      if (!isApiError(error, 'AlreadyExists')) throw error
    })
    return { name, kind, controllerRevisionRef: { name: revision.metadata.name } }
  }

  async function prepare(machine: StoredObject): Promise<boolean> {
    const { name, namespace } = machine.metadata
    const inferred: Record<string, object | null> = {}
    for (const field of matcherFields)
      if (matcherOf(machine, field)?.inferFromVolume) inferred[field.field] = await infer(machine, field)
    if (Object.keys(inferred).length) {
      // With Ignore the machine says a size for the case that there is no type: a type is not to conflict with it.
      const isSpare = inferred.instancetype && machine.spec.instancetype.inferFromVolumeFailurePolicy === 'Ignore'
      const spec = isSpare ? { ...inferred, template: { spec: { domain: { memory: null } } } } : inferred
      await client.patch(virtualMachines, name, namespace, 'merge', { spec })
      return true
    }
    const changed: Record<string, object | undefined> = {}
    for (const field of matcherFields) {
      const matcher = matcherOf(machine, field)
      if (matcher && !knownRef(machine, field)) changed[field.statusField] = await capture(machine, field)
      if (!matcher && machine.status?.[field.statusField]) changed[field.statusField] = undefined
    }
    if (!Object.keys(changed).length) return false
    await client.updateStatus(virtualMachines, { ...machine, status: { ...machine.status, ...changed } })
    return true
  }

  async function expanded(machine: StoredObject): Promise<StoredObject> {
    if (!hasMatcher(machine)) return machine
    const types: Types = {}
    const annotations: Record<string, string> = {}
    for (const field of matcherFields) {
      const ref = knownRef(machine, field)
      if (!ref) continue
      const { data } = await client.get(
        controllerRevisions,
        ref.controllerRevisionRef.name,
        machine.metadata.namespace!,
      )
      types[field.field] = data.spec
      annotations[field.annotations[kindIndex(field, ref.kind)!]] = ref.name
    }
    const { machine: whole, errors } = expand(machine, types)
    if (errors.length) throw new Error(errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`).join('; '))
    const { template } = whole.spec
    const metadata = { ...template.metadata, annotations: { ...template.metadata?.annotations, ...annotations } }
    return { ...whole, spec: { ...whole.spec, template: { ...template, metadata } } }
  }

  return { prepare, expanded }
}

const forgotten = { inferFromVolume: null, inferFromVolumeFailurePolicy: null }
