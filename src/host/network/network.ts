// The machine's network as workloads see it: an address for each Pod and VM from one range, routed (CNI `ptp`), so that
// Services and policies meet every packet in the host's forwarding path.

import type { StoredObject } from '../../api/meta.ts'
import type { CniResult, ConfList } from './cni.ts'
import type { SecondaryNetwork } from './secondary.ts'

export interface MachineNetwork {
  /** Path of the network namespace, under /run/netns. The tap is in it: QEMU can be started. */
  netns: string
  /** When the machine is a member of the network. @throws Error when it cannot be */
  joined: Promise<void>
  /** Address in the pod network, and its prefix length there. */
  address: string
  prefixLength: number
  gateway: string
  mtu: number
  /** Tap device inside the namespace that QEMU opens. */
  tap: string
  /** MAC address that the guest's interface must have. */
  mac: string
  /** What the guest gets by DHCP: with masquerade a private address, with bridge the pod address. */
  guestAddress: string
  /** Further networks, in the order of the request. */
  secondaries: SecondaryNetwork[]
}

export interface MachineNetworkRequest {
  uid: string
  namespace: string
  name: string
  binding: 'masquerade' | 'bridge'
  mac?: string
  /** vmNetworkCIDR of a masquerade network; default 10.0.2.0/24 */
  vmNetworkCidr?: string
  /** Ports that masquerade forwards; empty or absent = all. */
  ports?: { port: number; protocol: 'TCP' | 'UDP' }[]
  hostname: string
  subdomain?: string
  /** Numeric user that owns the tap device, so that an unprivileged QEMU can open it. */
  tapOwner: number
  /** Further networks: their name in the machine's spec, and how their plugin is to be called. */
  secondaries?: FurtherNetwork[]
  dns?: { nameservers?: string[]; searches?: string[]; options?: string[] }
}

export interface FurtherNetwork {
  name: string
  conf: ConfList
  mac?: string
}

export interface PlugRequest extends Pick<MachineNetworkRequest, 'uid' | 'namespace' | 'name' | 'tapOwner'> {
  secondary: FurtherNetwork
}

export interface Network {
  /** Prepares bridge/loopback addresses, CNI configuration, forwarding and the nftables table. */
  start(): Promise<void>
  /** IP addresses at which Tandem itself is reachable for workloads: the `kubernetes` Service and cluster DNS. */
  readonly apiAddress: string
  readonly dnsAddress: string
  readonly podCidr: string
  readonly serviceCidr: string
  /** Content of /etc/resolv.conf of a workload with dnsPolicy ClusterFirst. */
  resolver(namespace: string): { nameservers: string[]; searches: string[]; options: string[] }
  /**
   * Namespace, tap, NAT and DHCP for a VM; the same VM (namespace/name) keeps its address until `release`.
   * Idempotent: what exists is taken over, what is missing is repaired.
   */
  attachMachine(request: MachineNetworkRequest): Promise<MachineNetwork>
  /** The taps of two QEMUs of one machine take turns: makes or removes that of one turn. Idempotent. */
  makeMachineTap(uid: string, twin: boolean, owner: number): Promise<void>
  dropMachineTap(uid: string, twin: boolean): Promise<void>
  /** The path of a machine's namespace; undefined where it has none. */
  machineNamespace(uid: string): string | undefined
  /** One more of the further networks, for a machine that has joined. Idempotent. */
  plugMachine(request: PlugRequest): Promise<SecondaryNetwork>
  /** Gives back what plugMachine, or attachMachine, took for one of them. Idempotent. */
  unplugMachine(uid: string, network: string): Promise<void>
  /** Joins a Pod's namespace to further networks. Idempotent. */
  joinPod(
    uid: string,
    netns: string,
    requests: { interfaceName: string; conf: ConfList; mac?: string }[],
  ): Promise<CniResult[]>
  /** Gives back what joinPod took. Idempotent. */
  leavePod(uid: string): Promise<void>
  /** Resolves when the NetworkPolicies for a workload at its new address hold: before its first program runs. */
  protect(workload: StoredObject, address: string): Promise<void>
  /** Removes the namespace and all in it; the address stays reserved for namespace/name. */
  detachMachine(uid: string): Promise<void>
  /** Gives the address of a VM that no longer exists back. */
  releaseAddress(namespace: string, name: string): Promise<void>
  /** All uids of machines with a namespace on this host. */
  attachedMachines(): Promise<string[]>
  /** Removes every interface, namespace, table and rule that this instance made. */
  removeAll(): Promise<void>
  stop(): Promise<void>
}
