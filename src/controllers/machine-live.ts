// What a changed template means for the instance that runs: volumes and cards that come and go, more sockets, more or less
// memory reach it as it runs, everything else waits for a restart. Pure; rules and texts of KubeVirt's virt-controller (1.9).

import type { StoredObject } from '../api/meta.ts'
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  type Quantity,
  quantityValue,
  subtractQuantities,
  tryParseQuantity,
} from '../api/quantity.ts'
import { equalJson } from '../api/walk/plain.ts'
import { claimSizesAnnotation, claimSizesText } from '../kinds/kubevirt/claim-sizes.ts'
import { ephemeralVolumesOf, fixedDisks, hotVolumes, memoryChangeProblem } from '../kinds/kubevirt/live-changes.ts'
import { findCondition } from './conditions.ts'
import { carriedCards, networksReason } from './machine-networks.ts'
import { generationAnnotation, networksAnnotation, templateAnnotation, templateMark } from './machine-plan.ts'
import { isFinished } from './pod-state.ts'

const isLive = (instance: StoredObject): boolean =>
  instance.status?.phase === 'Running' && !instance.metadata.deletionTimestamp

/** What instance types bring changes with their revision only, and that is a change like any other. */
const isTyped = ({ spec }: StoredObject): boolean => spec.instancetype !== undefined

/** Made from what the template says today, but for what may change while it runs. */
function isMadeFrom(machine: StoredObject, { metadata: { annotations = {} } }: StoredObject): boolean {
  return annotations[templateAnnotation] === templateMark(machine, annotations[networksAnnotation] === undefined)
}

/** Why the machine has to be restarted to be as its template says; undefined when it has not. */
export function restartReason(machine: StoredObject, instance: StoredObject): string | undefined {
  if (isFinished(instance)) return undefined
  if (instance.metadata.annotations?.[templateAnnotation] === undefined) return undefined
  if (!isMadeFrom(machine, instance)) return 'a non-live-updatable field was changed in the template spec'
  const networks = networksReason(machine, instance)
  if (networks) return networks
  if (isTyped(machine) || !isLive(instance)) return undefined
  return socketsProblem(machine, instance) ?? memoryProblem(machine, instance)
}

const domainOf = (object: StoredObject): any =>
  (object.kind === 'VirtualMachine' ? object.spec.template?.spec : object.spec)?.domain ?? {}

/** undefined: the template has no say in it. */
function socketsWanted(machine: StoredObject): number | undefined {
  const { cpu } = domainOf(machine)
  return cpu?.sockets || (cpu?.cores || cpu?.threads ? 1 : undefined)
}

function socketsProblem(machine: StoredObject, instance: StoredObject): string | undefined {
  const wanted = socketsWanted(machine)
  const { sockets = 1, maxSockets = sockets } = domainOf(instance).cpu ?? {}
  if (wanted === undefined || wanted === sockets) return undefined
  if (wanted > maxSockets) return "CPU sockets updated in template spec to a value higher than what's available"
  return wanted < sockets ? 'Reduction of CPU socket count requires a restart' : undefined
}

const amount = (text: unknown): Quantity | undefined =>
  text === undefined ? undefined : tryParseQuantity(String(text))

function memoryWanted(machine: StoredObject, instance: StoredObject): { wanted: Quantity; now: Quantity } | undefined {
  const wanted = amount(domainOf(machine).memory?.guest)
  const now = amount(domainOf(instance).memory?.guest)
  return wanted && now && compareQuantities(wanted, now) !== 0 ? { wanted, now } : undefined
}

function memoryProblem(machine: StoredObject, instance: StoredObject): string | undefined {
  const updated = 'memory updated in template spec'
  const change = memoryWanted(machine, instance)
  const failed = findCondition(instance.status?.conditions, 'HotMemoryChange')?.status === 'False'
  if (failed) return `${updated}. Memory-hotplug failed and is not available for this VM configuration`
  if (!change) return undefined
  const most = amount(domainOf(instance).memory?.maxGuest)
  if (!most) return `${updated}. Memory-hotplug is not available for this VM configuration`
  const atBoot = amount(instance.status?.memory?.guestAtBoot)
  if (atBoot && compareQuantities(change.wanted, atBoot) < 0)
    return `${updated} to a value lower than what the VM started with`
  if (compareQuantities(change.wanted, most) > 0) return `${updated} to a value higher than what's available`
  const problem = memoryChangeProblem(change.wanted, most)
  return problem && `memory hotplug not supported, ${problem}`
}

