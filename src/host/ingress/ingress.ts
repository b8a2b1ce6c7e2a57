// Serves the Ingresses of class `tandem`: listens while there is one, follows them live, and says in their status where.

import { isApiError } from '../../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../../api/meta.ts'
import { gatherWork } from '../../base/gathered-work.ts'
import type { Logger } from '../../base/log.ts'
import type { Client } from '../../client/client.ts'
import type { Informer, InformerFactory } from '../../client/informer.ts'
import type { Backends } from './backends.ts'
import { createCertificates } from './certificates.ts'
import type { Doorkeeper, FrontDoor } from './front-door.ts'
import type { Answer, Passage, Scheme } from './passage.ts'
import { findBackend, type RoutingTable, routingTable } from './routing-table.ts'
import { hostOf } from './server.ts'

const networking = (resource: string): ResourceRef => ({ group: 'networking.k8s.io', version: 'v1', resource })
const ingressRef = networking('ingresses')
const classRef = networking('ingressclasses')
const secretRef: ResourceRef = { group: '', version: 'v1', resource: 'secrets' }

export const ingressController = 'tandem.dev/ingress'
const className = 'tandem'
const classAnnotation = 'kubernetes.io/ingress.class'

export interface IngressAddress {
  host: string
  httpPort: number
  httpsPort: number
}

export interface IngressOptions {
  client: Client
  informers: InformerFactory
  address: IngressAddress
  door: FrontDoor
  backends: Backends
  log: Logger
}

export interface Ingress {
  start(): Promise<void>
  stop(): Promise<void>
}

/** The class that an Ingress without one gets. */
const standardClass: ApiObject = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IngressClass',
  metadata: { name: className, annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
  spec: { controller: ingressController },
}

export function createIngress({ client, informers, address, door, backends, log }: IngressOptions): Ingress {
  const ingresses = informers.informer(ingressRef)
  const classes = informers.informer(classRef)
  /** Followed from the first certificate on: most Tandems need no Secret here. */
  let secrets: Informer | undefined
  let table: RoutingTable = routingTable([])
  let isServing = false
  const gathered = gatherWork({ work, failed: (error) => log.warn('cannot bring Ingresses up to date', { error }) })
  const certificates = createCertificates({
    table: () => table,
    secret: (namespace, name) => secrets?.get(`${namespace}/${name}`),
    warn: (message) => log.warn(message),
  })
  const keeper: Doorkeeper = {
    // After Gateways: an Ingress may have a backend for everything.
    order: 2,
    decide(request): Passage | Answer | undefined {
      const backend = findBackend(table, hostOf(request), (request.url ?? '/').split('?')[0]!)
      if (!backend) return undefined
      const endpoint = backends.choose(backend)
      if (endpoint) return { endpoint }
      const message = `no endpoints available for service "${backend.service}" of Ingress ${backend.ingress}`
      return { status: 503, message }
    },
    context: (servername) => certificates.context(servername),
  }

  function isOurs(ingress: StoredObject): boolean {
    const named = ingress.spec?.ingressClassName ?? ingress.metadata.annotations?.[classAnnotation]
    if (ingress.metadata.deletionTimestamp || !named) return false
    return classes.get(named)?.spec?.controller === ingressController
  }

  async function listen(wanted: boolean): Promise<void> {
    const { host, httpPort, httpsPort } = address
    const ports: [number, Scheme][] = [
      [httpPort, 'http'],
      [httpsPort, 'https'],
    ]
    const failed = [...(await door.want(keeper, new Map(wanted ? ports : []))).values()]
    if (failed.length > 0) {
      await door.want(keeper, new Map())
      log.warn(
        `cannot serve Ingresses at ${host}, ports ${httpPort} and ${httpsPort}: ${failed[0]!.message}; trying again. TANDEM_INGRESS sets another address or ports`,
      )
      gathered.later()
    }
    const isNew = wanted && failed.length === 0 && !isServing
    isServing = wanted && failed.length === 0
    if (isNew) log.info('serving Ingresses', { ...address })
  }

  async function publish(ingress: StoredObject): Promise<void> {
    const current = (ingress.status?.loadBalancer?.ingress ?? []) as { ip?: string }[]
    const wanted = isServing && isOurs(ingress) ? [{ ip: address.host }] : []
    const isShown = current.some(({ ip }) => ip === address.host)
    // What somebody else says of an Ingress that is none of ours stays.
    if (wanted.length > 0 ? isShown : !isShown) return
    const status = { ...ingress.status, loadBalancer: wanted.length > 0 ? { ingress: wanted } : {} }
    await client.update(ingressRef, { ...ingress, status }, { subresource: 'status' }).catch((error) => {
      if (!isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) throw error
    })
  }

  async function work(): Promise<void> {
    const ours = ingresses.list().filter(isOurs)
    table = routingTable(ours)
    certificates.forget()
    if (table.certificates.size > 0 && !secrets) {
      secrets = informers.informer(secretRef)
      secrets.addHandler({ changed: () => certificates.forget(), removed: () => certificates.forget() })
      await secrets.synced()
    }
    if (ours.length > 0 !== isServing) await listen(ours.length > 0)
    for (const ingress of ingresses.list()) await publish(ingress)
  }

  return {
    async start() {
      await client.create(classRef, standardClass).catch((error) => {
        if (!isApiError(error, 'AlreadyExists')) throw error
      })
      await Promise.all([ingresses.synced(), classes.synced()])
      const specOf = (object: StoredObject | undefined) => JSON.stringify([object?.spec, object?.metadata.annotations])
      ingresses.addHandler({
        changed: (ingress, old) => (old && specOf(old) === specOf(ingress) ? undefined : gathered.soon()),
        removed: () => gathered.soon(),
      })
      classes.addHandler({ changed: () => gathered.soon(), removed: () => gathered.soon() })
    },
    stop: () => gathered.stop(),
  }
}
