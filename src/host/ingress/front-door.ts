// The ports of this machine at which HTTP from outside is taken in, and who decides there: Ingresses and Gateways may share
// one, and the first that knows a request has it.

import type { SecureContext } from 'node:tls'
import type { ProxiedRequest } from '../../wire/reverse-proxy.ts'
import type { Answer, Passage, Place, Scheme } from './passage.ts'
import { createFrontServer, type FrontServer } from './server.ts'

export interface Doorkeeper {
  /** Who is asked first. */
  order: number
  /** Undefined: not one of mine. */
  decide(request: ProxiedRequest, place: Place): Passage | Answer | undefined
  context(servername: string, port: number): SecureContext | undefined
}

export interface FrontDoor {
  /** Opens the ports that the keeper wants from now on and closes those that nobody wants any more. Resolves with those
   * that could not be opened, and why. */
  want(keeper: Doorkeeper, ports: ReadonlyMap<number, Scheme>): Promise<Map<number, Error>>
  close(): Promise<void>
}

export interface FrontDoorOptions {
  host: string
  /** For names that nobody has a certificate for. */
  certificate: { cert: string; key: string }
}

const unknown: Answer = { status: 404, message: 'default backend - 404' }

export function createFrontDoor({ host, certificate }: FrontDoorOptions): FrontDoor {
  const wishes = new Map<Doorkeeper, ReadonlyMap<number, Scheme>>()
  const open = new Map<number, { scheme: Scheme; server: FrontServer }>()
  let fallback: SecureContext | undefined
  let working: Promise<unknown> = Promise.resolve()

  const keepersOf = (port: number): Doorkeeper[] =>
    [...wishes]
      .filter(([, ports]) => ports.has(port))
      .map(([keeper]) => keeper)
      .sort((a, b) => a.order - b.order)

  function firstOf<T>(port: number, ask: (keeper: Doorkeeper) => T | undefined): T | undefined {
    for (const keeper of keepersOf(port)) {
      const answer = ask(keeper)
      if (answer !== undefined) return answer
    }
    return undefined
  }

  const serverFor = (port: number, scheme: Scheme): FrontServer =>
    createFrontServer({
      host,
      port,
      scheme,
      certificate,
      decide: (request, place) => firstOf(port, (keeper) => keeper.decide(request, place)) ?? unknown,
      context: (servername) => {
        const found = firstOf(port, (keeper) => keeper.context(servername, port))
        fallback ??= found ? undefined : process.getBuiltinModule('node:tls').createSecureContext(certificate)
        return found ?? fallback!
      },
    })

  /** What the keepers other than `keeper` have at a port. */
  const othersAt = (keeper: Doorkeeper, port: number): Scheme | undefined =>
    [...wishes].find(([other, ports]) => other !== keeper && ports.has(port))?.[1].get(port)

  async function settle(keeper: Doorkeeper, ports: ReadonlyMap<number, Scheme>): Promise<Map<number, Error>> {
    const failed = new Map<number, Error>()
    const possible = new Map(ports)
    for (const [port, scheme] of ports) {
      const other = othersAt(keeper, port)
      if (other === undefined || other === scheme) continue
      failed.set(port, new Error(`port ${port} is served with ${other.toUpperCase()} already`))
      possible.delete(port)
    }
    wishes.set(keeper, possible)
    for (const [port, { scheme, server }] of open) {
      const wanted = possible.get(port) ?? othersAt(keeper, port)
      if (wanted === scheme) continue
      open.delete(port)
      await server.close()
    }
    for (const [port, scheme] of possible) {
      if (open.has(port)) continue
      const server = serverFor(port, scheme)
      try {
        await server.listen()
        open.set(port, { scheme, server })
      } catch (error) {
        failed.set(port, error as Error)
        possible.delete(port)
      }
    }
    return failed
  }

  return {
    want(keeper, ports) {
      const settled = working.then(() => settle(keeper, ports))
      working = settled.catch(() => {})
      return settled
    },
    async close() {
      await working
      await Promise.all([...open.values()].map(({ server }) => server.close()))
      open.clear()
    },
  }
}