/** The merge patch that brings the instance up to its machine's template; undefined when it is. */
export function livePatch(machine: StoredObject, instance: StoredObject): object | undefined {
  if (!isLive(instance)) return undefined
  const spec = { ...volumesPatch(machine, instance), ...resourcesPatch(machine, instance) }
  const cards = carriedCards(machine, instance)
  const { volumes, disks, ...domain } = spec
  if (!Object.keys(spec).length && !cards) return undefined
  const { resourceVersion } = instance.metadata
  const isWhole = isMadeFrom(machine, instance) && !networksReason(machine, instance)
  const annotations = {
    ...(isWhole && { [generationAnnotation]: String(machine.metadata.generation ?? 1) }),
    ...(cards && { [networksAnnotation]: cards.given }),
  }
  const devices = { ...(disks && { disks }), ...(cards && { interfaces: cards.interfaces }) }
  return {
    metadata: { resourceVersion, ...(Object.keys(annotations).length && { annotations }) },
    spec: {
      ...(volumes && { volumes }),
      ...(cards && { networks: cards.networks }),
      domain: { ...domain, ...(Object.keys(devices).length && { devices }) },
    },
  }
}

/** The text that tells the driver of claims that are larger than the guest knows; undefined when none is. */
export function grownClaims(
  instance: StoredObject,
  claimOf: (name: string) => StoredObject | undefined,
): string | undefined {
  if (!isLive(instance)) return undefined
  const sizes = new Map<string, number>()
  for (const { persistentVolumeClaimInfo: info } of (instance.status?.volumeStatus ?? []) as any[]) {
    const now = amount(info && claimOf(info.claimName)?.status?.capacity?.storage)
    const known = amount(info?.capacity?.storage)
    if (now && known && compareQuantities(now, known) > 0) sizes.set(info.claimName, Number(quantityValue(now)))
  }
  const text = sizes.size ? claimSizesText(sizes) : undefined
  return text === instance.metadata.annotations?.[claimSizesAnnotation] ? undefined : text
}

function volumesPatch(machine: StoredObject, instance: StoredObject): { volumes?: any[]; disks?: any[] } {
  const template = machine.spec.template?.spec ?? {}
  const wanted = hotVolumes(template)
  if (!wanted.size && !hotVolumes(instance.spec).size) return {}
  const ephemeral = ephemeralVolumesOf(instance.metadata.annotations)
  const volumes: any[] = instance.spec.volumes ?? []
  const disks: any[] = instance.spec.domain.devices?.disks ?? []
  const templateDisks: any[] = template.domain?.devices?.disks ?? []
  const named = (items: any[], name: string) => items.find((item) => item.name === name)
  const hot = hotVolumes(instance.spec)
  const fixed = fixedDisks(instance.spec)
  const isSame = (volume: any): boolean => {
    const { name } = volume
    const [disk, known] = [named(templateDisks, name), named(disks, name)]
    return equalJson(wanted.get(name), volume) && (known?.cdrom || equalJson(disk, known))
  }
  const kept = volumes.filter((volume) => !hot.has(volume.name) || ephemeral.has(volume.name) || isSame(volume))
  // What is still being taken out comes back once it is gone.
  const statuses: any[] = instance.status?.volumeStatus ?? []
  const isNew = (volume: any) => !named(volumes, volume.name) && !named(statuses, volume.name)
  const added = [...wanted.values()].filter(isNew)
  if (!added.length && kept.length === volumes.length) return {}
  const comes = (disk: any) => named(added, disk.name) && !named(fixed, disk.name)
  return {
    volumes: [...kept, ...added],
    disks: [...disks.filter((disk) => fixed.includes(disk) || named(kept, disk.name)), ...templateDisks.filter(comes)],
  }
}

/** Sockets, memory, and what the instance may take, by as much more. */
function resourcesPatch(machine: StoredObject, instance: StoredObject): Record<string, any> {
  if (restartReason(machine, instance) || isTyped(machine)) return {}
  const domain = domainOf(instance)
  const patch: Record<string, any> = {}
  const grown: Record<string, Record<string, string>> = {}
  const grow = (resource: string, by: Quantity) => {
    for (const list of ['requests', 'limits']) {
      const had = amount(domain.resources?.[list]?.[resource])
      if (had) grown[list] = { ...grown[list], [resource]: formatQuantity(addQuantities(had, by)) }
    }
  }
  const sockets = socketsWanted(machine)
  if (sockets !== undefined && sockets !== (domain.cpu?.sockets ?? 1)) {
    const { cores = 1, threads = 1, sockets: before = 1 } = domain.cpu ?? {}
    patch.cpu = { sockets }
    grow('cpu', tryParseQuantity(String((sockets - before) * cores * threads))!)
  }
  const memory = memoryWanted(machine, instance)
  if (memory) {
    patch.memory = { guest: domainOf(machine).memory.guest }
    grow('memory', subtractQuantities(memory.wanted, memory.now))
  }
  if (Object.keys(grown).length) patch.resources = grown
  return patch
}
