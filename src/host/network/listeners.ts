// Ports of this machine at which one of its own programs listens (proc(5), /proc/net): a load balancer must not take them
// away, or a Service with port 22 would lock its author out.

import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { ServicePort } from './ruleset.ts'

const listening: Record<string, string> = { tcp: '0A', udp: '07' }

/** '0100007F:0016' → port 22; addresses of one machine are all the same here, loopback is not. */
export function portsIn(text: string, state: string): Set<number> {
  const ports = new Set<number>()
  for (const line of text.split('\n').slice(1)) {
    const [, local = '', , shown] = line.trim().split(/\s+/)
    const [address = '', port = ''] = local.split(':')
    const isLoopback = /^(.{6}7F|0{24}01000000)$/i.test(address)
    if (shown === state && !isLoopback && port) ports.add(Number.parseInt(port, 16))
  }
  return ports
}

/** 'tcp/22' and so on. */
export function listeners(): Set<string> {
  const found = new Set<string>()
  for (const [protocol, state] of Object.entries(listening))
    for (const suffix of ['', '6']) {
      try {
        for (const port of portsIn(readFileSync(`/proc/net/${protocol}${suffix}`, 'utf8'), state))
          found.add(`${protocol}/${port}`)
      } catch {
        // A kernel without IPv6 has no such file.
      }
    }
  return found
}

export interface Machine {
  addresses: () => Set<string>
  listeners: () => Set<string>
}

const thisMachine: Machine = {
  addresses: () =>
    new Set(
      Object.values(networkInterfaces())
        .flat()
        .flatMap((one) => one?.address ?? []),
    ),
  listeners,
}

/** Services without those addresses of this machine at whose port somebody listens, and what to say of it. */
export function withoutListeners(
  ports: ServicePort[],
  machine: Machine = thisMachine,
): { kept: ServicePort[]; refused: string[] } {
  const outside = ports.filter(({ addresses, guarded }) => addresses.length > 1 || guarded)
  if (outside.length === 0) return { kept: ports, refused: [] }
  const own = machine.addresses()
  const taken = machine.listeners()
  const refused: string[] = []
  const kept = ports.map((service) => {
    const { addresses, guarded, port, protocol, key } = service
    if (!taken.has(`${protocol.toLowerCase()}/${port}`)) return service
    const hit = [...addresses, ...(guarded?.addresses ?? [])].filter((address) => own.has(address))
    if (hit.length === 0) return service
    refused.push(
      `port ${port} of ${hit.join(', ')} is not given to the Service ${key.replace(/\/external$/, '')}: a program of this machine listens there ('ss -ltnup sport = :${port}' names it)`,
    )
    const others = (list: string[]) => list.filter((address) => !own.has(address))
    return {
      ...service,
      addresses: others(addresses),
      ...(guarded && { guarded: { ...guarded, addresses: others(guarded.addresses) } }),
    }
  })
  return { kept, refused }
}
