// The API aggregator: which server answers a group version, whether it is there, and what it has
// (kube-aggregator, 1.36).

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ApiRequest, ApiResponse, UserInfo } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import type { Logger } from '../../base/log.ts'
import type { Watch } from '../../store/store.ts'
import { createLookup } from '../admission/lookup.ts'
import { systemUser } from '../auth/authn.ts'
import type { Engine } from '../call.ts'
import type { Change } from '../objects.ts'
import { aggregatedGroup, aggregatedVersions } from '../subresources/table.ts'
import { type Availability, probe, problemOf } from './availability.ts'
import { createReach, forward, type ProxyIdentity, type ReachRemote, upgrade } from './forward.ts'
import { automanaged, localServices } from './local-services.ts'
import { fetchOpenApi, type RemoteOpenApi } from './remote-openapi.ts'
import { conditionOf, type Remote, remoteOf } from './remotes.ts'
import { resolveService } from './resolve-service.ts'

const group = 'apiregistration.k8s.io'
const path = `/apis/${group}/v1/apiservices`
/** Groups of custom resources come and go; servers that answered may stop to. */
const roundMs = 1000
const recheckMs = 30_000

export interface AggregationOptions {
  engine: Engine
  handle(request: ApiRequest): Promise<ApiResponse>
  identity(): ProxyIdentity | undefined
  log: Logger
  /** How other servers are reached (default: HTTPS to their Service). */
  reach?: ReachRemote | undefined
}

/** What another server has, for discovery. */
export interface RemoteDocument {
  remote: Remote
  /** APIResourceList */
  document: Record<string, any>
  openapi: RemoteOpenApi
}

export interface Aggregation {
  /** The server that answers this group version, when it is another one. */
  find(group: string, version: string): Remote | undefined
  forward(remote: Remote, request: ApiRequest, user: UserInfo): Promise<ApiResponse>
  /** Joins an upgraded connection with one to the other server. @throws ApiError before anything was written */
  upgrade(remote: Remote, request: IncomingMessage, socket: Duplex, head: Buffer, user: UserInfo): Promise<void>
  /** What the available ones have, those of high priority first. */
  documents(): readonly RemoteDocument[]
  /** Grows when `documents` changed. */
  generation(): number
  readonly reach: ReachRemote
  start(): Promise<void>
  stop(): void
  /** Looks at everything once more: groups, and servers whose time has come. */
  round(): Promise<void>
}

