// Serves the Gateways of Tandem's GatewayClasses: follows them and their routes, listens where they say, and tells them in
// their statuses what became of them.

import { createSecureContext, type SecureContext } from 'node:tls'
import { isApiError } from '../../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import { equalJson } from '../../api/walk/plain.ts'
import type { Clock } from '../../base/clock.ts'
import { gatherWork } from '../../base/gathered-work.ts'
import type { Logger } from '../../base/log.ts'
import type { Client } from '../../client/client.ts'
import type { Informer, InformerFactory } from '../../client/informer.ts'
import type { Backends } from '../ingress/backends.ts'
import type { Doorkeeper, FrontDoor } from '../ingress/front-door.ts'
import { type Answer, isAnswer, type Passage, type Place } from '../ingress/passage.ts'
import { hostOf } from '../ingress/server.ts'
import { shareAnswer } from './cors.ts'
import { changeHeaders } from './filters.ts'
import { type GatewayPlan, planGateways } from './gateway-plan.ts'
import { mostSpecific } from './hostnames.ts'
import type { Certificate } from './listeners.ts'
import type { Asked } from './match.ts'
import { grantedBy } from './references.ts'
import { gatewayController, gatewayGroup } from './specs.ts'
import { classStatus, gatewayStatus, routeStatus } from './statuses.ts'
import { type Verdict, verdictOn } from './verdict.ts'

const gatewayApi = (resource: string, version = 'v1'): ResourceRef => ({ group: gatewayGroup, version, resource })
const core = (resource: string): ResourceRef => ({ group: '', version: 'v1', resource })
const classRef = gatewayApi('gatewayclasses')
const gatewayRef = gatewayApi('gateways')
const routeRef = gatewayApi('httproutes')

const className = 'tandem'

export interface GatewaysOptions {
  client: Client
  informers: InformerFactory
  /** Ports 80 and 443 of a Gateway are those at which Ingresses are served. */
  address: { host: string; httpPort: number; httpsPort: number }
  door: FrontDoor
  backends: Backends
  clock: Clock
  log: Logger
}

export interface Gateways {
  start(): Promise<void>
  stop(): Promise<void>
}

const ownClass: ApiObject = {
  apiVersion: `${gatewayGroup}/v1`,
  kind: 'GatewayClass',
  metadata: { name: className },
  spec: { controllerName: gatewayController, description: 'Served by Tandem itself, at the address of this machine' },
}

/** Followed from the first Gateway of ours on: most Tandems have none. */
interface Surroundings {
  routes: Informer
  grants: Informer
  namespaces: Informer
  services: Informer
  secrets: Informer
}

