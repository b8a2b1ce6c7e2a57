// Which fields of a VirtualMachineInstance Tandem honours. Every other one is refused by its name, so that nobody
// believes in a setting that does nothing.

import type { FieldError } from '../../api/errors.ts'
import type { Schema } from '../../api/schema.ts'
import { forbidden } from '../../api/walk/rules.ts'
import { types } from '../types.ts'

/** true = taken with everything below it; an object = only these fields; [x] = a list of x. */
type Known = true | { [field: string]: Known } | [Known]

const target: Known = { bus: true, readonly: true, tray: true }
const timer: Known = { present: true, tickPolicy: true }
const state: Known = { enabled: true }

const probe: Known = {
  httpGet: true,
  tcpSocket: true,
  guestAgentPing: true,
  exec: { command: true },
  initialDelaySeconds: true,
  timeoutSeconds: true,
  periodSeconds: true,
  successThreshold: true,
  failureThreshold: true,
}

const disk: Known = {
  name: true,
  disk: target,
  cdrom: target,
  bootOrder: true,
  serial: true,
  cache: true,
  io: true,
  errorPolicy: true,
  dedicatedIOThread: true,
  shareable: true,
  blockSize: { custom: { logical: true, physical: true } },
}

const networkInterface: Known = {
  name: true,
  model: true,
  macAddress: true,
  bootOrder: true,
  state: true,
  masquerade: true,
  bridge: true,
  ports: true,
}

const devices: Known = {
  disks: [disk],
  hostDevices: [{ name: true, deviceName: true }],
  gpus: [{ name: true, deviceName: true }],
  filesystems: [{ name: true, virtiofs: true }],
  interfaces: [networkInterface],
  inputs: [{ name: true, type: true, bus: true }],
  watchdog: { name: true, i6300esb: { action: true } },
  rng: true,
  clientPassthrough: true,
  tpm: { enabled: true, persistent: true },
  video: { type: true },
  autoattachPodInterface: true,
  autoattachGraphicsDevice: true,
  autoattachSerialConsole: true,
  logSerialConsole: true,
  autoattachMemBalloon: true,
  autoattachInputDevice: true,
  disableHotplug: true,
  // A wish for speed, not a promise: one queue serves as well.
  blockMultiQueue: true,
  networkInterfaceMultiqueue: true,
}

const hyperv: Known = {
  ...Object.fromEntries(
    ['relaxed', 'vapic', 'vpindex', 'runtime', 'synic', 'reset', 'frequencies', 'reenlightenment', 'ipi', 'evmcs'].map(
      (name) => [name, state],
    ),
  ),
  spinlocks: { enabled: true, spinlocks: true },
  synictimer: { enabled: true, direct: state },
  tlbflush: { enabled: true, direct: state, extended: state },
  vendorid: { enabled: true, vendorid: true },
}

const domain: Known = {
  machine: { type: true },
  cpu: {
    model: true,
    sockets: true,
    cores: true,
    threads: true,
    maxSockets: true,
    dedicatedCpuPlacement: true,
    isolateEmulatorThread: true,
    numa: { guestMappingPassthrough: true },
    realtime: { mask: true },
    features: [{ name: true, policy: true }],
  },
  ioThreadsPolicy: true,
  ioThreads: { supplementalPoolThreadCount: true },
  memory: { guest: true, maxGuest: true, hugepages: { pageSize: true } },
  resources: { requests: true, limits: true },
  firmware: {
    uuid: true,
    serial: true,
    kernelBoot: {
      container: { image: true, imagePullPolicy: true, imagePullSecret: true, kernelPath: true, initrdPath: true },
      kernelArgs: true,
    },
    bootloader: { bios: { useSerial: true }, efi: { secureBoot: true, persistent: true } },
  },
  chassis: true,
  clock: { utc: { offsetSeconds: true }, timer: { hpet: timer, rtc: timer, pit: timer, kvm: timer, hyperv: timer } },
  features: {
    acpi: state,
    apic: true,
    smm: state,
    kvm: { hidden: true },
    pvspinlock: state,
    hypervPassthrough: state,
    hyperv,
  },
  devices,
}

