// The network of one Tandem: gateway interface, CNI configuration, namespaces of VMs, Services and cluster DNS.

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Logger } from '../../base/log.ts'
import type { InformerFactory } from '../../client/informer.ts'
import { run } from '../exec.ts'
import type { StatePaths } from '../state.ts'
import { formatRange, halves, nth, rangeOf } from './addresses.ts'
import { type ConfList, machineConfList, podConfList } from './cni.ts'
import { createDns, type Dns } from './dns.ts'
import { type GatewaySettings, outerMtu, removeGateway, setUpGateway, workloadInterfaces } from './gateway.ts'
import { type Leases, openLeases } from './leases.ts'
import { type MachineNamespaces, machineNamespaces } from './machine-network.ts'
import { planMachine, tap } from './machine-plan.ts'
import type { MachineNetwork, MachineNetworkRequest, Network } from './network.ts'
import { type ServiceRules, serviceRules } from './services.ts'
import { releaseSwitches, useSwitches } from './sysctl.ts'

export interface NetworkOptions {
  /** Four hex digits that keep the names of two Tandems apart. */
  instance: string
  paths: StatePaths
  podCidr: string
  serviceCidr: string
  clusterDomain: string
  informers: InformerFactory
  log: Logger
}

export interface RunningNetwork extends Network {
  /** Resolves when the Services and EndpointSlices that the informers know are in the kernel. */
  settled(): Promise<void>
}

/** Forwarding between workloads and out; loopback addresses as a source of NodePort traffic (the table guards them). */
const switches = { 'net/ipv4/ip_forward': '1', 'net/ipv4/conf/all/route_localnet': '1' }

export function createNetwork(options: NetworkOptions): RunningNetwork {
  const { instance, paths, clusterDomain, log } = options
  const pods = rangeOf(options.podCidr)
  const services = rangeOf(options.serviceCidr)
  const gateway: GatewaySettings = {
    interfaceName: `td${instance}`,
    gateway: nth(pods, 1),
    apiAddress: nth(services, 1),
    dnsAddress: nth(services, 10),
    podCidr: formatRange(pods),
    serviceCidr: formatRange(services),
  }
  const { apiAddress, dnsAddress, podCidr, serviceCidr } = gateway
  const machineDir = dirname(paths.cni.machineConfList)
  const dhcpDir = join(dirname(paths.pid), 'dhcp')
  const rules: ServiceRules = serviceRules({
    table: { table: `tandem_${instance}`, podCidr, serviceCidr, dnsAddress },
    own: [apiAddress, dnsAddress],
    informers: options.informers,
    warn: (message) => log.warn(message),
  })
  const dns: Dns = createDns({
    address: dnsAddress,
    podCidr,
    serviceCidr,
    clusterDomain,
    informers: options.informers,
    log,
  })
  let mtu = 1500
  let leases: Leases
  let namespaces: MachineNamespaces = makeNamespaces(machineConfList(instance, mtu))

  function makeNamespaces(conf: ConfList): MachineNamespaces {
    return machineNamespaces({ instance, netnsDir: paths.netns, dhcpDir, conf, gateway: gateway.gateway })
  }

  function openAddressBook(): Leases {
    const { machineFirst, machineLast } = halves(podCidr)
    return openLeases(join(machineDir, 'addresses.json'), machineFirst, machineLast)
  }

  function resolver(namespace: string) {
    const searches = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain]
    return { nameservers: [dnsAddress], searches, options: ['ndots:5'] }
  }

  async function start(): Promise<void> {
    await setUpGateway(gateway)
    useSwitches(instance, switches)
    mtu = await outerMtu()
    const machineList = machineConfList(instance, mtu)
    writeJson(paths.cni.podConfList, podConfList(instance, podCidr, paths.cni.data, mtu))
    writeJson(paths.cni.machineConfList, machineList)
    leases = openAddressBook()
    namespaces = makeNamespaces(machineList)
    await rules.prepare()
    rules.follow()
    await dns.start()
  }

  async function attachMachine(request: MachineNetworkRequest): Promise<MachineNetwork> {
    if (!/^[a-z0-9-]+$/i.test(request.uid)) throw new Error(`"${request.uid}" is not a uid`)
    const address = leases.reserve(`${request.namespace}/${request.name}`)
    const plan = planMachine(request, { address, cidr: podCidr, gateway: gateway.gateway, mtu, instance })
    const cluster = resolver(request.namespace)
    const searches = request.dns?.searches ?? cluster.searches
    const own = request.subdomain && `${request.subdomain}.${request.namespace}.svc.${clusterDomain}`
    const netns = await namespaces.attach(request.uid, plan, {
      hostname: request.hostname,
      domain: own || searches[0],
      nameservers: request.dns?.nameservers ?? cluster.nameservers,
      searches: own ? [own, ...searches] : searches,
    })
    const { podPrefix: prefixLength, mac, guestAddress } = plan
    return { netns, address, prefixLength, gateway: gateway.gateway, mtu, tap, mac, guestAddress }
  }

  async function removeAll(): Promise<void> {
    await stop()
    for (const uid of namespaces.attached()) await namespaces.detach(uid)
    for (const name of await workloadInterfaces(podCidr))
      await run(['ip', 'link', 'delete', 'dev', name], { allowFailure: true })
    await rules.remove()
    await removeGateway(gateway)
    releaseSwitches(instance)
    // The address book stays: it belongs to the VMs in the store, which are still there at the next start.
    for (const path of [paths.cni.conf, paths.cni.machineConfList, paths.cni.data, dhcpDir])
      rmSync(path, { recursive: true, force: true })
  }

  async function stop(): Promise<void> {
    await Promise.all([rules.stop(), dns.stop()])
  }

  return {
    apiAddress,
    dnsAddress,
    podCidr,
    serviceCidr,
    start,
    resolver,
    attachMachine,
    detachMachine: (uid) => namespaces.detach(uid),
    releaseAddress: async (namespace, name) => (leases ?? openAddressBook()).release(`${namespace}/${name}`),
    attachedMachines: async () => namespaces.attached(),
    settled: () => rules.settled(),
    removeAll,
    stop,
  }
}

/** containerd watches the directory, so a file must never be seen half-written. */
function writeJson(path: string, content: object): void {
  mkdirSync(dirname(path), { recursive: true })
  const draft = join(dirname(path), `.${process.pid}.new`)
  writeFileSync(draft, `${JSON.stringify(content, null, 2)}\n`)
  renameSync(draft, path)
}
