// What KubeVirt's webhooks fill in (pkg/virt-api/webhooks/mutating-webhook and pkg/defaults, KubeVirt 1.7, amd64).

import type { ApiObject } from '../../api/meta.ts'
import { formatQuantity, quantityOf, quantityValue, tryParseQuantity } from '../../api/quantity.ts'
import { memoryChangeProblem } from './live-changes.ts'

const growthRatio = 4
/** What QEMU's machines take. */
const mostProcessors = 255

/** For the template of a VirtualMachine: what would otherwise change the guest when a newer Tandem starts it. */
export function defaultTemplate(spec: any, isPreferred = false): void {
  if (!spec || typeof spec !== 'object') return
  if (!isPreferred) spec.architecture ||= 'amd64'
  if (!spec.domain || typeof spec.domain !== 'object') return
  if (!isPreferred) {
    spec.domain.machine ??= {}
    spec.domain.machine.type ||= 'q35'
  }
  spec.domain.devices ??= {}
  spec.domain.resources ??= {}
}

/** The guest keeps its hardware's identity over restarts. */
export function identify(spec: any, old?: any): void {
  if (!spec?.domain) return
  const before = old?.domain?.firmware
  spec.domain.firmware ??= {}
  spec.domain.firmware.uuid ||= before?.uuid ?? crypto.randomUUID()
  spec.domain.firmware.serial ||= before?.serial ?? crypto.randomUUID()
}

export function defaultInstance({ spec }: ApiObject): void {
  if (!spec?.domain || typeof spec.domain !== 'object') return
  defaultTemplate(spec)
  const { domain } = spec
  domain.features ??= {}
  domain.features.acpi ??= {}
  for (const [name, feature] of Object.entries<any>(domain.features)) {
    if (name === 'kvm' || name === 'hyperv') continue
    if (feature && typeof feature === 'object' && !Array.isArray(feature)) feature.enabled ??= true
  }
  spec.evictionStrategy ??= 'None'
  defaultCpu(domain)
  defaultMemory(domain)
  defaultDisks(spec)
  defaultNetwork(spec)
  for (const input of list(domain.devices.inputs)) {
    input.bus ||= 'usb'
    input.type ||= 'tablet'
  }
  for (const probe of [spec.livenessProbe, spec.readinessProbe]) if (probe) defaultProbe(probe)
}

function defaultCpu(domain: any): void {
  domain.cpu ??= {}
  const { cpu } = domain
  if (!cpu.cores && !cpu.sockets && !cpu.threads) {
    const { limits = {}, requests = {} } = domain.resources
    const asked = tryParseQuantity(String(limits.cpu ?? requests.cpu ?? '1'))
    cpu.sockets = Math.max(1, asked ? Number(quantityValue(asked)) : 1)
  }
  cpu.cores ||= 1
  cpu.sockets ||= 1
  cpu.threads ||= 1
  cpu.model ||= 'host-model'
  // Room to grow without a restart (pkg/defaults setupCPUHotplug: four times as many sockets).
  if (!cpu.maxSockets && !cpu.dedicatedCpuPlacement && !cpu.numa && !cpu.realtime) {
    const most = Math.floor(mostProcessors / (cpu.cores * cpu.threads))
    cpu.maxSockets = Math.max(cpu.sockets, Math.min(cpu.sockets * growthRatio, most))
  }
}

/** memory.guest and requests.memory stand for each other when only one is given. */
function defaultMemory(domain: any): void {
  domain.memory ??= {}
  const { resources } = domain
  const asked = resources.requests?.memory ?? resources.limits?.memory
  if (domain.memory.guest === undefined && asked !== undefined) domain.memory.guest = asked
  if (domain.memory.guest !== undefined && asked === undefined)
    resources.requests = { ...resources.requests, memory: domain.memory.guest }
  const guest = tryParseQuantity(String(domain.memory.guest ?? ''))
  if (domain.memory.maxGuest !== undefined || domain.memory.hugepages || !guest) return
  if (domain.features?.acpi?.enabled === false) return
  const most = quantityOf(quantityValue(guest) * BigInt(growthRatio), 'BinarySI')
  if (!memoryChangeProblem(guest, most)) domain.memory.maxGuest = formatQuantity(most)
}

/** A volume that no disk names becomes a plain disk; SATA is what every guest can boot from. */
function defaultDisks(spec: any): void {
  const { devices } = spec.domain
  const named = new Set([...list(devices.disks), ...list(devices.filesystems)].map(({ name }) => name))
  // A memory dump is nothing that the guest sees.
  const disks = list(spec.volumes).filter((volume) => typeof volume.name === 'string' && !volume.memoryDump)
  const missing = disks.filter((volume) => !named.has(volume.name))
  if (missing.length) devices.disks = [...list(devices.disks), ...missing.map(({ name }) => ({ name }))]
  for (const disk of list(devices.disks)) {
    if (!disk.disk && !disk.cdrom && !disk.lun) disk.disk = {}
    for (const device of [disk.disk, disk.cdrom, disk.lun]) if (device) device.bus ||= 'sata'
    if (!disk.cdrom) continue
    disk.cdrom.readonly ??= true
    disk.cdrom.tray ||= 'closed'
  }
}

function defaultNetwork(spec: any): void {
  const { devices } = spec.domain
  if (devices.autoattachPodInterface === false || list(devices.interfaces).length || list(spec.networks).length) return
  devices.interfaces = [{ name: 'default', bridge: {} }]
  spec.networks = [{ name: 'default', pod: {} }]
}

function defaultProbe(probe: any): void {
  const least = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }
  for (const [name, value] of Object.entries(least)) if (!(probe[name] >= 1)) probe[name] = value
}

const list = (value: unknown): any[] =>
  Array.isArray(value) ? value.filter((item) => item && typeof item === 'object') : []
