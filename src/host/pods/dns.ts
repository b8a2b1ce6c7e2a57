// A Pod's resolver by dnsPolicy and dnsConfig. Mirrored from the kubelet (pkg/kubelet/network/dns, 1.32).

import type { PodObject } from './pod.ts'

export interface Resolver {
  nameservers: string[]
  searches: string[]
  options: string[]
}

const empty: Resolver = { nameservers: [], searches: [], options: [] }

export function parseResolvConf(text: string): Resolver {
  const resolver: Resolver = { nameservers: [], searches: [], options: [] }
  for (const line of text.split('\n')) {
    const [word, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/)
    if (word === 'nameserver' && values[0]) resolver.nameservers.push(values[0])
    if (word === 'search') resolver.searches = values
    if (word === 'options') resolver.options = values
  }
  return resolver
}

/** The cluster's resolver for the Pod's namespace and the machine's own, of which the policy chooses. */
export function podResolver(pod: PodObject, cluster: Resolver, machine: Resolver): Resolver {
  const { dnsPolicy = 'ClusterFirst', hostNetwork, dnsConfig } = pod.spec
  const useCluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork)
  const base = dnsPolicy === 'None' ? empty : useCluster ? cluster : machine
  if (!dnsConfig) return base
  const given = (dnsConfig.options ?? []).map(({ name, value }) => (value ? `${name}:${value}` : `${name}`))
  const optionName = (option: string) => option.split(':')[0]
  const kept = base.options.filter((option) => !given.some((other) => optionName(other) === optionName(option)))
  return {
    nameservers: [...new Set([...base.nameservers, ...(dnsConfig.nameservers ?? [])])],
    searches: [...new Set([...base.searches, ...(dnsConfig.searches ?? [])])],
    options: [...kept, ...given],
  }
}
