// The Container Network Interface (CNI spec 1.0.0): the network configurations of Pods (executed by containerd) and of
// machines (executed here), and the exec protocol of its plugins.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from '../exec.ts'
import { formatRange, halves, nth, rangeOf } from './addresses.ts'

/** Where plugins are looked for: Debian's package, then the place that upstream's install guides use. */
export const pluginDirs = ['/usr/lib/cni', '/opt/cni/bin']

export interface PluginConf {
  type: string
  [field: string]: unknown
}

export interface ConfList {
  cniVersion: string
  name: string
  plugins: PluginConf[]
}

export interface CniResult {
  interfaces?: { name: string; mac?: string; sandbox?: string }[]
  ips?: { address: string; gateway?: string; interface?: number }[]
  routes?: { dst: string; gw?: string }[]
}

const cniVersion = '1.0.0'
const everywhere = [{ dst: '0.0.0.0/0' }]

/** Routed, not bridged: each Pod has a veth of its own, and every packet passes the host's forwarding path. */
export function podConfList(instance: string, podCidr: string, dataDir: string, mtu: number): ConfList {
  const range = rangeOf(podCidr)
  const { podFirst, podLast } = halves(podCidr)
  const subnet = { subnet: formatRange(range), rangeStart: podFirst, rangeEnd: podLast, gateway: nth(range, 1) }
  const ipam = { type: 'host-local', dataDir, ranges: [[subnet]], routes: everywhere }
  // ipMasq stays off: Tandem's own table masquerades, and only what leaves the pod network.
  return { cniVersion, name: `tandem-${instance}`, plugins: [{ type: 'ptp', mtu, ipMasq: false, ipam }] }
}

/** Without an address: each machine brings its reserved one (withAddress). */
export function machineConfList(instance: string, mtu: number): ConfList {
  const ipam = { type: 'static', addresses: [], routes: everywhere }
  return { cniVersion, name: `tandem-machines-${instance}`, plugins: [{ type: 'ptp', mtu, ipMasq: false, ipam }] }
}

export function withAddress(list: ConfList, address: string, gateway: string): ConfList {
  const plugins = list.plugins.map((plugin) => {
    const ipam = plugin.ipam as PluginConf | undefined
    return ipam?.type === 'static' ? { ...plugin, ipam: { ...ipam, addresses: [{ address, gateway }] } } : plugin
  })
  return { ...list, plugins }
}

export interface Attachment {
  containerId: string
  netns: string
  interfaceName: string
}

async function execute(command: 'ADD' | 'DEL', plugin: PluginConf, list: ConfList, at: Attachment, previous?: object) {
  const program = pluginDirs.map((dir) => join(dir, plugin.type)).find(existsSync)
  if (!program)
    throw new Error(
      `the CNI plugin "${plugin.type}" is not in ${pluginDirs.join(' or ')}: install the package containernetworking-plugins`,
    )
  const { stdout, stderr, code } = await run([program], {
    input: JSON.stringify({
      cniVersion: list.cniVersion,
      name: list.name,
      ...plugin,
      ...(previous && { prevResult: previous }),
    }),
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: at.containerId,
      CNI_NETNS: at.netns,
      CNI_IFNAME: at.interfaceName,
      CNI_PATH: pluginDirs.join(delimiter),
    },
    allowFailure: true,
  })
  if (code === 0) return stdout.trim() ? (JSON.parse(stdout) as CniResult) : {}
  throw new Error(
    `CNI ${plugin.type} ${command} failed: ${failureText(stdout) || stderr.trim() || `exit code ${code}`}`,
  )
}

function failureText(stdout: string): string {
  try {
    const { msg = '', details = '' } = JSON.parse(stdout) as { msg?: string; details?: string }
    return [msg, details].filter(Boolean).join('; ')
  } catch {
    return stdout.trim()
  }
}

export async function addToNetwork(list: ConfList, at: Attachment): Promise<CniResult> {
  let result: CniResult | undefined
  for (const plugin of list.plugins) result = await execute('ADD', plugin, list, at, result)
  return result ?? {}
}

export async function removeFromNetwork(list: ConfList, at: Attachment): Promise<void> {
  for (const plugin of list.plugins.toReversed()) await execute('DEL', plugin, list, at)
}