const volume: Known = {
  name: true,
  containerDisk: { image: true, imagePullSecret: true, path: true, imagePullPolicy: true },
  emptyDisk: { capacity: true },
  persistentVolumeClaim: { claimName: true, readOnly: true, hotpluggable: true },
  memoryDump: { claimName: true, hotpluggable: true },
  dataVolume: { name: true, hotpluggable: true },
  ephemeral: { persistentVolumeClaim: { claimName: true, readOnly: true } },
  cloudInitNoCloud: true,
  cloudInitConfigDrive: true,
  configMap: { name: true, optional: true, volumeLabel: true },
  secret: { secretName: true, optional: true, volumeLabel: true },
  downwardAPI: { fields: [{ path: true, fieldRef: { apiVersion: true, fieldPath: true } }], volumeLabel: true },
  hostDisk: { path: true, type: true, capacity: true, shared: true },
  serviceAccount: { serviceAccountName: true },
  sysprep: { configMap: { name: true }, secret: { name: true } },
}

const instanceSpec: Known = {
  domain,
  networks: [{ name: true, pod: { vmNetworkCIDR: true }, multus: { networkName: true } }],
  volumes: [volume],
  hostname: true,
  subdomain: true,
  dnsPolicy: true,
  dnsConfig: true,
  terminationGracePeriodSeconds: true,
  startStrategy: true,
  readinessProbe: probe,
  livenessProbe: probe,
  accessCredentials: [
    {
      sshPublicKey: {
        source: { secret: { secretName: true } },
        propagationMethod: { noCloud: true, configDrive: true, qemuGuestAgent: { users: true } },
      },
      userPassword: { source: { secret: { secretName: true } }, propagationMethod: { qemuGuestAgent: true } },
    },
  ],
  architecture: true,
  // Where it runs and how it moves: one node and no migration leave nothing to do for these.
  nodeSelector: true,
  affinity: true,
  tolerations: true,
  topologySpreadConstraints: true,
  schedulerName: true,
  priorityClassName: true,
  evictionStrategy: true,
}

/** An error for each field that is set and not honoured. */
export function validateSupported(spec: unknown, field: string): FieldError[] {
  const errors: FieldError[] = []
  walk(spec, instanceSpec, field, errors)
  return errors
}

function walk(value: unknown, known: Known, path: string, errors: FieldError[]): void {
  if (known === true || saysNothing(value)) return
  if (Array.isArray(known)) {
    if (Array.isArray(value))
      for (const [index, item] of value.entries()) walk(item, known[0], `${path}[${index}]`, errors)
    return
  }
  for (const [name, child] of Object.entries(value as object)) {
    if (saysNothing(child)) continue
    const below = Object.hasOwn(known, name) ? known[name] : undefined
    if (below === undefined) errors.push(forbidden(`${path}.${name}`, 'this field is not supported by Tandem'))
    else walk(child, below, `${path}.${name}`, errors)
  }
}

/** The fields that the schema has and that are refused, by path below the spec, the topmost only. */
export function refusedInstanceFields(): string[] {
  const refused: string[] = []
  const visit = (schema: Schema | undefined, known: Known, path: string): void => {
    if (!schema || known === true) return
    if (Array.isArray(known)) {
      visit(flat(schema)?.items, known[0], `${path}[]`)
      return
    }
    for (const [name, child] of Object.entries(flat(schema)?.properties ?? {})) {
      const at = path ? `${path}.${name}` : name
      const below = Object.hasOwn(known, name) ? known[name] : undefined
      if (below === undefined) refused.push(at)
      else visit(child, below, at)
    }
  }
  visit({ ref: 'kubevirt.v1.VirtualMachineInstanceSpec' }, instanceSpec, '')
  return refused.sort()
}

const flat = (schema: Schema | undefined): Schema | undefined => (schema?.ref ? flat(types[schema.ref]) : schema)

/** Absent, false and an empty list ask for nothing. */
const saysNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === false || (Array.isArray(value) && value.length === 0)
