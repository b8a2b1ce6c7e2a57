// Gives a VM its place in the network: namespace, address by CNI, tap, rules and DHCP. Looks first and makes only what
// is missing, so that it can be called again at any time, also after being killed half-way.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { settled } from '../../base/settled.ts'
import { run } from '../exec.ts'
import { addToNetwork, type ConfList, removeFromNetwork, withAddress } from './cni.ts'
import { type GuestNames, serveDhcp, stopDhcp } from './dhcp.ts'
import {
  bridge,
  type LinkState,
  linkLines,
  type MachinePlan,
  machineRules,
  podInterface,
  portLines,
  tapsOf,
  twinLines,
} from './machine-plan.ts'
import { setSwitch } from './sysctl.ts'

export interface MachineNamespaces {
  attach(uid: string, plan: MachinePlan, names: GuestNames, membership: Membership): Promise<Attached>
  /** Makes the tap of that turn (machine-plan.ts), for a second QEMU. Idempotent. */
  makeTap(uid: string, twin: boolean, owner: number): Promise<void>
  /** Removes the tap of that turn. Idempotent. */
  dropTap(uid: string, twin: boolean): Promise<void>
  detach(uid: string): Promise<void>
  /** Where the machine's namespace is, or would be. */
  pathOf(uid: string): string
  attached(): string[]
}

/** A namespace that has the tap; the rest is still under way. */
export interface Attached {
  netns: string
  /** When the namespace is a member of the network, with its rules and DHCP. */
  joined: Promise<void>
}

/** How a machine's namespace joins the pod network. */
export interface Membership {
  conf: ConfList
  gateway: string
}

const inside = (netns: string, ...argv: string[]) => ['nsenter', `--net=${netns}`, ...argv]

/** Interfaces in the namespace; undefined when it is not a namespace (a file that a crash left). */
async function linksIn(netns: string): Promise<LinkState[] | undefined> {
  const { code, stdout } = await run(inside(netns, 'ip', '-j', '-d', 'address', 'show'), { allowFailure: true })
  return code === 0 ? (JSON.parse(stdout) as LinkState[]) : undefined
}

async function hostInterface(pod: LinkState): Promise<string> {
  const { stdout } = await run(['ip', '-j', 'link', 'show', 'type', 'veth'])
  const peer = (JSON.parse(stdout) as LinkState[]).find((link) => link.ifindex === pod.link_index)
  if (!peer) throw new Error(`the host's end of interface ${pod.link_index} is gone`)
  return peer.ifname
}

/** In bridge mode the guest believes that the whole pod range is on its link: the host answers for the others. */
function answerForNeighbours(hostEnd: string): void {
  setSwitch(`net/ipv4/conf/${hostEnd}/proxy_arp`, '1')
  setSwitch(`net/ipv4/neigh/${hostEnd}/proxy_delay`, '0')
  // Ask with the gateway's address, whatever the source of the packet: some guests do not answer strangers.
  setSwitch(`net/ipv4/conf/${hostEnd}/arp_announce`, '2')
}

async function setNamespaceSwitches(netns: string): Promise<void> {
  const names = ['net/ipv4/ip_forward']
  if (existsSync('/proc/sys/net/ipv6'))
    names.push('net/ipv6/conf/all/disable_ipv6', 'net/ipv6/conf/default/disable_ipv6')
  const paths = names.map((name) => `/proc/sys/${name}`)
  await run(inside(netns, 'tee', ...paths), { input: '1' })
}

