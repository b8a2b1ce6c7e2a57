// What the claims of a Pod say about where it can go, and whom to tell of the node (pkg/scheduler/framework/plugins/
// volumebinding, 1.36).

import type { StoredObject } from '../api/meta.ts'
import type { Informer, InformerFactory } from '../client/informer.ts'
import { persistentVolumeClaims, persistentVolumes, storageClasses } from './resources.ts'
import { matchesNodeTerms } from './scheduler-fit.ts'
import { bindCompleted, claimsOfPod, classOf, selectedNode } from './volume-matching.ts'

export interface PodClaims {
  /** No node helps. */
  refused?: string
  /** Bound volumes that are not everywhere. */
  reachableFrom(node: StoredObject): boolean
  /** Claims that wait for their first consumer; the Pod waits until they are bound. */
  waiting: StoredObject[]
}

export interface ClaimLookup {
  of(pod: StoredObject): PodClaims
  /** Of those that wait, the ones that do not know the node yet. */
  untold(claims: StoredObject[]): StoredObject[]
}

const everywhere: PodClaims = { reachableFrom: () => true, waiting: [] }

export function createClaimLookup(informers: InformerFactory): ClaimLookup {
  const claims: Informer = informers.informer(persistentVolumeClaims)
  const volumes: Informer = informers.informer(persistentVolumes)
  const classes: Informer = informers.informer(storageClasses)

  function problem(claim: StoredObject | undefined, name: string): string | undefined {
    if (!claim) return `persistentvolumeclaim "${name}" not found`
    if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`
    if (claim.status?.phase === 'Lost')
      return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec.volumeName ?? ''}"`
    return undefined
  }

  return {
    untold: (waiting) => waiting.filter((claim) => !claim.metadata.annotations?.[selectedNode]),
    of(pod) {
      const names = claimsOfPod(pod)
      if (names.length === 0) return everywhere
      const terms: any[][] = []
      const waiting: StoredObject[] = []
      for (const name of names) {
        const claim = claims.get(`${pod.metadata.namespace}/${name}`)
        const refused = problem(claim, name)
        if (refused) return { ...everywhere, refused }
        if (claim!.spec.volumeName && claim!.metadata.annotations?.[bindCompleted]) {
          const affinity = volumes.get(claim!.spec.volumeName)?.spec.nodeAffinity?.required
          if (affinity) terms.push(affinity.nodeSelectorTerms ?? [])
        } else if (classes.get(classOf(claim!) ?? '')?.volumeBindingMode === 'WaitForFirstConsumer')
          waiting.push(claim!)
        else return { ...everywhere, refused: 'pod has unbound immediate PersistentVolumeClaims' }
      }
      return { reachableFrom: (node) => terms.every((list) => matchesNodeTerms(node, list)), waiting }
    },
  }
}
