// What changed cards and networks of a template mean for the instance that runs: cards on further networks come and go,
// cables are pulled, everything else waits for a restart. Pure; rules of KubeVirt's virt-controller (1.9,
// pkg/network/controllers/vm.go and pkg/network/vmliveupdate).

import type { StoredObject } from '../api/meta.ts'
import { equalJson } from '../api/walk/plain.ts'
import {
  type Cards,
  cardsOf,
  equalButState,
  isAbsent,
  isPluggable,
  named,
  networksOf,
  takesPlugs,
} from '../kinds/kubevirt/live-networks.ts'
import { isSaved, networksAnnotation } from './machine-plan.ts'

const changed = 'a non-live-updatable field was changed in the template spec'

const wantedCards = (machine: StoredObject): Cards => cardsOf(machine.spec.template?.spec)

/** What the instance was given of its machine's template; undefined where a former Tandem made it. */
function givenCards({ metadata }: StoredObject): Cards | undefined {
  const text = metadata.annotations?.[networksAnnotation]
  try {
    return text ? (JSON.parse(text) as Cards) : undefined
  } catch {
    return undefined
  }
}

const reported = ({ status }: StoredObject): any[] => status?.interfaces ?? []

/** Where nothing of it is in a network, there is none that more can be added to. */
const takesCards = ({ spec }: StoredObject): boolean => takesPlugs(spec) && cardsOf(spec).interfaces.length > 0

/** Why the machine has to be restarted to have the networks of its template. */
export function networksReason(machine: StoredObject, instance: StoredObject): string | undefined {
  const wanted = wantedCards(machine)
  const given = givenCards(instance)
  if (!given || equalJson(wanted, given)) return undefined
  const current = cardsOf(instance.spec)
  const isGone = (one: any, among: any[]) => !named(among, one.name)
  if (current.interfaces.some((card) => isGone(card, wanted.interfaces))) return changed
  if (current.networks.some((network) => isGone(network, wanted.networks))) return changed
  if (wanted.networks.some(({ pod }) => pod) && !current.networks.some(({ pod }) => pod)) return changed
  if (given.interfaces.some((card) => !equalButState(card, named(wanted.interfaces, card.name)))) return changed
  if (given.networks.some((network) => !equalJson(network, named(wanted.networks, network.name)))) return changed
  const added = wanted.interfaces.filter((card) => isGone(card, current.interfaces) && !isAbsent(card))
  // KubeVirt says nothing of a new card that cannot be plugged.
  const isTaken = (card: any) => takesCards(instance) && isPluggable(card, wanted.networks)
  return added.every(isTaken) ? undefined : changed
}

export interface CarriedCards {
  interfaces: any[]
  networks: any[]
  /** The annotation that goes with them. */
  given: string
}

/** Cards and networks of the instance, with what of the template it can take; undefined where nothing is new. */
export function carriedCards(machine: StoredObject, instance: StoredObject): CarriedCards | undefined {
  const wanted = wantedCards(machine)
  const given = givenCards(instance)
  if (!given) return undefined
  const current = cardsOf(instance.spec)
  const kept = current.interfaces
    // What is absent goes when the guest does not have it any more, and has been told first.
    .filter((card) => !isAbsent(card) || named(reported(instance), card.name))
    .map((card) => inState(card, named(wanted.interfaces, card.name)))
  const isNew = (card: any) =>
    !named(current.interfaces, card?.name) && !isAbsent(card) && isPluggable(card, wanted.networks)
  const added = takesCards(instance) ? wanted.interfaces.filter(isNew) : []
  const interfaces = [...kept, ...added]
  if (equalJson(interfaces, current.interfaces)) return undefined
  const joined = networksOf(wanted.networks, added)
  const stays = (one: any) => named(interfaces, one.name)
  return {
    interfaces,
    networks: [...networksOf(current.networks, kept), ...joined],
    given: JSON.stringify({
      interfaces: [...given.interfaces.filter(stays), ...added],
      networks: [...given.networks.filter(stays), ...joined],
    }),
  }
}

/** One that is on its way out comes back when it is gone. */
function inState(card: any, wanted: any): any {
  if (!wanted || isAbsent(card) || wanted.state === card.state) return card
  const { state: _, ...rest } = card
  return wanted.state ? { ...rest, state: wanted.state } : rest
}

/** The merge patch that takes cards out of the template which are absent, and that no instance has any more. */
export function withoutAbsentCards(machine: StoredObject, instance: StoredObject | undefined): object | undefined {
  // A guest that sleeps still has them.
  if (isSaved(machine) || instance?.metadata.deletionTimestamp) return undefined
  const { interfaces, networks } = wantedCards(machine)
  const current = instance ? [...cardsOf(instance.spec).interfaces, ...reported(instance)] : []
  const kept = interfaces.filter((card) => !isAbsent(card) || named(current, card.name))
  if (kept.length === interfaces.length) return undefined
  const spec = { networks: networksOf(networks, kept), domain: { devices: { interfaces: kept } } }
  return { metadata: { resourceVersion: machine.metadata.resourceVersion }, spec: { template: { spec } } }
}