export function createAggregation({ engine, handle, identity, log, ...options }: AggregationOptions): Aggregation {
  const { objects, registry, now } = engine
  const resource = registry.preferred(group, 'apiservices')
  const lookup = createLookup(objects, registry)
  const resolve = ({ service }: Remote) => resolveService(lookup, service.namespace, service.name, service.port)
  const reach = options.reach ?? createReach(resolve, identity)
  const watches: Watch[] = []
  const remotes = new Map<string, Remote>()
  const documents = new Map<string, RemoteDocument>()
  /** When to look at a remote again, and how long to wait after the next failure. */
  const checks = new Map<string, { at: number; delay: number }>()
  let generation = 0
  let registered = -1
  let timer: NodeJS.Timeout | undefined
  let busy = false

  const keyOf = (remote: Pick<Remote, 'group' | 'version'>) => `${remote.group}/${remote.version}`

  function learn(object: StoredObject): void {
    const remote = remoteOf(object)
    const known = [...remotes.values()].find((one) => one.name === object.metadata.name)
    if (known && (!remote || keyOf(known) !== keyOf(remote))) forget(known)
    if (!remote) return
    const changed = !known || JSON.stringify(withoutState(known)) !== JSON.stringify(withoutState(remote))
    remotes.set(keyOf(remote), remote)
    if (changed) recheck(remote.name)
    const document = documents.get(keyOf(remote))
    if (!remote.available && document) drop(remote)
    else if (document) document.remote = remote
    generation++
  }

  function forget(remote: Remote): void {
    remotes.delete(keyOf(remote))
    checks.delete(remote.name)
    drop(remote)
  }

  function drop(remote: Remote): void {
    documents.delete(keyOf(remote))
    generation++
  }

  const recheck = (name: string): void => {
    checks.set(name, { at: 0, delay: roundMs })
  }

  /** Services and endpoints of a remote changed: it is looked at in the next round. */
  const touched = (nameOf: (object: StoredObject) => string) => (changes: Change[]) => {
    if (remotes.size === 0) return
    for (const { object } of changes)
      for (const { name, service } of remotes.values())
        if (service.namespace === object.metadata.namespace && service.name === nameOf(object)) recheck(name)
  }

  function follow(): void {
    if (!resource) return
    const after = objects.store.revision()
    for (const { object } of objects.list(resource, '')) learn(object)
    const on = (of: typeof resource | undefined, listener: (changes: Change[]) => void) => {
      if (of) watches.push(objects.watch(of, '', after, listener))
    }
    on(resource, (changes) => {
      for (const { type, object } of changes) {
        const known = type === 'delete' && [...remotes.values()].find((one) => one.name === object.metadata.name)
        if (known) forget(known)
        else if (type === 'put') learn(object)
        if (type === 'delete') registered = -1
      }
    })
    on(
      registry.preferred('', 'services'),
      touched(({ metadata }) => metadata.name),
    )
    on(
      registry.preferred('discovery.k8s.io', 'endpointslices'),
      touched(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] ?? ''),
    )
  }

  async function send(method: 'POST' | 'PUT' | 'DELETE', at: string, body?: object): Promise<void> {
    const headers = { 'user-agent': 'kube-aggregator' }
    const query = new URLSearchParams()
    const response = await handle({ method, path: at, query, headers, user: systemUser, ...(body && { body }) })
    // Somebody was faster: the next round sees what they made of it.
    if (response.status < 400 || response.status === 409 || response.status === 404) return
    const { message } = response.object as { message?: string }
    log.warn('an APIService could not be written', { path: at, status: response.status, message })
  }

  async function registerLocal(): Promise<void> {
    if (!resource || registered === registry.generation()) return
    const seen = registry.generation()
    const more = registry.groups().has('kubevirt.io') ? new Map([[aggregatedGroup, aggregatedVersions]]) : new Map()
    const wanted = localServices(registry, more)
    const there = new Map(objects.list(resource, '').map(({ object }) => [object.metadata.name, object]))
    const missing = [...wanted].filter(([name]) => !there.has(name)).map(([, service]) => service)
    await Promise.all(missing.map((service) => send('POST', path, service)))
    const gone = [...there.values()].filter(
      ({ metadata, spec }) => metadata.labels?.[automanaged] === 'true' && !spec?.service && !wanted.has(metadata.name),
    )
    await Promise.all(gone.map(({ metadata }) => send('DELETE', `${path}/${metadata.name}`)))
    registered = seen
  }

  async function tell(object: StoredObject, availability: Availability): Promise<void> {
    const before = conditionOf(object)
    const { status, reason, message } = availability
    if (before?.status === status && before?.reason === reason && before?.message === message) return
    const since = before?.status === status ? before?.lastTransitionTime : formatTime(now())
    const condition = { type: 'Available', status, lastTransitionTime: since, reason, message }
    const conditions: Record<string, any>[] = object.status?.conditions ?? []
    const next: ApiObject = {
      ...object,
      status: {
        ...object.status,
        conditions: before
          ? conditions.map((one) => (one.type === 'Available' ? condition : one))
          : [...conditions, condition],
      },
    }
    await send('PUT', `${path}/${object.metadata.name}/status`, next)
  }

  async function check(remote: Remote): Promise<void> {
    const stored = resource && objects.get(resource, '', remote.name)
    if (!stored) return
    const problem = problemOf(remote, lookup)
    const { availability, document } = problem ? { availability: problem } : await probe(reach, remote)
    const { delay = roundMs } = checks.get(remote.name) ?? {}
    const good = availability.status === 'True'
    checks.set(remote.name, {
      at: now() + (good ? recheckMs : delay),
      delay: good ? roundMs : Math.min(delay * 2, recheckMs),
    })
    // What it has is known before it is said to be there.
    if (document && remotes.has(keyOf(remote))) {
      const before = documents.get(keyOf(remote))?.document
      if (JSON.stringify(before) !== JSON.stringify(document)) {
        documents.set(keyOf(remote), { remote, document, openapi: await fetchOpenApi(reach, remote) })
        generation++
      }
    }
    await tell(stored.object, availability)
  }

  async function round(): Promise<void> {
    await registerLocal()
    const due = [...remotes.values()].filter(({ name }) => (checks.get(name)?.at ?? 0) <= now())
    await Promise.all(due.map(check))
  }

  async function tick(): Promise<void> {
    if (busy) return
    busy = true
    try {
      await round()
    } catch (error) {
      log.warn('the state of APIServices could not be told', { error })
    }
    busy = false
  }

  return {
    reach,
    find: (group, version) => (remotes.size === 0 ? undefined : remotes.get(`${group}/${version}`)),
    forward: (remote, request, user) => forward(reach, remote, request, user),
    upgrade: (remote, ...connection) => upgrade(remote, () => resolve(remote), identity(), ...connection),
    generation: () => generation,
    documents: () =>
      [...documents.values()].sort(
        ({ remote: a }, { remote: b }) =>
          b.groupPriority - a.groupPriority ||
          a.group.localeCompare(b.group) ||
          b.versionPriority - a.versionPriority ||
          a.version.localeCompare(b.version),
      ),
    async start() {
      if (!resource) return
      await registerLocal()
      follow()
      timer = setInterval(() => void tick(), roundMs)
      timer.unref()
    },
    stop() {
      clearInterval(timer)
      for (const watch of watches.splice(0)) watch.close()
    },
    round,
  }
}

const withoutState = ({ available: _, ...rest }: Remote) => rest
