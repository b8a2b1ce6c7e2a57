// Answers load balancers elsewhere that ask whether this node has endpoints of a Service with externalTrafficPolicy Local:
// 200 where it has, 503 where not, at the Service's healthCheckNodePort (pkg/proxy/healthcheck/service_health.go, 1.36).

import type { Server } from 'node:http'
import type { StoredObject } from '../../api/meta.ts'

export interface HealthCheck {
  namespace: string
  name: string
  localEndpoints: number
}

export interface HealthChecks {
  /** The ports that should answer from now on, and what. */
  update(wanted: Map<number, HealthCheck>): void
  stop(): Promise<void>
}

/** The port of a Service that has one, and how many endpoints on this node it speaks of. */
export function healthCheckOf(
  service: StoredObject,
  slices: StoredObject[],
  nodeName: string,
): [port: number, check: HealthCheck] | undefined {
  const { type, externalTrafficPolicy, healthCheckNodePort } = service.spec ?? {}
  if (type !== 'LoadBalancer' || externalTrafficPolicy !== 'Local' || !healthCheckNodePort) return undefined
  const local = new Set<string>()
  for (const slice of slices)
    for (const { addresses = [], conditions, nodeName: where } of slice.endpoints ?? [])
      if (where === nodeName && conditions?.ready !== false) for (const address of addresses) local.add(address)
  const { namespace = '', name } = service.metadata
  return [healthCheckNodePort, { namespace, name, localEndpoints: local.size }]
}

export function answerOf({ namespace, name, localEndpoints }: HealthCheck): { status: number; body: string } {
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: true }
  return { status: localEndpoints > 0 ? 200 : 503, body: JSON.stringify(body) }
}

export function createHealthChecks(warn: (message: string) => void): HealthChecks {
  const servers = new Map<number, Server>()
  let current = new Map<number, HealthCheck>()

  function open(port: number): void {
    const server = process.getBuiltinModule('node:http').createServer((_request, response) => {
      const check = current.get(port)
      const { status, body } = check ? answerOf(check) : { status: 404, body: '{}' }
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': String(check?.localEndpoints ?? 0),
      })
      response.end(body)
    })
    server.on('error', (error) => {
      servers.delete(port)
      warn(`cannot answer health checks at port ${port}: ${error.message}`)
    })
    server.listen(port)
    servers.set(port, server)
  }

  return {
    update(wanted) {
      current = wanted
      for (const [port, server] of servers)
        if (!wanted.has(port)) {
          servers.delete(port)
          server.close()
          server.closeAllConnections()
        }
      for (const port of wanted.keys()) if (!servers.has(port)) open(port)
    },
    async stop() {
      const closing = [...servers.values()].map((server) => new Promise((resolve) => server.close(resolve)))
      for (const server of servers.values()) server.closeAllConnections()
      servers.clear()
      await Promise.all(closing)
    },
  }
}
