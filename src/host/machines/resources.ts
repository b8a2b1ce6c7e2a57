// Memory and processors of a machine, derived from its spec the way KubeVirt 1.8 does (pkg/virt-launcher/virtwrap/
// converter/vcpu, pkg/hypervisor/kvm), and what the QEMU process needs on top.

import { parseQuantity, quantityMilli } from '../../api/quantity.ts'
import { Inexpressible } from './option.ts'
import type { Domain } from './vmi.ts'

export interface Topology {
  sockets: number
  cores: number
  threads: number
}

/** @throws Error when the text is no quantity. */
export const quantity = (text: string | number): number => Number(quantityMilli(parseQuantity(String(text)))) / 1000

const mebibyte = 1024 * 1024

export const vcpus = (topology: Topology): number => topology.sockets * topology.cores * topology.threads

/** domain.cpu; else as many sockets as the CPU limit or request asks for; else one. */
export function topologyOf(domain: Domain): Topology {
  const { sockets, cores, threads } = domain.cpu ?? {}
  if (sockets || cores || threads) return checked({ sockets: sockets || 1, cores: cores || 1, threads: threads || 1 })
  const asked = domain.resources?.limits?.cpu ?? domain.resources?.requests?.cpu
  return checked({ sockets: asked === undefined ? 1 : Math.max(1, Math.ceil(quantity(asked))), cores: 1, threads: 1 })
}

/** QEMU 7.2: pc has at most 255 processors, q35 288. */
function checked(topology: Topology): Topology {
  if (vcpus(topology) > 255) throw new Inexpressible(`spec.domain.cpu: ${vcpus(topology)} processors are more than 255`)
  return topology
}

/** domain.memory.guest, else the request, else the limit. */
export function guestMemory(domain: Domain): number {
  const asked = domain.memory?.guest ?? domain.resources?.requests?.memory ?? domain.resources?.limits?.memory
  if (asked === undefined)
    throw new Inexpressible('spec.domain.memory.guest is not set, and spec.domain.resources names no memory either')
  const bytes = quantity(asked)
  if (bytes < mebibyte) throw new Inexpressible(`spec.domain.memory: ${asked} is less than 1Mi`)
  return Math.floor(bytes / mebibyte) * mebibyte
}

/** Size of TCG's cache of translated code: too small and a big guest translates the same code again and again. */
export const translationCacheMiB = (memoryBytes: number): number =>
  Math.min(512, Math.max(64, 2 ** Math.floor(Math.log2(memoryBytes / mebibyte / 2))))

/** What a QEMU process may take beside the guest's memory: itself, page tables, video, processors, translated code. */
export function overheadBytes(memoryBytes: number, topology: Topology, accelerator: 'kvm' | 'tcg'): number {
  const fixed = 192 * mebibyte + memoryBytes / 512 + vcpus(topology) * 8 * mebibyte
  return Math.ceil(accelerator === 'tcg' ? fixed + translationCacheMiB(memoryBytes) * mebibyte * 1.25 : fixed)
}

/** The Pod's class that KubeVirt reports for the machine (core/v1 QoS rules on the one launcher container). */
export function qosClass(domain: Domain): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const { requests = {}, limits = {} } = domain.resources ?? {}
  const same = (name: string) =>
    limits[name] !== undefined && quantity(requests[name] ?? limits[name]!) === quantity(limits[name]!)
  if (same('cpu') && same('memory')) return 'Guaranteed'
  const any = Object.keys(requests).length || Object.keys(limits).length || domain.memory?.guest !== undefined
  return any ? 'Burstable' : 'BestEffort'
}
