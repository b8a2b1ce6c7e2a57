// ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, numbered, so that it can go back to one.
// Behaviour of pkg/controller/history (1.36). Revisions are recognised by their data, never by their name.

import { isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import { controllerOf } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import type { ControllerContext } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { claimObjects, controllerReference } from './ownership.ts'
import { controllerRevisions } from './resources.ts'
import { templateHash } from './template-hash.ts'

export const revisionHashLabel = 'controller-revision-hash'

const numberOf = (revision: StoredObject): number => revision.revision ?? 0

/** Oldest first. */
export const byRevision = (a: StoredObject, b: StoredObject): number =>
  numberOf(a) - numberOf(b) ||
  a.metadata.creationTimestamp!.localeCompare(b.metadata.creationTimestamp!) ||
  (a.metadata.name < b.metadata.name ? -1 : 1)

/** The template that a revision keeps. */
export function templateOf(revision: StoredObject): any {
  const { $patch: _, ...template } = revision.data?.spec?.template ?? {}
  return template
}

export const hasTemplate = (revision: StoredObject, template: unknown): boolean =>
  semanticallyEqual(templateOf(revision), template)

/** With names in order, as upstream writes it: clients compare the bytes. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(fields.map(([name, field]) => [name, sorted(field)]))
}

/** How the owner's kind words its revisions. */
export interface RevisionFlavour {
  ref: ResourceRef
  hashLabel: string
}

/** The revision of the owner's template, still to be stored. Pure. */
export function newRevision(
  owner: StoredObject,
  revision: number,
  collisions: number,
  { hashLabel }: RevisionFlavour,
): ApiObject {
  const { template } = owner.spec
  const hash = templateHash(template, collisions)
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${owner.metadata.name}-${hash}`,
      namespace: owner.metadata.namespace!,
      labels: { ...template.metadata?.labels, [hashLabel]: hash },
      annotations: { ...owner.metadata.annotations },
      ownerReferences: [controllerReference(owner)],
    },
    data: { spec: { template: sorted({ ...template, $patch: 'replace' }) } },
    revision,
  }
}

export interface History {
  /** All revisions of the owner, oldest first; orphans that its selector matches become its own. */
  list(owner: StoredObject): Promise<StoredObject[]>
  /** The revision of the owner's present template, made or renumbered if need be, and how many names were taken. */
  current(owner: StoredObject, revisions: StoredObject[]): Promise<{ revision: StoredObject; collisions: number }>
  /** Deletes the oldest revisions beyond the limit that nothing uses. */
  truncate(owner: StoredObject, revisions: StoredObject[], isLive: (revision: StoredObject) => boolean): Promise<void>
}

export function createHistory(context: ControllerContext, flavour: RevisionFlavour): History {
  const { client, informers } = context
  const informer = informers.informer(controllerRevisions)

  async function create(owner: StoredObject, revision: number, known: number) {
    for (let collisions = known; ; collisions++) {
      const wanted = newRevision(owner, revision, collisions, flavour)
      try {
        return { revision: await client.create(controllerRevisions, wanted), collisions }
      } catch (error) {
        if (!isApiError(error, 'AlreadyExists')) throw error
      }
      const existing = await client.get(controllerRevisions, wanted.metadata.name!, wanted.metadata.namespace)
      if (controllerOf(existing)?.uid === owner.metadata.uid && hasTemplate(existing, owner.spec.template))
        return { revision: existing, collisions }
    }
  }

  return {
    async list(owner) {
      const { matches } = selectorMatcher(owner.spec.selector)
      const candidates = informer.list(owner.metadata.namespace)
      const owned = await claimObjects(
        client,
        { ref: flavour.ref, object: owner },
        controllerRevisions,
        candidates,
        (revision) => controllerOf(revision)?.uid === owner.metadata.uid || matches(revision.metadata.labels),
      )
      return owned.toSorted(byRevision)
    },
    async current(owner, revisions) {
      const collisions: number = owner.status?.collisionCount ?? 0
      const newest = revisions.at(-1)
      const equal = revisions.findLast((each) => hasTemplate(each, owner.spec.template))
      const next = newest ? numberOf(newest) + 1 : 1
      if (!equal) return create(owner, next, collisions)
      if (equal === newest) return { revision: equal, collisions }
      // Back to an older template: its revision becomes the newest.
      return { revision: await client.update(controllerRevisions, { ...equal, revision: next }), collisions }
    },
    async truncate(owner, revisions, isLive) {
      const unused = revisions.filter((revision) => !isLive(revision))
      const surplus = unused.length - (owner.spec.revisionHistoryLimit ?? 10)
      for (const { metadata } of unused.slice(0, Math.max(surplus, 0)))
        await client
          .delete(controllerRevisions, metadata.name, metadata.namespace, { preconditions: { uid: metadata.uid } })
          .catch((error) => {
            if (!isApiError(error, 'NotFound')) throw error
          })
    },
  }
}
