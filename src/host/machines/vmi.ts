// The part of a kubevirt.io/v1 VirtualMachineInstance that this driver reads, as types. Names and meaning: KubeVirt 1.8
// (staging/src/kubevirt.io/api/core/v1/schema.go).

import type { StoredObject } from '../../api/meta.ts'
import { hotVolumes } from '../../kinds/kubevirt/live-changes.ts'

export interface DiskTarget {
  bus?: string
  readonly?: boolean
  pciAddress?: string
}

export interface Disk {
  name: string
  disk?: DiskTarget
  cdrom?: DiskTarget & { tray?: string }
  lun?: DiskTarget
  bootOrder?: number
  serial?: string
  cache?: string
  io?: string
  errorPolicy?: string
  shareable?: boolean
  dedicatedIOThread?: boolean
  blockSize?: { custom?: { logical?: number; physical?: number }; matchVolume?: { enabled?: boolean } }
}

export interface Interface {
  name: string
  model?: string
  macAddress?: string
  bootOrder?: number
  state?: string
  masquerade?: object
  bridge?: object
  ports?: { name?: string; port: number; protocol?: string }[]
  [binding: string]: unknown
}

export interface CloudInit {
  userData?: string
  userDataBase64?: string
  secretRef?: { name?: string }
  networkData?: string
  networkDataBase64?: string
  networkDataSecretRef?: { name?: string }
}

export interface KeyedSource {
  name?: string
  secretName?: string
  optional?: boolean
  volumeLabel?: string
}

export interface Volume {
  name: string
  containerDisk?: { image: string; imagePullSecret?: string; path?: string; imagePullPolicy?: string }
  emptyDisk?: { capacity: string | number }
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean; hotpluggable?: boolean }
  dataVolume?: { name: string; hotpluggable?: boolean }
  memoryDump?: { claimName: string }
  ephemeral?: { persistentVolumeClaim?: { claimName: string; readOnly?: boolean } }
  cloudInitNoCloud?: CloudInit
  cloudInitConfigDrive?: CloudInit
  configMap?: KeyedSource
  secret?: KeyedSource
  downwardAPI?: { fields?: { path: string; fieldRef?: { fieldPath: string } }[]; volumeLabel?: string }
  serviceAccount?: { serviceAccountName: string }
  hostDisk?: { path: string; type: string; capacity?: string | number; shared?: boolean }
  sysprep?: { configMap?: { name?: string }; secret?: { name?: string } }
}

export interface Probe {
  httpGet?: { path?: string; port: number | string; host?: string; scheme?: string; httpHeaders?: NameValue[] }
  tcpSocket?: { port: number | string; host?: string }
  guestAgentPing?: object
  exec?: { command?: string[] }
  initialDelaySeconds?: number
  timeoutSeconds?: number
  periodSeconds?: number
  successThreshold?: number
  failureThreshold?: number
}

interface NameValue {
  name: string
  value: string
}

/** Named is on, unless it says otherwise. */
export interface FeatureState {
  enabled?: boolean
}

export interface HypervFeature extends FeatureState {
  spinlocks?: number
  vendorid?: string
  direct?: FeatureState
  extended?: FeatureState
}

export interface Domain {
  machine?: { type?: string }
  cpu?: {
    model?: string
    sockets?: number
    cores?: number
    threads?: number
    maxSockets?: number
    dedicatedCpuPlacement?: boolean
    isolateEmulatorThread?: boolean
    numa?: { guestMappingPassthrough?: object }
    realtime?: { mask?: string }
    features?: { name: string; policy?: string }[]
  }
  memory?: { guest?: string | number; maxGuest?: string | number; hugepages?: { pageSize?: string } }
  resources?: { requests?: Record<string, string | number>; limits?: Record<string, string | number> }
  ioThreadsPolicy?: string
  ioThreads?: { supplementalPoolThreadCount?: number }
  firmware?: {
    uuid?: string
    serial?: string
    kernelBoot?: {
      container?: {
        image: string
        imagePullSecret?: string
        imagePullPolicy?: string
        kernelPath?: string
        initrdPath?: string
      }
      kernelArgs?: string
    }
    bootloader?: {
      bios?: { useSerial?: boolean }
      efi?: { secureBoot?: boolean; persistent?: boolean }
    }
  }
  chassis?: { manufacturer?: string; version?: string; serial?: string; asset?: string; sku?: string }
  clock?: {
    utc?: { offsetSeconds?: number }
    timezone?: string
    timer?: { hpet?: { present?: boolean }; rtc?: { tickPolicy?: string }; hyperv?: { present?: boolean } }
  }
  features?: {
    acpi?: FeatureState
    smm?: FeatureState
    kvm?: { hidden?: boolean }
    pvspinlock?: FeatureState
    hypervPassthrough?: FeatureState
    hyperv?: Record<string, HypervFeature | undefined>
  }
  devices?: {
    disks?: Disk[]
    /** Volumes that the guest mounts by their name. */
    filesystems?: { name: string; virtiofs?: object }[]
    interfaces?: Interface[]
    inputs?: { name: string; type: string; bus?: string }[]
    watchdog?: { name: string; i6300esb?: { action?: string } }
    rng?: object
    clientPassthrough?: object
    hostDevices?: { name: string; deviceName?: string }[]
    gpus?: { name: string; deviceName?: string }[]
    tpm?: { enabled?: boolean; persistent?: boolean }
    video?: { type?: string }
    autoattachPodInterface?: boolean
    autoattachGraphicsDevice?: boolean
    autoattachSerialConsole?: boolean
    logSerialConsole?: boolean
    autoattachMemBalloon?: boolean
    autoattachInputDevice?: boolean
    autoattachVSOCK?: boolean
    disableHotplug?: boolean
  }
}

