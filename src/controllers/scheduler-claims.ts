// What the claims of a Pod say about where it can go, and whom to tell of the node (pkg/scheduler/framework/plugins/
// volumebinding, volumerestrictions and dynamicresources, 1.36).

import type { ResourceRef, StoredObject } from '../api/meta.ts'
import type { Informer, InformerFactory } from '../client/informer.ts'
import { matchesNodeTerms } from '../kinds/core/node-matching.ts'
import { persistentVolumeClaims, persistentVolumes, pods, storageClasses } from './resources.ts'
import { bindCompleted, claimsOfPod, classOf, selectedNode } from './volume-matching.ts'

export const resourceClaims: ResourceRef = { group: 'resource.k8s.io', version: 'v1', resource: 'resourceclaims' }

export interface PodClaims {
  /** No node helps. */
  refused?: string
  /** Bound volumes that are not everywhere. */
  reachableFrom(node: StoredObject): boolean
  /** Claims that wait for their first consumer; the Pod waits until they are bound. */
  waiting: StoredObject[]
}

export interface ClaimLookup {
  /** `isPlaced` knows of Pods, by uid, whose node was chosen already. */
  of(pod: StoredObject, isPlaced: (uid: string) => boolean): PodClaims
  /** Of those that wait, the ones that do not know the node yet. */
  untold(claims: StoredObject[]): StoredObject[]
}

const taken = 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode'

const everywhere: PodClaims = { reachableFrom: () => true, waiting: [] }

export function createClaimLookup(informers: InformerFactory): ClaimLookup {
  const claims: Informer = informers.informer(persistentVolumeClaims)
  const volumes: Informer = informers.informer(persistentVolumes)
  const classes: Informer = informers.informer(storageClasses)

  const others: Informer = informers.informer(pods)
  const deviceClaims: Informer = informers.informer(resourceClaims)

  /** A claim for a single Pod has its Pod. */
  function isTaken(claim: StoredObject, pod: StoredObject, isPlaced: (uid: string) => boolean): boolean {
    if (!claim.spec.accessModes?.includes('ReadWriteOncePod')) return false
    const { namespace, uid } = pod.metadata
    return others
      .list(namespace)
      .some(
        (other) =>
          other.metadata.uid !== uid &&
          isPlaced(other.metadata.uid) &&
          claimsOfPod(other).includes(claim.metadata.name),
      )
  }

  /** Why the devices that a Pod asks for are not there: no driver runs here that could offer any. */
  function devicesProblem(pod: StoredObject): string | undefined {
    const wanted: any[] = pod.spec.resourceClaims ?? []
    if (wanted.length === 0) return undefined
    const noted: any[] = pod.status?.resourceClaimStatuses ?? []
    for (const { name, resourceClaimName } of wanted) {
      const claim = resourceClaimName ?? noted.find((one) => one.name === name)?.resourceClaimName
      if (!claim) return `waiting for the ResourceClaim of ${JSON.stringify(name)} to be made from its template`
      if (!deviceClaims.get(`${pod.metadata.namespace}/${claim}`))
        return `resourceclaim ${JSON.stringify(claim)} not found`
    }
    return 'cannot allocate all claims: no driver of devices runs here, so no ResourceSlice offers any'
  }

  function problem(claim: StoredObject | undefined, name: string): string | undefined {
    if (!claim) return `persistentvolumeclaim "${name}" not found`
    if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`
    if (claim.status?.phase === 'Lost')
      return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec.volumeName ?? ''}"`
    return undefined
  }

  return {
    untold: (waiting) => waiting.filter((claim) => !claim.metadata.annotations?.[selectedNode]),
    of(pod, isPlaced) {
      const devices = devicesProblem(pod)
      if (devices) return { ...everywhere, refused: devices }
      const names = claimsOfPod(pod)
      if (names.length === 0) return everywhere
      const terms: any[][] = []
      const waiting: StoredObject[] = []
      for (const name of names) {
        const claim = claims.get(`${pod.metadata.namespace}/${name}`)
        const refused = problem(claim, name)
        if (refused) return { ...everywhere, refused }
        if (isTaken(claim!, pod, isPlaced)) return { ...everywhere, refused: taken }
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
