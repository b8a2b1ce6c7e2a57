// Devices of this machine that a guest has for itself, through VFIO: PCI functions and mediated devices that the
// administrator permits (permittedHostDevices of the KubeVirt object) and has bound to vfio-pci.

import { chownSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Configuration, PermittedDevice } from './configuration.ts'
import type { Owner } from './disk-files.ts'
import { option } from './option.ts'
import type { Domain } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface HostDevice {
  name: string
  /** "0000:01:00.0" */
  pci?: string
  /** uuid of a mediated device */
  mdev?: string
}

/** The devices that this machine has. */
export interface Inventory {
  /** Bound to vfio-pci, so that no driver of this machine uses them. */
  pci: { address: string; vendor: string }[]
  mdev: { uuid: string; type: string }[]
}

export const asksForDevices = ({ devices = {} }: Domain): boolean =>
  Boolean(devices.hostDevices?.length || devices.gpus?.length)

/** Pure. `taken`: addresses and uuids that others have. @throws Waiting for what is not permitted or not free */
export function chooseDevices(
  { devices = {} }: Domain,
  { permitted }: Pick<Configuration, 'permitted'>,
  inventory: Inventory,
  taken: ReadonlySet<string>,
): HostDevice[] {
  const used = new Set(taken)
  const wanted = [
    ...(devices.gpus ?? []).map((one) => ({ ...one, kind: 'GPU' })),
    ...(devices.hostDevices ?? []).map((one) => ({ ...one, kind: 'HostDevice' })),
  ]
  return wanted.map(({ name, deviceName = '', kind }) => {
    const rules = permitted.filter(({ resourceName }) => resourceName === deviceName)
    if (!rules.length)
      throw new Waiting('Unschedulable', `${kind} ${deviceName} is not permitted in permittedHostDevices configuration`)
    const found = rules.flatMap((rule) => matching(rule, inventory)).find((device) => !used.has(keyOf(device)))
    if (!found)
      throw new Waiting(
        'Unschedulable',
        `0/1 nodes are available: 1 Insufficient ${deviceName}. No free device of this machine is ${rules.map(({ pciVendorSelector, mdevNameSelector }) => pciVendorSelector ?? mdevNameSelector).join(' or ')} and bound to vfio-pci`,
      )
    used.add(keyOf(found))
    return { name, ...found }
  })
}

type Found = Omit<HostDevice, 'name'>

export const keyOf = ({ pci, mdev }: Found): string => pci ?? mdev ?? ''

function matching({ pciVendorSelector, mdevNameSelector }: PermittedDevice, inventory: Inventory): Found[] {
  if (pciVendorSelector)
    return inventory.pci
      .filter(({ vendor }) => vendor.toLowerCase() === pciVendorSelector.toLowerCase())
      .map(({ address }) => ({ pci: address }))
  return inventory.mdev.filter(({ type }) => type === mdevNameSelector).map(({ uuid }) => ({ mdev: uuid }))
}

export function hostDeviceArgs(devices: HostDevice[] = []): string[] {
  return devices.flatMap(({ pci, mdev }, index) => [
    '-device',
    option('vfio-pci', {
      id: `hostdev${index}`,
      host: pci,
      sysfsdev: mdev && `/sys/bus/mdev/devices/${mdev}`,
    }),
  ])
}

export function takeInventory(): Inventory {
  const read = (path: string) => {
    try {
      return readFileSync(path, 'utf8').trim()
    } catch {
      return ''
    }
  }
  const pci = '/sys/bus/pci/drivers/vfio-pci'
  const mdev = '/sys/bus/mdev/devices'
  return {
    pci: names(pci)
      .filter((name) => /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name))
      .map((address) => ({
        address,
        vendor: ['vendor', 'device'].map((part) => read(join(pci, address, part)).replace(/^0x/, '')).join(':'),
      })),
    mdev: names(mdev).map((uuid) => ({ uuid, type: read(join(mdev, uuid, 'mdev_type/name')) })),
  }
}

function names(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** QEMU opens a device by the group that it is in. */
export function giveGroups(devices: HostDevice[], owner: Owner | undefined): void {
  for (const { pci, mdev } of devices) {
    const device = pci ? `/sys/bus/pci/devices/${pci}` : `/sys/bus/mdev/devices/${mdev}`
    const group = basename(readlinkSync(join(device, 'iommu_group')))
    if (owner) chownSync(`/dev/vfio/${group}`, owner.uid, owner.gid)
  }
}