export interface VmiSpec {
  domain: Domain
  networks?: {
    name: string
    pod?: { vmNetworkCIDR?: string }
    multus?: { networkName: string }
    [source: string]: unknown
  }[]
  volumes?: Volume[]
  hostname?: string
  subdomain?: string
  dnsPolicy?: string
  dnsConfig?: { nameservers?: string[]; searches?: string[]; options?: { name: string; value?: string }[] }
  terminationGracePeriodSeconds?: number
  startStrategy?: string
  readinessProbe?: Probe
  livenessProbe?: Probe
  accessCredentials?: AccessCredential[]
}

interface CredentialSource {
  secret?: { secretName: string }
}

export interface AccessCredential {
  sshPublicKey?: {
    source?: CredentialSource
    propagationMethod?: { noCloud?: object; configDrive?: object; qemuGuestAgent?: { users?: string[] } }
  }
  userPassword?: { source?: CredentialSource; propagationMethod?: { qemuGuestAgent?: object } }
}

export const specOf = (object: StoredObject): VmiSpec => object.spec as VmiSpec

/** Host name as KubeVirt gives it to the guest: spec.hostname, else the name up to its first dot, at most 63 characters. */
export function hostnameOf(object: StoredObject): string {
  const name = specOf(object).hostname || object.metadata.name
  return name.split('.')[0]!.slice(0, 63)
}

/** The interfaces the guest gets: KubeVirt attaches one to the pod network when the manifest names none. */
export function interfacesOf(spec: VmiSpec): Interface[] {
  const given = spec.domain.devices?.interfaces
  if (given?.length) return given.filter((one) => one.state !== 'absent')
  if (spec.domain.devices?.autoattachPodInterface === false) return []
  return [{ name: 'default', bridge: {} }]
}

/** Every disk of the guest: a volume without a disk entry is attached as a plain one (KubeVirt does the same). */
export function disksOf(spec: VmiSpec): Disk[] {
  const disks = spec.domain.devices?.disks ?? []
  const named = new Set([...disks, ...(spec.domain.devices?.filesystems ?? [])].map(({ name }) => name))
  // A memory dump is nothing that the guest sees.
  const missing = (spec.volumes ?? []).filter((volume) => !named.has(volume.name) && !volume.memoryDump)
  return [...disks, ...missing.map((volume) => ({ name: volume.name, disk: {} }))]
}

export const busOf = (disk: Disk): string => (disk.cdrom ?? disk.disk)?.bus || 'sata'

/** The disks that are there from the start: what is plugged comes later, but a drive waits for its disc. */
export function coldDisks(spec: VmiSpec): Disk[] {
  const hot = hotVolumes(spec)
  return disksOf(spec).filter((disk) => disk.cdrom || !hot.has(disk.name))
}

/** Device names the way KubeVirt reports them: vda… for virtio, sda… for all others, in order. */
export function diskTargets(disks: Disk[]): Map<string, string> {
  const counts: Record<string, number> = { vd: 0, sd: 0 }
  const targets = new Map<string, string>()
  for (const disk of disks) {
    const prefix = busOf(disk) === 'virtio' ? 'vd' : 'sd'
    targets.set(disk.name, prefix + letters(counts[prefix]!++))
  }
  return targets
}

/** The first name for a disk of its kind that is not taken. */
export function nextTarget(disk: Disk, taken: Set<string>): string {
  const prefix = busOf(disk) === 'virtio' ? 'vd' : 'sd'
  for (let index = 0; ; index++) if (!taken.has(prefix + letters(index))) return prefix + letters(index)
}

/** 0 → a, 25 → z, 26 → aa */
function letters(index: number): string {
  const last = String.fromCharCode(97 + (index % 26))
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last
}
