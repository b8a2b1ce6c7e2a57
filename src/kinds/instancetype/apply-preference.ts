// A preference on the spec of an instance: it fills in what the machine leaves open and never overrides
// (pkg/instancetype/preference/apply, KubeVirt 1.9).

import type { Target } from './apply-instancetype.ts'

/** Sets what is not there. */
function fill(owner: any, field: string, value: unknown): void {
  if (value !== undefined && value !== null && value !== '' && (owner[field] === undefined || owner[field] === ''))
    owner[field] = structuredClone(value)
}

export function applyPreference({ spec, annotations }: Target, preference: any): void {
  const { domain } = spec
  domain.devices ??= {}
  preferNetwork(spec)
  preferDevices(domain.devices, preference.devices ?? {}, spec.networks)
  preferFeatures(domain, preference.features)
  preferFirmware(domain, preference.firmware)
  preferClock(domain, preference.clock)
  const machineType = preference.machine?.preferredMachineType
  if (machineType) {
    domain.machine ??= {}
    fill(domain.machine, 'type', machineType)
  }
  const features = preference.cpu?.preferredCPUFeatures
  if (features?.length) {
    domain.cpu ??= {}
    const named = new Set((domain.cpu.features ?? []).map((one: any) => one.name))
    const added = features.filter((one: any) => !named.has(one.name))
    domain.cpu.features = [...(domain.cpu.features ?? []), ...structuredClone(added)]
  }
  fill(spec, 'subdomain', preference.preferredSubdomain)
  fill(spec, 'terminationGracePeriodSeconds', preference.preferredTerminationGracePeriodSeconds)
  fill(spec, 'architecture', preference.preferredArchitecture)
  fill(domain, 'launchSecurity', preference.preferredLaunchSecurity)
  for (const [name, value] of Object.entries(preference.annotations ?? {})) annotations[name] ??= String(value)
}

/** The interface that a machine without any would get: preferences speak of it as well. */
function preferNetwork(spec: any): void {
  const { devices } = spec.domain
  if (devices.autoattachPodInterface === false || devices.interfaces?.length || spec.networks?.length) return
  devices.interfaces = [{ name: 'default' }]
  spec.networks = [{ name: 'default', pod: {} }]
}

/** Fields of devices that take the preferred value as it is. */
const plain: Record<string, string> = {
  autoattachGraphicsDevice: 'preferredAutoattachGraphicsDevice',
  autoattachMemBalloon: 'preferredAutoattachMemBalloon',
  autoattachPodInterface: 'preferredAutoattachPodInterface',
  autoattachSerialConsole: 'preferredAutoattachSerialConsole',
  autoattachInputDevice: 'preferredAutoattachInputDevice',
  disableHotplug: 'preferredDisableHotplug',
  useVirtioTransitional: 'preferredUseVirtioTransitional',
  rng: 'preferredRng',
  blockMultiQueue: 'preferredBlockMultiQueue',
  networkInterfaceMultiqueue: 'preferredNetworkInterfaceMultiQueue',
  tpm: 'preferredTPM',
}

const bindings = ['bridge', 'masquerade', 'sriov', 'passtBinding', 'binding', 'slirp', 'macvtap', 'passt']

function preferDevices(devices: any, wish: any, networks: any[] = []): void {
  for (const [field, from] of Object.entries(plain)) fill(devices, field, wish[from])
  if (devices.sound) fill(devices.sound, 'model', wish.preferredSoundModel)
  if (wish.preferredVideoType && devices.autoattachGraphicsDevice !== false)
    fill(devices, 'video', { type: wish.preferredVideoType })
  for (const device of devices.panicDevices ?? []) fill(device, 'model', wish.preferredPanicDeviceModel)
  for (const gpu of devices.gpus ?? []) fill(gpu, 'virtualGPUOptions', wish.preferredVirtualGPUOptions)
  for (const disk of devices.disks ?? []) preferDisk(disk, wish)
  if (devices.autoattachInputDevice && !devices.inputs?.length) devices.inputs = [{ name: 'default-0' }]
  for (const input of devices.inputs ?? []) {
    fill(input, 'bus', wish.preferredInputBus)
    fill(input, 'type', wish.preferredInputType)
  }
  const pod = networks.find((network) => network?.pod)?.name
  for (const card of devices.interfaces ?? []) {
    fill(card, 'model', wish.preferredInterfaceModel)
    if (bindings.some((binding) => card[binding] !== undefined)) continue
    if (wish.preferredInterfaceMasquerade && card.name === pod) card.masquerade = {}
    else card.bridge = {}
  }
}

function preferDisk(disk: any, wish: any): void {
  if (disk.cdrom) fill(disk.cdrom, 'bus', wish.preferredCdromBus)
  else if (disk.lun) fill(disk.lun, 'bus', wish.preferredLunBus)
  else preferPlainDisk(disk, wish)
}

function preferPlainDisk(disk: any, wish: any): void {
  disk.disk ??= {}
  fill(disk.disk, 'bus', wish.preferredDiskBus)
  fill(disk, 'cache', wish.preferredDiskCache)
  fill(disk, 'io', wish.preferredDiskIO)
  fill(disk, 'blockSize', wish.preferredDiskBlockSize)
  if (disk.disk.bus === 'virtio') fill(disk, 'dedicatedIOThread', wish.preferredDiskDedicatedIoThread)
}

function preferFeatures(domain: any, wish: any): void {
  if (!wish) return
  domain.features ??= {}
  const { features } = domain
  for (const name of ['Acpi', 'Apic', 'Kvm', 'Pvspinlock', 'Smm'])
    fill(features, name.toLowerCase(), wish[`preferred${name}`])
  if (!wish.preferredHyperv) return
  features.hyperv ??= {}
  for (const [name, value] of Object.entries(wish.preferredHyperv)) fill(features.hyperv, name, value)
}

function preferFirmware(domain: any, wish: any): void {
  if (!wish) return
  domain.firmware ??= {}
  const loader = { ...domain.firmware.bootloader }
  if (wish.preferredUseBios && !loader.bios && !loader.efi) loader.bios = {}
  if (wish.preferredUseBiosSerial && loader.bios) fill(loader.bios, 'useSerial', true)
  if (!loader.efi && !loader.bios) {
    if (wish.preferredEfi) loader.efi = structuredClone(wish.preferredEfi)
    else if (wish.preferredUseEfi) loader.efi = { secureBoot: wish.preferredUseSecureBoot === true }
  }
  if (Object.keys(loader).length) domain.firmware.bootloader = loader
}

function preferClock(domain: any, wish: any): void {
  if (!wish) return
  const clock = { ...domain.clock }
  if (wish.preferredClockOffset && clock.utc === undefined && clock.timezone === undefined)
    Object.assign(clock, structuredClone(wish.preferredClockOffset))
  fill(clock, 'timer', wish.preferredTimer)
  domain.clock = clock
}
