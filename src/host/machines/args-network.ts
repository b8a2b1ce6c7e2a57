// The network cards of a machine as QEMU options.

import { option } from './option.ts'
import { isQ35, type MachinePlan, type PreparedCard } from './plan.ts'

const models: Record<string, string> = { virtio: 'virtio-net-pci' }

export const networkArgs = (plan: MachinePlan): string[] =>
  plan.cards.flatMap((card, index) => cardArgs(isQ35(plan), card, index))

function cardArgs(q35: boolean, { card, tap, mac, mtu }: PreparedCard, index: number): string[] {
  const model = card.model || 'virtio'
  // KubeVirt's cards sit behind PCIe root ports of their own, in order, so that guests call them enp1s0, enp2s0 …;
  // manifests rely on it. The first port's place is fixed, the others take the next ones that are free.
  const express = q35 && ['virtio', 'e1000e'].includes(model)
  const port = `port${index + 1}`
  return [
    ...(express ? ['-device', option('pcie-root-port', rootPort(port, index))] : []),
    '-netdev',
    option('tap', { id: `net${index}`, ifname: tap, script: 'no', downscript: 'no' }),
    '-device',
    option(models[model] ?? model, {
      id: `card${index}`,
      netdev: `net${index}`,
      mac,
      bus: express ? port : undefined,
      host_mtu: model === 'virtio' && mtu !== 1500 ? mtu : undefined,
      bootindex: card.bootOrder,
      // Without a boot order the card needs no boot ROM, which costs time at each start.
      romfile: card.bootOrder ? undefined : '',
    }),
  ]
}

const rootPort = (id: string, index: number) => ({
  id,
  bus: 'pcie.0',
  chassis: index + 1,
  addr: index === 0 ? '0x2' : undefined,
})
