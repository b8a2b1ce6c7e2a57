// The network of one Tandem: gateway interface, CNI configuration, namespaces of VMs, Services and cluster DNS.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Logger } from '../../base/log.ts'
import type { InformerFactory } from '../../client/informer.ts'
import type { StatePaths } from '../state.ts'
import { formatRange, halves, nth, rangeOf } from './addresses.ts'
import { machineConfList, podConfList } from './cni.ts'
import { createDns, type Dns } from './dns.ts'
import { type GatewaySettings, outerMtu, setUpGateway } from './gateway.ts'
import { type Leases, openLeases } from './leases.ts'
import { type Membership, machineNamespaces } from './machine-network.ts'
import { macOf, planMachine, tap } from './machine-plan.ts'
import type { FurtherNetwork, MachineNetwork, MachineNetworkRequest, Network, PlugRequest } from './network.ts'
import { firewallWarning } from './other-firewalls.ts'
import { machineRef } from './policies.ts'
import { secondaryNetworks } from './secondary.ts'
import { type ServiceRules, serviceRules } from './services.ts'
import { useSwitches } from './sysctl.ts'
import { dhcpDirOf, interfaceNameOf, removeNetwork, secondaryOptions, tableNameOf } from './teardown.ts'

export interface NetworkOptions {
  /** Four hex digits that keep the names of two Tandems apart. */
  instance: string
  paths: StatePaths
  podCidr: string
  serviceCidr: string
  clusterDomain: string
  nodeName: string
  informers: InformerFactory
  log: Logger
}

export interface RunningNetwork extends Network {
  /** Resolves when the Services and EndpointSlices that the informers know are in the kernel. */
  settled(): Promise<void>
  /** 'namespace/name' of every VM that has an address. */
  reservedAddresses(): string[]
}

/** Forwarding between workloads and out; loopback addresses as a source of NodePort traffic (the table guards them). */
const switches = { 'net/ipv4/ip_forward': '1', 'net/ipv4/conf/all/route_localnet': '1' }

export function createNetwork(options: NetworkOptions): RunningNetwork {
  const { instance, paths, clusterDomain, log } = options
  const pods = rangeOf(options.podCidr)
  const services = rangeOf(options.serviceCidr)
  const gateway: GatewaySettings = {
    interfaceName: interfaceNameOf(instance),
    gateway: nth(pods, 1),
    apiAddress: nth(services, 1),
    dnsAddress: nth(services, 10),
    podCidr: formatRange(pods),
    serviceCidr: formatRange(services),
  }
  const { apiAddress, dnsAddress, podCidr, serviceCidr } = gateway
  const machineDir = dirname(paths.cni.machineConfList)
  const rules: ServiceRules = serviceRules({
    table: { table: tableNameOf(instance), podCidr, serviceCidr, dnsAddress },
    own: [apiAddress, dnsAddress],
    nodeName: options.nodeName,
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
  const machines = options.informers.informer(machineRef)
  let mtu = 1500
  let leases: Leases | undefined
  let membership: Membership
  const namespaces = machineNamespaces(instance, paths.netns, dhcpDirOf(paths))
  const secondary = secondaryNetworks(secondaryOptions(paths, instance))

  function addressBook(): Leases {
    const { machineFirst, machineLast } = halves(podCidr)
    leases ??= openLeases(join(machineDir, 'addresses.json'), machineFirst, machineLast)
    return leases
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
    membership = { conf: machineList, gateway: gateway.gateway }
    await rules.prepare()
    rules.follow()
    await dns.start()
    const warning = await firewallWarning(podCidr)
    if (warning) log.warn(warning)
  }

  async function attachMachine(request: MachineNetworkRequest): Promise<MachineNetwork> {
    if (!/^[a-z0-9-]+$/i.test(request.uid)) throw new Error(`"${request.uid}" is not a uid`)
    const key = `${request.namespace}/${request.name}`
    const address = addressBook().reserve(key)
    const machine = machines.get(key)
    if (machine) await rules.protect(machine, address)
    const plan = planMachine(request, { address, cidr: podCidr, gateway: gateway.gateway, mtu, instance })
    const cluster = resolver(request.namespace)
    const searches = request.dns?.searches ?? cluster.searches
    const own = request.subdomain && `${request.subdomain}.${request.namespace}.svc.${clusterDomain}`
    const names = {
      hostname: request.hostname,
      domain: own || searches[0],
      nameservers: request.dns?.nameservers ?? cluster.nameservers,
      searches: own ? [own, ...searches] : searches,
    }
    const { netns, joined } = await namespaces.attach(request.uid, plan, names, membership)
    const { podPrefix: prefixLength, mac, guestAddress } = plan
    const wanted = (request.secondaries ?? []).map((one) => withMac(key, one))
    if (wanted.length) await joined
    const secondaries = wanted.length ? await secondary.attach(request.uid, netns, request.tapOwner, wanted) : []
    const { gateway: router } = gateway
    return { netns, joined, address, prefixLength, gateway: router, mtu, tap, mac, guestAddress, secondaries }
  }

  const withMac = (key: string, one: FurtherNetwork) => ({
    ...one,
    mac: one.mac ?? macOf(instance, `${key}/${one.name}`),
  })

  async function plugMachine({ uid, namespace, name, tapOwner, secondary: one }: PlugRequest) {
    const netns = namespaces.pathOf(uid)
    if (!existsSync(netns)) throw new Error('the machine was started without a network: restart it')
    const [joined] = await secondary.attach(uid, netns, tapOwner, [withMac(`${namespace}/${name}`, one)])
    return joined!
  }

  async function removeAll(): Promise<void> {
    await stop()
    await removeNetwork({ paths, instance, podCidr, log })
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
    detachMachine: async (uid) => {
      await secondary.leave(uid)
      await namespaces.detach(uid)
    },
    makeMachineTap: (uid, twin, owner) => namespaces.makeTap(uid, twin, owner),
    dropMachineTap: (uid, twin) => namespaces.dropTap(uid, twin),
    machineNamespace: (uid) => (existsSync(namespaces.pathOf(uid)) ? namespaces.pathOf(uid) : undefined),
    plugMachine,
    unplugMachine: (uid, network) => secondary.drop(uid, network),
    joinPod: (uid, netns, requests) => secondary.join(uid, netns, requests),
    leavePod: (uid) => secondary.leave(uid),
    releaseAddress: async (namespace, name) => addressBook().release(`${namespace}/${name}`),
    attachedMachines: async () => namespaces.attached(),
    reservedAddresses: () => addressBook().keys(),
    settled: () => rules.settled(),
    protect: (workload, address) => rules.protect(workload, address),
    removeAll,
    stop,
  }
}

/** containerd watches the directory, so a file must never be seen half-written, nor be written for nothing. */
function writeJson(path: string, content: object): void {
  const text = `${JSON.stringify(content, null, 2)}\n`
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return
  mkdirSync(dirname(path), { recursive: true })
  // In the same directory: containerd hears of the renaming of the draft, but not of the file that appears by it.
  const draft = join(dirname(path), '.draft')
  writeFileSync(draft, text)
  renameSync(draft, path)
}