export function createGateways(options: GatewaysOptions): Gateways {
  const { client, informers, address, door, backends, clock, log } = options
  const classes = informers.informer(classRef)
  const gateways = informers.informer(gatewayRef)
  let around: Surroundings | undefined
  let plan: GatewayPlan = { fronts: new Map(), gateways: [], routes: [] }
  let unavailable = new Map<number, string>()
  const contexts = new Map<string, SecureContext | string>()
  const gathered = gatherWork({ work, failed: (error) => log.warn('cannot bring Gateways up to date', { error }) })

  /** A port of a listener as it is on this machine, and back. */
  const standard = new Map([
    [80, address.httpPort],
    [443, address.httpsPort],
  ])
  const onMachine = (port: number): number => standard.get(port) ?? port
  const inGateway = (port: number): number => [...standard].find(([, own]) => own === port)?.[0] ?? port

  /** A context for TLS, or why the Secret holds none. */
  function contextOf({ namespace, name }: Certificate): SecureContext | string {
    const key = `${namespace}/${name}`
    const known = contexts.get(key)
    if (known) return known
    const made = makeContext(key)
    contexts.set(key, made)
    return made
  }

  function makeContext(key: string): SecureContext | string {
    const secret = around?.secrets.get(key)
    if (!secret) return `there is no Secret ${key}`
    const part = (name: string) => Buffer.from(String(secret.data?.[name] ?? ''), 'base64').toString()
    const [cert, key_] = [part('tls.crt'), part('tls.key')]
    if (!cert || !key_) return `Secret ${key} has no tls.crt and tls.key`
    try {
      return createSecureContext({ cert, key: key_ })
    } catch (error) {
      return `Secret ${key} holds no usable certificate: ${(error as Error).message}`
    }
  }

  const keeper: Doorkeeper = {
    order: 1,
    decide(request, place): Passage | Answer | undefined {
      const front = plan.fronts.get(inGateway(place.port))
      if (!front) return undefined
      const url = request.url ?? '/'
      const query = url.indexOf('?')
      const [path, search] = query < 0 ? [url, ''] : [url.slice(0, query), url.slice(query)]
      const asked = {
        host: hostOf(request),
        path,
        search,
        query: new URLSearchParams(search),
        method: request.method ?? 'GET',
        headers: request.headers,
      }
      const here: Place = { ...place, port: inGateway(place.port) }
      const verdict = verdictOn(front, asked, here, Math.random)
      return verdict && (isAnswer(verdict) ? verdict : passageOf(verdict, asked))
    },
    context(servername, port) {
      const sites = plan.fronts.get(inGateway(port))?.sites
      const name = sites && mostSpecific(sites.keys(), servername)
      const [first] = name === undefined ? [] : sites!.get(name)!.certificates
      const context = first && contextOf(first)
      return typeof context === 'string' ? undefined : context
    },
  }

  function passageOf(
    { target, path, host, requestChanges, responseChanges, cors, ...verdict }: Verdict,
    asked: Asked,
  ): Passage | Answer {
    const endpoint = backends.choose(target)
    if (!endpoint)
      return { status: 503, message: `no endpoints available for service "${target.service}" of an HTTPRoute` }
    return {
      endpoint,
      path,
      changeRequest(headers) {
        if (host) headers.host = host
        for (const change of requestChanges) changeHeaders(headers, change)
      },
      changeResponse(headers) {
        if (cors) shareAnswer(cors, asked, headers)
        for (const change of responseChanges) changeHeaders(headers, change)
      },
      mirrors: verdict.mirrors.flatMap((mirror) => backends.choose(mirror) ?? []),
      ...(verdict.timeoutMs !== undefined && { timeoutMs: verdict.timeoutMs }),
    }
  }

  const isOurClass = (name: string): boolean => classes.get(name)?.spec?.controllerName === gatewayController

  async function lookAround(): Promise<Surroundings> {
    const made: Surroundings = {
      routes: informers.informer(routeRef),
      grants: informers.informer(gatewayApi('referencegrants', 'v1beta1')),
      namespaces: informers.informer(core('namespaces')),
      services: informers.informer(core('services')),
      secrets: informers.informer(core('secrets')),
    }
    await Promise.all(Object.values(made).map((informer: Informer) => informer.synced()))
    const follow = (informer: Informer, part: (object: StoredObject) => unknown) =>
      informer.addHandler({
        changed: (object, old) => (old && equalJson(part(object), part(old)) ? undefined : gathered.soon()),
        removed: () => gathered.soon(),
      })
    follow(made.routes, ({ spec, metadata }) => [spec, metadata.deletionTimestamp])
    follow(made.grants, ({ spec }) => spec)
    follow(made.namespaces, ({ metadata }) => metadata.labels)
    follow(made.services, ({ spec }) => spec?.ports)
    follow(made.secrets, ({ data }) => data)
    return made
  }

  function planNow(ours: StoredObject[], { routes, grants, namespaces, services }: Surroundings): GatewayPlan {
    contexts.clear()
    return planGateways({
      gateways: ours,
      routes: routes.list().filter(({ metadata }) => !metadata.deletionTimestamp),
      address: address.host,
      isGranted: grantedBy(grants.list()),
      certificateProblem(certificate) {
        const context = contextOf(certificate)
        return typeof context === 'string' ? context : undefined
      },
      unavailable,
      service: (key) => services.get(key),
      labelsOf: (namespace) => namespaces.get(namespace)?.metadata.labels,
    })
  }

  async function work(): Promise<void> {
    const ours = gateways
      .list()
      .filter(({ spec, metadata }) => !metadata.deletionTimestamp && isOurClass(spec.gatewayClassName))
    if (ours.length > 0) around ??= await lookAround()
    for (const one of classes.list()) if (isOurClass(one.metadata.name)) await write(classRef, one, classStatus)
    if (!around) return
    unavailable = new Map()
    plan = planNow(ours, around)
    const ports = [...plan.fronts].map(([port, { scheme }]) => [onMachine(port), scheme] as const)
    const failed = await door.want(keeper, new Map(ports))
    if (failed.size > 0) {
      unavailable = new Map([...failed].map(([port, { message }]) => [inGateway(port), message]))
      plan = planNow(ours, around)
      log.warn('cannot listen at every port of the Gateways; trying again', { ports: [...failed.keys()] })
      gathered.later()
    }
    for (const { gateway, listeners } of plan.gateways)
      await write(gatewayRef, gateway, (object, now) => gatewayStatus(object, listeners, address.host, now))
    for (const { route, parents } of plan.routes)
      await write(routeRef, route, (object, now) => routeStatus(object, parents, now))
  }

  async function write(
    ref: ResourceRef,
    object: StoredObject,
    statusOf: (object: StoredObject, now: string) => object | undefined,
  ): Promise<void> {
    const status = statusOf(object, formatTime(clock.now()))
    if (status === undefined || equalJson(status, object.status)) return
    await client.update(ref, { ...object, status }, { subresource: 'status' }).catch((error) => {
      if (isApiError(error, 'Conflict')) gathered.soon()
      else if (!isApiError(error, 'NotFound')) throw error
    })
  }

  return {
    async start() {
      await client.create(classRef, ownClass).catch((error) => {
        if (!isApiError(error, 'AlreadyExists')) throw error
      })
      await Promise.all([classes.synced(), gateways.synced()])
      const specOf = (object: StoredObject | undefined) => [object?.spec, object?.metadata.deletionTimestamp]
      for (const informer of [classes, gateways])
        informer.addHandler({
          changed: (object, old) => (old && equalJson(specOf(old), specOf(object)) ? undefined : gathered.soon()),
          removed: () => gathered.soon(),
        })
    },
    stop: () => gathered.stop(),
  }
}
