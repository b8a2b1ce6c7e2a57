// Joins a machine's namespace to further networks, and a Pod's: a CNI plugin for each, and for a machine a tap behind it.
// What was joined is written down first, so that it is given back after any end.

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { run } from '../exec.ts'
import { addToNetwork, type CniResult, type ConfList, removeFromNetwork } from './cni.ts'
import { serve, stopDhcp } from './dhcp.ts'
import type { LinkState } from './machine-plan.ts'
import {
  planSecondary,
  podInterfaceOf,
  type SecondaryPlan,
  secondaryDhcp,
  secondaryLinks,
  secondaryRules,
  tapOf,
  withoutRules,
} from './secondary-plan.ts'

export interface SecondaryRequest {
  /** Name in the machine's spec, or of the interface in a Pod. */
  name: string
  conf: ConfList
  mac: string
}

export interface SecondaryNetwork {
  name: string
  podInterface: string
  tap: string
  mac: string
  mtu: number
  addresses: string[]
}

/** One that was joined; `result` is there once the plugin is done. */
interface Joined {
  conf: ConfList
  interfaceName: string
  netns: string
  /** Tells the taps of a namespace apart. */
  place?: number
  result?: CniResult
}

export interface SecondaryOptions {
  /** Where it is written what was joined. */
  directory: string
  /** Where host-local keeps which address is whose. */
  dataDir: string
  dhcpDir: string
  /** An interface that no network may take as its own. */
  ownInterface: string
}

export interface SecondaryNetworks {
  /** Only the interfaces: for a Pod. */
  join(
    id: string,
    netns: string,
    requests: { interfaceName: string; conf: ConfList; mac?: string }[],
  ): Promise<CniResult[]>
  /** What was joined before, and is not asked for, stays. */
  attach(id: string, netns: string, tapOwner: number, requests: SecondaryRequest[]): Promise<SecondaryNetwork[]>
  /** Gives one back, in a namespace that stays. */
  drop(id: string, network: string): Promise<void>
  /** Gives everything back; the namespace may be gone. */
  leave(id: string): Promise<void>
  /** Bridges that were not there before their first network, once nothing hangs on them. */
  removeBridges(): Promise<void>
}

