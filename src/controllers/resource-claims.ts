// ResourceClaims that Pods get from templates: made with the Pod's name, owned by the Pod and noted in its status
// (pkg/controller/resourceclaim, 1.36). Nothing here allocates them: that is a driver's and the scheduler's part.

import { isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { type ControllerDefinition, reconcileOn } from './controller.ts'
import { pods } from './resources.ts'

const resource = (plural: string): ResourceRef => ({ group: 'resource.k8s.io', version: 'v1', resource: plural })
const claims = resource('resourceclaims')
const templates = resource('resourceclaimtemplates')
const podClaimName = 'resource.kubernetes.io/pod-claim-name'

interface PodClaim {
  name: string
  resourceClaimTemplateName?: string
}

const fromTemplates = (pod: StoredObject): PodClaim[] =>
  (pod.spec?.resourceClaims ?? []).filter((claim: PodClaim) => claim.resourceClaimTemplateName)

const isOver = (pod: StoredObject): boolean =>
  Boolean(pod.metadata.deletionTimestamp) || ['Succeeded', 'Failed'].includes(pod.status?.phase)

/** The claim that a template makes for one Pod. Pure. */
export function claimFor(pod: StoredObject, claim: string, template: StoredObject): ApiObject {
  const { metadata, spec } = template.spec ?? {}
  const { name, namespace, uid } = pod.metadata
  return {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaim',
    metadata: {
      generateName: `${name}-${claim}-`,
      namespace: namespace!,
      ...(metadata?.labels && { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [podClaimName]: claim },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid, controller: true, blockOwnerDeletion: true }],
    },
    spec,
  }
}

export const resourceClaims: ControllerDefinition = {
  name: 'resource-claim-controller',
  start(context) {
    const { client, informers } = context
    const record = context.recorder('resource_claim')
    const known = informers.informer(pods)
    const made = informers.informer(claims)
    const sources = informers.informer(templates)

    const owned = (pod: StoredObject, claim: string) =>
      made
        .list(pod.metadata.namespace)
        .find(
          ({ metadata }) =>
            metadata.annotations?.[podClaimName] === claim &&
            metadata.ownerReferences?.some(({ uid }) => uid === pod.metadata.uid),
        )

    async function claimOf(pod: StoredObject, claim: PodClaim): Promise<StoredObject | undefined> {
      const existing = owned(pod, claim.name)
      if (existing) return existing
      const template = sources.get(`${pod.metadata.namespace}/${claim.resourceClaimTemplateName}`)
      if (template) return client.create(claims, claimFor(pod, claim.name, template))
      const text = `PodResourceClaim ${claim.name}: resource claim template ${JSON.stringify(claim.resourceClaimTemplateName)}: not found`
      record(pod, 'Warning', 'FailedResourceClaimCreation', text)
      return undefined
    }

    async function sync(key: string): Promise<undefined> {
      const pod = known.get(key)
      if (!pod || isOver(pod)) return
      const statuses: { name: string; resourceClaimName?: string }[] = []
      for (const claim of fromTemplates(pod)) {
        const found = await claimOf(pod, claim)
        if (found) statuses.push({ name: claim.name, resourceClaimName: found.metadata.name })
      }
      const noted: typeof statuses = pod.status?.resourceClaimStatuses ?? []
      const isNoted = statuses.every(({ name, resourceClaimName }) =>
        noted.some((one) => one.name === name && one.resourceClaimName === resourceClaimName),
      )
      if (isNoted) return
      const { name, namespace } = pod.metadata
      const patch = { status: { resourceClaimStatuses: statuses } }
      await client
        .patch(pods, name, namespace, 'strategic', patch, { subresource: 'status' })
        .catch((error: unknown) => {
          if (!isApiError(error, 'NotFound')) throw error
        })
    }

    return reconcileOn(
      context,
      'resource-claim-controller',
      [
        { ref: pods, keys: (pod) => (fromTemplates(pod).length > 0 ? [objectKey(pod)] : []) },
        { ref: claims, keys: () => [] },
        {
          ref: templates,
          keys: ({ metadata }) =>
            known
              .list(metadata.namespace)
              .filter((pod) => fromTemplates(pod).some((one) => one.resourceClaimTemplateName === metadata.name))
              .map(objectKey),
        },
      ],
      sync,
      1,
    )
  },
}
