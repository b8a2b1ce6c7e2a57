// Which fields of a VirtualMachineInstance this driver honours. Everything else is refused by its name, so that nobody
// believes in a setting that does nothing.

import { disksOf, interfacesOf, type VmiSpec } from './vmi.ts'

/** true = taken with everything below it; an object = only these fields; [x] = a list of x. */
type Known = true | { [field: string]: Known } | [Known]

const target: Known = { bus: true, readonly: true, tray: true }

const cloudInit: Known = true

const timer: Known = { present: true, tickPolicy: true }

const domain: Known = {
  machine: { type: true },
  cpu: {
    model: true,
    sockets: true,
    cores: true,
    threads: true,
    maxSockets: true,
    features: [{ name: true, policy: true }],
  },
  memory: { guest: true, maxGuest: true },
  resources: { requests: true, limits: true },
  firmware: {
    uuid: true,
    serial: true,
    bootloader: { bios: { useSerial: true }, efi: { secureBoot: true } },
  },
  chassis: true,
  clock: { utc: { offsetSeconds: true }, timer: { hpet: timer, rtc: timer, pit: timer, kvm: timer } },
  features: { acpi: { enabled: true }, apic: true, smm: { enabled: true } },
  devices: {
    disks: [
      {
        name: true,
        disk: target,
        cdrom: target,
        bootOrder: true,
        serial: true,
        cache: true,
        io: true,
        errorPolicy: true,
        blockSize: { custom: { logical: true, physical: true } },
      },
    ],
    interfaces: [
      {
        name: true,
        model: true,
        macAddress: true,
        bootOrder: true,
        state: true,
        masquerade: true,
        bridge: true,
        ports: true,
      },
    ],
    inputs: [{ name: true, type: true, bus: true }],
    watchdog: { name: true, i6300esb: { action: true } },
    rng: true,
    autoattachPodInterface: true,
    autoattachGraphicsDevice: true,
    autoattachSerialConsole: true,
    logSerialConsole: true,
    autoattachMemBalloon: true,
    autoattachInputDevice: true,
    disableHotplug: true,
    // A promise of less than we give: one queue, no I/O thread of its own.
    blockMultiQueue: true,
    networkInterfaceMultiqueue: true,
  },
}

const probe: Known = {
  httpGet: true,
  tcpSocket: true,
  guestAgentPing: true,
  initialDelaySeconds: true,
  timeoutSeconds: true,
  periodSeconds: true,
  successThreshold: true,
  failureThreshold: true,
}

const spec: Known = {
  domain,
  networks: [{ name: true, pod: { vmNetworkCIDR: true } }],
  volumes: [
    {
      name: true,
      containerDisk: { image: true, imagePullSecret: true, path: true, imagePullPolicy: true },
      emptyDisk: { capacity: true },
      persistentVolumeClaim: { claimName: true, readOnly: true },
      dataVolume: { name: true },
      ephemeral: { persistentVolumeClaim: { claimName: true, readOnly: true } },
      cloudInitNoCloud: cloudInit,
      cloudInitConfigDrive: cloudInit,
      configMap: { name: true, optional: true, volumeLabel: true },
      secret: { secretName: true, optional: true, volumeLabel: true },
    },
  ],
  hostname: true,
  subdomain: true,
  dnsPolicy: true,
  dnsConfig: true,
  terminationGracePeriodSeconds: true,
  startStrategy: true,
  readinessProbe: probe,
  livenessProbe: probe,
  accessCredentials: [{ sshPublicKey: { source: true, propagationMethod: { noCloud: true, configDrive: true } } }],
  architecture: true,
  // Where it runs and how it is moved: one node, no migration, so there is nothing to do for these.
  nodeSelector: true,
  affinity: true,
  tolerations: true,
  topologySpreadConstraints: true,
  schedulerName: true,
  priorityClassName: true,
  evictionStrategy: true,
}

const values: Record<string, string[]> = {
  bus: ['virtio', 'sata', 'scsi', 'usb'],
  cache: ['none', 'writethrough', 'writeback'],
  io: ['native', 'threads', 'default'],
  errorPolicy: ['stop', 'ignore', 'report', 'enospace'],
  model: ['virtio', 'e1000', 'e1000e', 'ne2k_pci', 'pcnet', 'rtl8139'],
  startStrategy: ['Paused'],
  architecture: ['amd64'],
}

const machineType = /^(pc|q35|pc-q35-\d+\.\d+|pc-i440fx-\d+\.\d+)$/

/** What cannot be honoured, each as "spec.path: why"; empty when the machine can be built. */
export function unsupported(given: VmiSpec): string[] {
  const problems: string[] = []
  unknownFields(given, spec, 'spec', problems)
  const devices = given.domain?.devices
  for (const disk of disksOf(given)) {
    const where = `spec.domain.devices.disks[${disk.name}]`
    oneOf(disk.disk?.bus ?? disk.cdrom?.bus, 'bus', `${where}.bus`, problems)
    if (disk.cdrom?.bus === 'virtio') problems.push(`${where}.cdrom.bus: a CD-ROM cannot be a virtio device`)
    for (const field of ['cache', 'io', 'errorPolicy'] as const)
      oneOf(disk[field], field, `${where}.${field}`, problems)
  }
  const interfaces = interfacesOf(given)
  if (interfaces.length > 1) problems.push('spec.domain.devices.interfaces: only one interface is supported')
  for (const one of interfaces) oneOf(one.model, 'model', `spec.domain.devices.interfaces[${one.name}].model`, problems)
  oneOf(given.startStrategy, 'startStrategy', 'spec.startStrategy', problems)
  oneOf((given as any).architecture, 'architecture', 'spec.architecture', problems)
  const type = given.domain?.machine?.type
  if (type && !machineType.test(type))
    problems.push(`spec.domain.machine.type: "${type}" is not q35, pc or a version of them`)
  if (devices?.autoattachVSOCK) problems.push('spec.domain.devices.autoattachVSOCK: this machine has no vsock')
  return problems
}

function oneOf(value: string | undefined, kind: string, where: string, problems: string[]): void {
  if (value && !values[kind]!.includes(value))
    problems.push(`${where}: "${value}" is not supported; it must be one of ${values[kind]!.join(', ')}`)
}

function unknownFields(value: unknown, known: Known, path: string, problems: string[]): void {
  if (known === true || isUnset(value)) return
  if (Array.isArray(known)) {
    if (!Array.isArray(value)) return
    for (const [index, item] of value.entries())
      unknownFields(item, known[0], `${path}[${item?.name ?? index}]`, problems)
    return
  }
  for (const [field, child] of Object.entries(value as object)) {
    if (isUnset(child)) continue
    const below = Object.hasOwn(known, field) ? known[field] : undefined
    if (below === undefined) problems.push(`${path}.${field}: not supported by Tandem`)
    else unknownFields(child, below, `${path}.${field}`, problems)
  }
}

/** Fields that say nothing need no support: absent, false, an empty list. */
function isUnset(value: unknown): boolean {
  return value === undefined || value === null || value === false || (Array.isArray(value) && !value.length)
}
