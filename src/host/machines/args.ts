// A machine's plan → the command line of QEMU 7.2. Pure; golden files in ./golden show it whole.

import { cpuOption, isOn } from './args-cpu.ts'
import { memoryArgs, memoryBackend } from './args-memory.ts'
import { networkArgs, pluggedCardArgs } from './args-network.ts'
import { storageArgs } from './args-storage.ts'
import { filesystemArgs } from './filesystems.ts'
import { hostDeviceArgs } from './host-devices.ts'
import { hotplugPortArgs, pluggedArgs } from './hotplug-plan.ts'
import { kernelArgs } from './kernel-boot.ts'
import { Inexpressible, option } from './option.ts'
import { isQ35, type MachinePlan, machineFiles } from './plan.ts'
import { growthArgs, memoryValues, smpValues } from './resize-plan.ts'
import { translationCacheMiB } from './resources.ts'
import { tpmArgs } from './tpm.ts'
import { clientPortArgs, usbController, usesUsb } from './usb.ts'
import { disksOf } from './vmi.ts'

export function qemuArgs(plan: MachinePlan): string[] {
  return [
    ...baseArgs(plan),
    ...memoryArgs(plan),
    ...firmwareArgs(plan),
    ...kernelArgs(plan.kernel),
    ...channelArgs(plan),
    ...networkArgs(plan),
    ...storageArgs(plan),
    ...hotplugPortArgs(plan),
    ...growthArgs(plan.growth),
    ...pluggedArgs(plan),
    ...pluggedCardArgs(plan),
    ...filesystemArgs(plan.spec),
    ...hostDeviceArgs(plan.hostDevices),
    ...deviceArgs(plan),
    ...tpmArgs(plan.spec),
  ]
}

function baseArgs(plan: MachinePlan): string[] {
  const { domain, startStrategy } = plan.spec
  const q35 = isQ35(plan)
  const machine = option(domain.machine?.type || 'q35', {
    'dump-guest-core': false,
    vmport: false,
    smm: isOn(domain.features?.smm) || plan.firmware?.secure === true,
    acpi: domain.features?.acpi?.enabled === false ? false : undefined,
    hpet: domain.clock?.timer?.hpet?.present === false ? false : undefined,
    pflash0: plan.firmware && 'firmware-code',
    pflash1: plan.firmware && 'firmware-vars',
    'memory-backend': memoryBackend(plan),
  })
  if (plan.firmware?.secure && !q35)
    throw new Inexpressible('spec.domain.firmware.bootloader.efi.secureBoot needs a machine of type q35')
  return [
    '-nodefaults',
    '-no-user-config',
    ...['-name', option('', { guest: plan.title })],
    ...['-machine', machine],
    ...['-accel', acceleratorOption(plan)],
    ...['-cpu', cpuOption(plan)],
    ...['-smp', option('', smpValues(plan.topology, plan.room?.maxSockets))],
    ...['-m', option('', memoryValues(plan.memoryBytes, plan.room?.maxMemoryBytes))],
    ...['-overcommit', option('', { 'mem-lock': false })],
    ...['-uuid', plan.uuid],
    ...smbiosArgs(plan),
    ...['-rtc', rtcOption(plan)],
    ...['-boot', option('', { strict: true, menu: false })],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-action', 'shutdown=pause,panic=pause,reboot=reset'],
    ...['-msg', option('', { timestamp: true })],
    ...(startStrategy === 'Paused' && !plan.resuming ? ['-S'] : []),
    ...(plan.resuming ? ['-incoming', 'defer'] : []),
  ]
}

function acceleratorOption(plan: MachinePlan): string {
  if (plan.accelerator === 'kvm') return 'kvm'
  return option('tcg', { thread: 'multi', 'tb-size': translationCacheMiB(plan.memoryBytes) })
}

function smbiosArgs(plan: MachinePlan): string[] {
  const { firmware, chassis } = plan.spec.domain
  const system = { manufacturer: 'Tandem', product: 'Virtual Machine', serial: firmware?.serial, uuid: plan.uuid }
  const args = ['-smbios', option('', { type: 1, ...system })]
  if (chassis) {
    const { manufacturer, version, serial, asset, sku } = chassis
    args.push('-smbios', option('', { type: 3, manufacturer, version, serial, asset, sku }))
  }
  return args
}

function rtcOption(plan: MachinePlan): string {
  const { clock } = plan.spec.domain
  const offset = clock?.utc?.offsetSeconds
  const catchUp = clock?.timer?.rtc?.tickPolicy === 'catchup'
  if (offset) throw new Inexpressible('spec.domain.clock.utc.offsetSeconds: only 0 is supported')
  return option('', { base: 'utc', driftfix: catchUp ? 'slew' : undefined })
}

