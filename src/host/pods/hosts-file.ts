// Content of a Pod's /etc/hosts. Lines mirrored from the kubelet (pkg/kubelet/kubelet_pods.go, 1.32).

import type { PodObject } from './pod.ts'

const mark = '# Kubernetes-managed hosts file'

const maxHostname = 63

/** The Pod's own name in its network: spec.hostname, or its name cut to what a host name may have. */
export function podHostname({ metadata, spec }: PodObject): string {
  if (spec.hostname) return spec.hostname
  return metadata.name.slice(0, maxHostname).replace(/[-.]+$/, '')
}

/** "web.shop.svc" parts, where the Pod has a subdomain. */
export function podDomain({ metadata, spec }: PodObject, clusterDomain: string): string {
  return spec.subdomain ? `${spec.subdomain}.${metadata.namespace}.svc.${clusterDomain}` : ''
}

function aliasLines(pod: PodObject): string[] {
  const aliases = pod.spec.hostAliases ?? []
  if (!aliases.length) return []
  return [
    '',
    '# Entries added by HostAliases.',
    ...aliases.map(({ ip, hostnames }) => [ip, ...(hostnames ?? [])].join('\t')),
  ]
}

export function hostsFile(pod: PodObject, podIPs: string[], clusterDomain: string): string {
  const hostname = podHostname(pod)
  const domain = podDomain(pod, clusterDomain)
  const lines = [
    `${mark}.`,
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...podIPs.map((ip) => [ip, ...namesOf(pod, hostname, domain)].join('\t')),
    ...aliasLines(pod),
  ]
  return `${lines.join('\n')}\n`
}

const namesOf = ({ spec }: PodObject, hostname: string, domain: string): string[] =>
  spec.hostnameOverride ? [spec.hostnameOverride] : domain ? [`${hostname}.${domain}`, hostname] : [hostname]

/** A Pod in the machine's network keeps the machine's file. */
export const hostNetworkHostsFile = (pod: PodObject, machineHosts: string): string =>
  `${mark} (host network).\n${machineHosts.trimEnd()}\n${aliasLines(pod)
    .map((line) => `${line}\n`)
    .join('')}`
