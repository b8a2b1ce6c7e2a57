// Which cards of a machine may come and go while its guest runs: those on further networks, by a bridge; and every card's
// cable may be pulled. Pure; rules of KubeVirt 1.9 (pkg/network/controllers, pkg/network/vmliveupdate).

import type { FieldError } from '../../api/errors.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden } from '../../api/walk/rules.ts'

export interface Cards {
  interfaces: any[]
  networks: any[]
}

const list = (value: unknown): any[] => (Array.isArray(value) ? value : [])

export const cardsOf = (spec: any): Cards => ({
  interfaces: list(spec?.domain?.devices?.interfaces),
  networks: list(spec?.networks),
})

export const named = (items: any[], name: string): any => items.find((item) => item?.name === name)

export const isAbsent = (card: any): boolean => card?.state === 'absent'

/** A card on a further network, with the binding that can be made beside a guest that runs. */
export const isPluggable = (card: any, networks: any[]): boolean =>
  Boolean(card?.bridge && named(networks, card.name)?.multus)

/** Nothing can be plugged into a guest without ports, or that is told of none. */
export const takesPlugs = ({ domain }: any): boolean =>
  domain?.devices?.disableHotplug !== true && domain?.features?.acpi?.enabled !== false

export function equalButState(one: any, other: any): boolean {
  const { state: _, ...rest } = one ?? {}
  const { state: __, ...otherRest } = other ?? {}
  return equalJson(rest, otherRest)
}

/** The networks that a card is on. */
export const networksOf = (networks: any[], interfaces: any[]): any[] =>
  networks.filter((network) => named(interfaces, network?.name))

/** Changes of an instance's cards: what cannot be done beside a guest that runs is refused. */
export function validateLiveCards(spec: any, old: any, field: string): FieldError[] {
  const [now, before] = [cardsOf(spec), cardsOf(old)]
  const isSame = before.interfaces.every((card) => {
    const today = named(now.interfaces, card?.name)
    if (!today) return isAbsent(card)
    return equalButState(today, card) && (!isAbsent(card) || isAbsent(today))
  })
  const isNewTaken = now.interfaces.every(
    (card) => named(before.interfaces, card?.name) || (isPluggable(card, now.networks) && takesPlugs(spec)),
  )
  const areNetworks = now.networks.every((network) => {
    const known = named(before.networks, network?.name)
    return !known || !named(before.interfaces, network?.name) || equalJson(known, network)
  })
  return isSame && isNewTaken && areNetworks ? [] : [forbidden(field, 'update of VMI object is restricted')]
}
