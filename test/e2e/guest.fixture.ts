// The small guest on the Pod network that tests and benchmarks start, as an instance's spec: it boots from its first
// volume.

export const minimalImage = 'tandem.dev/minimal-vm:1'

export interface GuestVolume {
  name: string
  [source: string]: unknown
}

export const rootDisk = (image = minimalImage): GuestVolume => ({ name: 'root', containerDisk: { image } })

export const smallGuest = (...volumes: GuestVolume[]) => ({
  domain: {
    memory: { guest: '128Mi' },
    devices: {
      disks: volumes.map(({ name }) => ({ name, disk: { bus: 'virtio' } })),
      interfaces: [{ name: 'default', masquerade: {} }],
    },
  },
  networks: [{ name: 'default', pod: {} }],
  volumes,
})
