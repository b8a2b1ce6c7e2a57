// Networks that a Pod joins beside the pod network: the annotation k8s.v1.cni.cncf.io/networks, and what came of it in
// k8s.v1.cni.cncf.io/network-status (the Network Plumbing Working Group's multi-net-spec 1.3, as Multus does it).

import { networkReference } from '../../kinds/networkattachment/network-config.ts'
import type { CniResult } from '../network/cni.ts'
import { readNetwork } from '../network/read-network.ts'
import type { Shared } from './options.ts'
import type { PodObject } from './pod.ts'

const asked = 'k8s.v1.cni.cncf.io/networks'
const told = 'k8s.v1.cni.cncf.io/network-status'
const interfacePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/
const taken = new Set(['lo', 'eth0'])

export interface Selection {
  namespace: string
  name: string
  interfaceName: string
  mac?: string
}

/** "a, other/b@eth5", or JSON: [{"name", "namespace", "interface", "mac"}]. @throws Error */
export function selections(text: string, namespace: string): Selection[] {
  const given = text.trim().startsWith('[') ? fromJson(text) : fromNames(text)
  const chosen = given.map(({ name, namespace: other, interface: interfaceName, mac }, index) => ({
    ...networkReference(other ? `${other}/${name}` : name, namespace),
    interfaceName: interfaceName || `net${index + 1}`,
    ...(mac && { mac }),
  }))
  const names = new Set(taken)
  for (const { interfaceName } of chosen) {
    if (!interfacePattern.test(interfaceName) || names.has(interfaceName))
      throw new Error(`${asked}: the interface "${interfaceName}" cannot be had, or not twice`)
    names.add(interfaceName)
  }
  return chosen
}

interface Given {
  name: string
  namespace?: string
  interface?: string
  mac?: string
}

const fromNames = (text: string): Given[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => {
      const [name = '', interfaceName] = part.split('@')
      return { name, interface: interfaceName }
    })

function fromJson(text: string): Given[] {
  try {
    const list = JSON.parse(text)
    if (!Array.isArray(list) || list.some((one) => typeof one?.name !== 'string')) throw new Error('each needs a name')
    return list
  } catch (error) {
    throw new Error(`${asked}: not a list of networks: ${(error as Error).message}`, { cause: error })
  }
}

/** Before its first program runs. `sandbox`: the process that holds the Pod's namespaces. */
export async function joinFurtherNetworks(
  shared: Shared,
  pod: PodObject,
  sandboxId: string,
  address: string | undefined,
) {
  const text = pod.metadata.annotations?.[asked]
  if (!text?.trim()) return
  const { uid, namespace = '', name } = pod.metadata
  const chosen = selections(text, namespace)
  const requests = await Promise.all(
    chosen.map(async ({ interfaceName, mac, ...at }) => ({
      interfaceName,
      conf: await readNetwork(shared.client, at),
      mac,
    })),
  )
  const { info } = await shared.containerd.cri.podSandboxStatus({ podSandboxId: sandboxId, verbose: true })
  const results = await shared.network.joinPod(uid, namespaceOf(info?.info), requests)
  const status = [
    { name: 'tandem', interface: 'eth0', ips: address ? [address] : [], default: true, dns: {} },
    ...chosen.map((one, index) => statusOf(one, results[index]!)),
  ]
  const patch = { metadata: { annotations: { [told]: JSON.stringify(status, null, 4) } } }
  await shared.client.patch({ group: '', version: 'v1', resource: 'pods' }, name, namespace, 'merge', patch)
}

function statusOf({ namespace, name, interfaceName }: Selection, { interfaces = [], ips = [] }: CniResult) {
  const own = interfaces.find((one) => one.sandbox && one.name === interfaceName)
  return {
    name: `${namespace}/${name}`,
    interface: interfaceName,
    ips: ips.map((ip) => ip.address.split('/')[0]),
    ...(own?.mac && { mac: own.mac }),
    dns: {},
  }
}

/** containerd's verbose answer names the process of the sandbox; its namespace is entered by that. */
function namespaceOf(info: string | undefined): string {
  const known = JSON.parse(info ?? '{}') as {
    runtimeSpec?: { linux?: { namespaces?: { type: string; path?: string }[] } }
    pid?: number
  }
  const path = known.runtimeSpec?.linux?.namespaces?.find(({ type }) => type === 'network')?.path
  if (path) return path
  throw new Error('a Pod on the network of its node cannot join further networks')
}