/** `netnsDir`: /run/netns; `dhcpDir`: where dnsmasq's pid files are. */
export function machineNamespaces(instance: string, netnsDir: string, dhcpDir: string): MachineNamespaces {
  const prefix = `tandem-${instance}-`
  const nameOf = (uid: string) => `${prefix}${uid}`
  const pathOf = (uid: string) => join(netnsDir, nameOf(uid))

  /** Machines on their way into the network, until they are there or have failed. */
  const underWay = new Map<string, Promise<void>>()

  async function makeNamespace(uid: string): Promise<LinkState[]> {
    const links = existsSync(pathOf(uid)) ? await linksIn(pathOf(uid)) : undefined
    if (links) return links
    if (existsSync(pathOf(uid))) await run(['ip', 'netns', 'delete', nameOf(uid)])
    await run(['ip', 'netns', 'add', nameOf(uid)])
    return []
  }

  /** The pod interface with its address; made anew when the address is another one than planned. */
  async function joinNetwork(uid: string, plan: MachinePlan, links: LinkState[], membership: Membership) {
    const pod = links.find((link) => link.ifname === podInterface)
    const addressed = pod?.addr_info?.some((info) => info.local === plan.podAddress) || pod?.master === bridge
    if (pod && addressed) {
      const hostEnd = await hostInterface(pod)
      await run(['ip', 'route', 'replace', plan.podAddress, 'dev', hostEnd, 'scope', 'host'])
      return hostEnd
    }
    const attachment = { containerId: nameOf(uid), netns: pathOf(uid), interfaceName: podInterface }
    const conf = withAddress(membership.conf, `${plan.podAddress}/${plan.podPrefix}`, membership.gateway)
    if (pod) await removeFromNetwork(conf, attachment)
    const result = await addToNetwork(conf, attachment)
    const hostEnd = result.interfaces?.find((link) => !link.sandbox)?.name
    if (!hostEnd) throw new Error('the CNI plugin did not say which interface it made on the host')
    return hostEnd
  }

  async function attach(uid: string, plan: MachinePlan, names: GuestNames, membership: Membership): Promise<Attached> {
    await underWay.get(uid)
    const links = await makeNamespace(uid)
    await batch(uid, linkLines(plan, links))
    const joined = becomeMember(uid, plan, links, names, membership)
    // An error is for who waits for `joined`.
    const ended = joined.catch(() => {}).finally(() => underWay.delete(uid))
    underWay.set(uid, ended)
    return { netns: pathOf(uid), joined }
  }

  /** A guest may run already: nothing of it is passed on before the rules are there. */
  async function becomeMember(
    uid: string,
    plan: MachinePlan,
    links: LinkState[],
    names: GuestNames,
    membership: Membership,
  ) {
    const netns = pathOf(uid)
    const [hostEnd] = await settled([
      joinNetwork(uid, plan, links, membership),
      run(inside(netns, 'nft', '-f', '-'), { input: machineRules(plan) }),
      serveDhcp(dhcpDir, uid, netns, plan, names),
    ])
    if (plan.binding === 'bridge') answerForNeighbours(hostEnd)
    await batch(uid, portLines(plan, links))
    await setNamespaceSwitches(netns)
  }

  async function batch(uid: string, lines: string[]): Promise<void> {
    if (lines.length > 0) await run(inside(pathOf(uid), 'ip', '-batch', '-'), { input: `${lines.join('\n')}\n` })
  }

  async function makeTap(uid: string, twin: boolean, owner: number): Promise<void> {
    const links = await linksIn(pathOf(uid))
    if (!links) throw new Error('the machine has no network namespace')
    await batch(uid, twinLines(twin, owner, links))
  }

  async function dropTap(uid: string, twin: boolean): Promise<void> {
    const [name] = tapsOf(twin)
    if (!existsSync(pathOf(uid))) return
    await run(inside(pathOf(uid), 'ip', 'link', 'delete', 'dev', name), { allowFailure: true })
  }

  async function detach(uid: string): Promise<void> {
    await underWay.get(uid)
    await stopDhcp(dhcpDir, uid)
    if (!existsSync(pathOf(uid))) return
    const links = await linksIn(pathOf(uid))
    const pod = links?.find((link) => link.ifname === podInterface)
    // By hand, as the plugin's DEL may meet a namespace in any state; static addresses need no giving back.
    if (pod) await run(inside(pathOf(uid), 'ip', 'link', 'delete', 'dev', podInterface), { allowFailure: true })
    await run(['ip', 'netns', 'delete', nameOf(uid)])
  }

  // One at a time for each VM; different VMs side by side.
  const busy = new Map<string, Promise<unknown>>()
  function inTurn<T>(uid: string, work: () => Promise<T>): Promise<T> {
    const turn = (busy.get(uid) ?? Promise.resolve()).then(work, work)
    const settled = turn.catch(() => {}).finally(() => busy.get(uid) === settled && busy.delete(uid))
    busy.set(uid, settled)
    return turn
  }

  return {
    pathOf,
    attach: (uid, plan, names, membership) => inTurn(uid, () => attach(uid, plan, names, membership)),
    makeTap: (uid, twin, owner) => inTurn(uid, () => makeTap(uid, twin, owner)),
    dropTap: (uid, twin) => inTurn(uid, () => dropTap(uid, twin)),
    detach: (uid) => inTurn(uid, () => detach(uid)),
    attached: () =>
      existsSync(netnsDir)
        ? readdirSync(netnsDir)
            .filter((name) => name.startsWith(prefix))
            .map((name) => name.slice(prefix.length))
        : [],
  }
}