export function secondaryNetworks(options: SecondaryOptions): SecondaryNetworks {
  const fileOf = (id: string) => join(options.directory, `${id}.json`)
  const read = (id: string): Joined[] =>
    existsSync(fileOf(id)) ? (JSON.parse(readFileSync(fileOf(id), 'utf8')) as Joined[]) : []

  function write(id: string, joined: Joined[]): void {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 })
    writeFileSync(`${fileOf(id)}.new`, JSON.stringify(joined))
    renameSync(`${fileOf(id)}.new`, fileOf(id))
  }

  const bridgesFile = join(options.directory, 'bridges')
  const ownBridges = () =>
    existsSync(bridgesFile) ? readFileSync(bridgesFile, 'utf8').split('\n').filter(Boolean) : []

  /** The plugin makes the bridge where it is missing, and nobody removes it. */
  function noteBridge({ plugins: [main] }: ConfList): void {
    if (main?.type !== 'bridge') return
    const name = String(main.bridge ?? 'cni0')
    if (!existsSync(`/sys/class/net/${name}`) && !ownBridges().includes(name)) appendFileSync(bridgesFile, `${name}\n`)
  }

  async function removeBridges(): Promise<void> {
    for (const name of ownBridges())
      if (existsSync(`/sys/class/net/${name}/brif`) && readdirSync(`/sys/class/net/${name}/brif`).length === 0)
        await run(['ip', 'link', 'delete', 'dev', name], { allowFailure: true })
    rmSync(bridgesFile, { force: true })
  }

  /** What the plugins must not choose by themselves. */
  function kept(conf: ConfList, mac: string | undefined): ConfList {
    const plugins = conf.plugins.map((plugin) => {
      if (plugin.bridge === options.ownInterface || plugin.master === options.ownInterface)
        throw new Error(`the interface ${options.ownInterface} belongs to the pod network`)
      const ipam = plugin.ipam as { type?: string } | undefined
      return {
        ...plugin,
        ...(ipam?.type === 'host-local' && { ipam: { ...ipam, dataDir: options.dataDir } }),
        ...(mac && { args: { cni: { mac } }, runtimeConfig: { mac } }),
      }
    })
    return { ...conf, plugins }
  }

  async function joinAll(
    id: string,
    netns: string,
    requests: { interfaceName: string; conf: ConfList; mac?: string }[],
  ) {
    const links = await linksIn(netns)
    const joined: Joined[] = []
    for (const { interfaceName, conf, mac } of requests) {
      const others = read(id).filter((one) => one.interfaceName !== interfaceName)
      const known = read(id).find((one) => one.interfaceName === interfaceName)
      const there = known?.result && known.netns === netns && links.some(({ ifname }) => ifname === interfaceName)
      if (known && there) {
        joined.push(known)
        continue
      }
      if (known) await leaveOne(id, known)
      const one: Joined = { conf: kept(conf, mac), interfaceName, netns, place: freePlace(others) }
      joined.push(one)
      write(id, [...others, one])
      noteBridge(conf)
      one.result = await addToNetwork(one.conf, { containerId: id, netns, interfaceName })
      write(id, [...others, one])
    }
    return joined
  }

  async function leaveOne(id: string, { conf, interfaceName, netns }: Joined): Promise<void> {
    await removeFromNetwork(conf, { containerId: id, netns: existsSync(netns) ? netns : '', interfaceName })
  }

  async function attach(id: string, netns: string, tapOwner: number, requests: SecondaryRequest[]) {
    // A guest asks the network's own DHCP server itself.
    const wanted = requests.map(({ name, conf, mac }) => ({
      interfaceName: podInterfaceOf(name),
      conf: withoutDhcp(conf),
      mac,
    }))
    const joined = await joinAll(id, netns, wanted)
    const links = await linksIn(netns)
    const attached: SecondaryNetwork[] = []
    for (const [index, { name, mac }] of requests.entries()) {
      const { place = index, result = {} } = joined[index]!
      const link = links.find(({ ifname }) => ifname === podInterfaceOf(name)) as { mtu?: number } | undefined
      const plan = planSecondary(name, place, result, { mac, mtu: link?.mtu ?? 1500, tapOwner })
      await make(id, netns, plan, links)
      const { podInterface, tap, mtu, address } = plan
      attached.push({ name, podInterface, tap, mac: plan.mac, mtu, addresses: address ? [address.address] : [] })
    }
    return attached
  }

  async function make(id: string, netns: string, plan: SecondaryPlan, links: LinkState[]): Promise<void> {
    const lines = secondaryLinks(plan, links)
    await run(inside(netns, 'ip', '-batch', '-'), { input: `${lines.join('\n')}\n` })
    await run(inside(netns, 'nft', '-f', '-'), { input: secondaryRules(plan) })
    const key = `${id}.${plan.tap}`
    const config = (pidFile: string) => secondaryDhcp(plan, pidFile)
    if (plan.address) await serve(options.dhcpDir, key, netns, (pidFile) => config(pidFile)!)
  }

  async function drop(id: string, network: string): Promise<void> {
    const one = read(id).find(({ interfaceName }) => interfaceName === podInterfaceOf(network))
    if (!one) return
    const tap = tapOf(network)
    await stopDhcp(options.dhcpDir, `${id}.${tap}`)
    await leaveOne(id, one)
    if (existsSync(one.netns)) {
      await run(inside(one.netns, 'ip', 'link', 'delete', 'dev', tap), { allowFailure: true })
      await run(inside(one.netns, 'nft', '-f', '-'), { input: withoutRules(tap) })
    }
    write(
      id,
      read(id).filter(({ interfaceName }) => interfaceName !== one.interfaceName),
    )
  }

  async function leave(id: string): Promise<void> {
    for (const one of read(id).toReversed()) {
      await stopDhcp(options.dhcpDir, `${id}.tap${one.interfaceName.slice(3)}`)
      // The rest is given back whatever one of them says; the interface goes with its namespace.
      await leaveOne(id, one).catch(() => {})
    }
    rmSync(fileOf(id), { force: true })
  }

  return {
    join: async (id, netns, requests) => (await joinAll(id, netns, requests)).map(({ result }) => result ?? {}),
    attach,
    drop,
    leave,
    removeBridges,
  }
}

/** What a former Tandem joined has the place of its turn. */
function freePlace(others: Joined[]): number {
  const taken = new Set(others.map(({ place }, index) => place ?? index))
  for (let place = 0; ; place++) if (!taken.has(place)) return place
}

const inside = (netns: string, ...argv: string[]) => ['nsenter', `--net=${netns}`, ...argv]

async function linksIn(netns: string): Promise<LinkState[]> {
  const { stdout } = await run(inside(netns, 'ip', '-j', '-d', 'address', 'show'))
  return JSON.parse(stdout) as LinkState[]
}

function withoutDhcp(conf: ConfList): ConfList {
  const plugins = conf.plugins.map((plugin) => {
    const { ipam, ...rest } = plugin as { type: string; ipam?: { type?: string } }
    return ipam?.type === 'dhcp' ? rest : plugin
  })
  return { ...conf, plugins }
}
