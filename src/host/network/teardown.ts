// For a machine that Tandem leaves: no interface, namespace, route, nftables table, DHCP server or switch of this
// instance stays. Works without a running Tandem, from what its state directory says.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Logger } from '../../base/log.ts'
import { run } from '../exec.ts'
import type { StatePaths } from '../state.ts'
import { removeGateway, workloadInterfaces } from './gateway.ts'
import { machineNamespaces } from './machine-network.ts'
import { type SecondaryOptions, secondaryNetworks } from './secondary.ts'
import { releaseSwitches } from './sysctl.ts'

export interface Remains {
  paths: StatePaths
  instance: string
  /** Read from the settings when it is not given. */
  podCidr?: string
  log: Logger
}

export const interfaceNameOf = (instance: string): string => `td${instance}`
export const tableNameOf = (instance: string): string => `tandem_${instance}`
export const dhcpDirOf = (paths: StatePaths): string => join(dirname(paths.pid), 'dhcp')

export const secondaryOptions = (paths: StatePaths, instance: string): SecondaryOptions => ({
  directory: join(dirname(paths.cni.machineConfList), 'attachments'),
  dataDir: join(dirname(paths.cni.machineConfList), 'ipam'),
  dhcpDir: dhcpDirOf(paths),
  ownInterface: interfaceNameOf(instance),
})

/** Without settings there was no start, so nothing was ever given an address. */
function podCidrOf(paths: StatePaths): string | undefined {
  if (!existsSync(paths.settings)) return undefined
  return (JSON.parse(readFileSync(paths.settings, 'utf8')) as { podCidr?: string }).podCidr
}

/** Goes on after a failure, so that one thing that is stuck does not keep the rest. @throws the first failure. */
export async function removeNetwork({ paths, instance, podCidr = podCidrOf(paths), log }: Remains): Promise<void> {
  const dhcpDir = dhcpDirOf(paths)
  const namespaces = machineNamespaces(instance, paths.netns, dhcpDir)
  let failure: unknown
  const attempt = async (what: string, work: () => unknown) => {
    try {
      await work()
    } catch (error) {
      log.warn(`cannot remove ${what}`, { error })
      failure ??= error
    }
  }
  const secondary = secondaryOptions(paths, instance)
  const joined = existsSync(secondary.directory) ? readdirSync(secondary.directory) : []
  for (const file of joined.filter((name) => name.endsWith('.json')))
    await attempt(`the further networks of ${file}`, () =>
      secondaryNetworks(secondary).leave(file.slice(0, -'.json'.length)),
    )
  for (const uid of namespaces.attached()) await attempt(`the network of machine ${uid}`, () => namespaces.detach(uid))
  await attempt('bridges of further networks', () => secondaryNetworks(secondary).removeBridges())
  await attempt('the interfaces of Pods', async () => {
    for (const name of podCidr ? await workloadInterfaces(podCidr) : [])
      await run(['ip', 'link', 'delete', 'dev', name], { allowFailure: true })
  })
  await attempt('the nftables table', async () => {
    const table = ['table', 'ip', tableNameOf(instance)]
    const { code } = await run(['nft', 'list', ...table], { allowFailure: true })
    if (code === 0) await run(['nft', 'delete', ...table])
  })
  await attempt('the gateway', () => removeGateway(interfaceNameOf(instance), podCidr))
  await attempt('the kernel switches', () => releaseSwitches(instance))
  await attempt('the configuration', () => {
    // The address book stays: it belongs to the VMs in the store, which are still there at the next start.
    for (const path of [
      paths.cni.conf,
      paths.cni.machineConfList,
      paths.cni.data,
      secondary.directory,
      secondary.dataDir,
      dhcpDir,
    ])
      rmSync(path, { recursive: true, force: true })
  })
  if (failure) throw failure
}
