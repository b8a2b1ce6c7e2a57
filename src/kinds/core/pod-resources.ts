// What a Pod asks for as a whole: its containers, sidecars and the neediest moment of its start, its own resources and
// overhead (component-helpers/resource/helpers.go, 1.36). Pure.

import { addQuantities, type Quantity, tryParseQuantity } from '../../api/quantity.ts'

export type Amounts = Map<string, Quantity>

const zero: Quantity = { nanos: 0n, format: 'DecimalSI' }

export const quantityFrom = (amount: unknown): Quantity => tryParseQuantity(String(amount ?? '0')) ?? zero

export function addAmounts(into: Amounts, amounts: Amounts): void {
  for (const [name, amount] of amounts) into.set(name, addQuantities(into.get(name) ?? zero, amount))
}

export function largestAmounts(into: Amounts, amounts: Amounts): void {
  for (const [name, amount] of amounts) {
    const known = into.get(name)
    if (!known || amount.nanos > known.nanos) into.set(name, amount)
  }
}

export const amountsOf = (amounts: Record<string, unknown> | undefined): Amounts =>
  new Map(Object.entries(amounts ?? {}).map(([name, amount]) => [name, quantityFrom(amount)]))

type Part = 'requests' | 'limits'

/** While a container is being resized, the larger of what it has and what it shall have counts. */
function containerAmounts(container: any, statuses: Map<string, any>, part: Part): Amounts {
  const amounts = amountsOf(container.resources?.[part])
  const status = statuses.get(container.name)
  if (status?.resources) largestAmounts(amounts, amountsOf(status.resources[part]))
  if (part === 'requests' && status?.allocatedResources) largestAmounts(amounts, amountsOf(status.allocatedResources))
  return amounts
}

function statusesOf(pod: any): Map<string, any> {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {}
  return new Map([...containerStatuses, ...initContainerStatuses].map((status: any) => [status.name, status]))
}

export function containersAmounts(pod: any, part: Part): Amounts {
  const spec = pod.spec ?? {}
  const statuses = statusesOf(pod)
  const total: Amounts = new Map()
  const sidecars: Amounts = new Map()
  const start: Amounts = new Map()
  for (const container of spec.containers ?? []) addAmounts(total, containerAmounts(container, statuses, part))
  for (const container of spec.initContainers ?? []) {
    const own = containerAmounts(container, statuses, part)
    if (container.restartPolicy === 'Always') {
      addAmounts(total, own)
      addAmounts(sidecars, own)
      largestAmounts(start, sidecars)
      continue
    }
    addAmounts(own, sidecars)
    largestAmounts(start, own)
  }
  largestAmounts(total, start)
  return total
}

const ofWholePod = (name: string): boolean => name === 'cpu' || name === 'memory' || name.startsWith('hugepages-')

export const hasPodResources = (spec: any): boolean =>
  [spec?.resources?.requests, spec?.resources?.limits].some((list) => Object.keys(list ?? {}).some(ofWholePod))

export function podAmounts(pod: any, part: Part): Amounts {
  const total = containersAmounts(pod, part)
  const spec = pod.spec ?? {}
  for (const [name, amount] of amountsOf(spec.resources?.[part])) if (ofWholePod(name)) total.set(name, amount)
  const overhead = amountsOf(spec.overhead)
  if (part === 'requests') addAmounts(total, overhead)
  // A Pod without a limit does not get one from its overhead.
  else for (const [name, amount] of overhead) if (total.has(name)) addAmounts(total, new Map([[name, amount]]))
  return total
}