function firmwareArgs(plan: MachinePlan): string[] {
  const { firmware } = plan
  if (!firmware) return []
  const flash = (name: string, filename: string, readOnly: boolean) => [
    '-blockdev',
    JSON.stringify({ driver: 'raw', 'node-name': name, 'read-only': readOnly, file: { driver: 'file', filename } }),
  ]
  return [
    ...flash('firmware-code', firmware.code, true),
    ...flash('firmware-vars', firmware.vars, false),
    ...(firmware.secure ? ['-global', option('', { driver: 'cfi.pflash01', property: 'secure', value: true })] : []),
  ]
}

/** QMP, serial console, guest agent: unix sockets in the machine's directory. */
function channelArgs(plan: MachinePlan): string[] {
  const socket = (id: string, path: string, more = {}) => [
    '-chardev',
    option('socket', { id, path, server: true, wait: false, ...more }),
  ]
  const { devices } = plan.spec.domain
  const log = devices?.logSerialConsole === false ? {} : { logfile: machineFiles.serialLog, logappend: true }
  const serial =
    devices?.autoattachSerialConsole === false
      ? []
      : [
          ...socket('serial0', machineFiles.console, log),
          ...['-device', option('isa-serial', { id: 'console0', chardev: 'serial0', index: 0 })],
        ]
  return [
    ...socket('qmp', machineFiles.qmp),
    ...['-mon', option('', { chardev: 'qmp', mode: 'control' })],
    ...socket('handover', machineFiles.handover),
    ...['-mon', option('', { chardev: 'handover', mode: 'control' })],
    ...serial,
    ...['-device', option('virtio-serial-pci', { id: 'virtio-serial0' })],
    ...socket('agent0', machineFiles.agent),
    ...['-device', option('virtserialport', { id: 'guest-agent', chardev: 'agent0', name: 'org.qemu.guest_agent.0' })],
  ]
}

const tablets: Record<string, string> = { usb: 'usb-tablet', virtio: 'virtio-tablet-pci' }
const keyboards: Record<string, string> = { usb: 'usb-kbd', virtio: 'virtio-keyboard-pci' }

function videoOption(type = 'vga'): string {
  const id = 'video0'
  switch (type) {
    case 'vga':
      return option('VGA', { id, vgamem_mb: 16 })
    case 'virtio':
      return option('virtio-vga', { id })
    case 'bochs':
      return option('bochs-display', { id })
    case 'cirrus':
      return option('cirrus-vga', { id })
    default:
      throw new Inexpressible(`spec.domain.devices.video.type: ${type} is none of vga, virtio, bochs and cirrus`)
  }
}

function deviceArgs(plan: MachinePlan): string[] {
  const { devices = {} } = plan.spec.domain
  const inputs =
    devices.inputs ?? (devices.autoattachInputDevice ? [{ name: 'tablet', type: 'tablet', bus: 'usb' }] : [])
  const usbDisk = disksOf(plan.spec).some((disk) => (disk.disk ?? disk.cdrom)?.bus === 'usb')
  const args = [
    ...['-object', option('rng-random', { id: 'rng0', filename: '/dev/urandom' })],
    ...['-device', option('virtio-rng-pci', { rng: 'rng0' })],
    ...['-device', 'pvpanic'],
  ]
  if (devices.autoattachMemBalloon !== false)
    args.push('-device', option('virtio-balloon-pci', { id: 'balloon0', 'free-page-reporting': true }))
  if (devices.autoattachGraphicsDevice === false) args.push('-display', 'none')
  else args.push('-device', videoOption(devices.video?.type), '-vnc', option(`unix:${machineFiles.vnc}`))
  if (usesUsb(plan.spec) && !usbDisk) args.push(...usbController(plan.spec))
  args.push(...clientPortArgs(plan.spec))
  for (const input of inputs) {
    const known = input.type === 'tablet' ? tablets : input.type === 'keyboard' ? keyboards : {}
    const device = known[input.bus || 'usb']
    if (!device) throw new Inexpressible(`spec.domain.devices.inputs[${input.name}]: ${input.type} on ${input.bus}`)
    args.push('-device', device)
  }
  if (devices.watchdog) {
    const action = devices.watchdog.i6300esb?.action || 'reset'
    args.push('-device', 'i6300esb', '-action', option('', { watchdog: action }))
  }
  return args
}
