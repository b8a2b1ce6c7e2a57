// UDP flows have no end, so the kernel goes on translating them as it began: what leads to an endpoint that is gone, or
// was begun before there was an endpoint, must be forgotten (pkg/proxy/conntrack/cleanup.go, 1.36).

import { run } from '../exec.ts'
import type { Endpoint, ServicePort } from './ruleset.ts'

const udpOf = (services: ServicePort[]): ServicePort[] => services.filter(({ protocol }) => protocol === 'UDP')

export function goneEndpoints(old: ServicePort[], next: ServicePort[]): Endpoint[] {
  const list = (services: ServicePort[]) => udpOf(services).flatMap(({ endpoints }) => endpoints)
  const still = new Set(list(next).map(({ address, port }) => `${address}:${port}`))
  return list(old).filter(({ address, port }) => !still.has(`${address}:${port}`))
}

/** Where packets used to go that are translated from now on; without an address it is a port of every one. */
export interface Target {
  address?: string
  port: number
}

const targetsOf = ({ addresses, guarded, port, nodePort, endpoints }: ServicePort): Target[] =>
  endpoints.length === 0
    ? []
    : [
        ...[...addresses, ...(guarded?.addresses ?? [])].map((address) => ({ address, port })),
        ...(nodePort ? [{ port: nodePort }] : []),
      ]

const keyOf = ({ address = '', port }: Target) => `${address}:${port}`

export function newlyServed(old: ServicePort[], next: ServicePort[]): Target[] {
  const before = new Set(udpOf(old).flatMap(targetsOf).map(keyOf))
  return udpOf(next)
    .flatMap(targetsOf)
    .filter((target) => !before.has(keyOf(target)))
}

export async function forgetFlows(gone: Endpoint[], served: Target[]): Promise<void> {
  const wanted = [
    ...gone.map(({ address, port }) => ['--reply-src', address, '--reply-port-src', String(port)]),
    ...served.map(({ address, port }) => [
      ...(address ? ['--orig-dst', address] : []),
      '--orig-port-dst',
      String(port),
    ]),
  ]
  // Exit code 1 also means that there was nothing to forget; without the program flows end by their timeout.
  for (const match of wanted)
    await run(['conntrack', '-D', '-p', 'udp', ...match], { allowFailure: true }).catch(() => {})
}
