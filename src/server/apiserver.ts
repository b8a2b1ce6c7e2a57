// The API server: one function from request to answer. Controllers call it directly, http.ts calls it for the network.

import { notFound } from '../api/errors.ts'
import type { ApiRequest, ApiResponse, UserInfo } from '../api/exchange.ts'
import type { KindDefinition } from '../api/kind.ts'
import type { StoredObject } from '../api/meta.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import type { Store } from '../store/store.ts'
import { createAdmission } from './admission/admission.ts'
import { createLookup } from './admission/lookup.ts'
import type { ServiceRanges } from './admission/services.ts'
import { standardPlugins } from './admission/standard.ts'
import { createAsk } from './admission/webhooks/ask.ts'
import type { AskWebhook } from './admission/webhooks/dispatch.ts'
import { type Aggregation, createAggregation } from './aggregation/aggregation.ts'
import { keepAuthentication } from './aggregation/authentication-map.ts'
import type { ReachRemote } from './aggregation/forward.ts'
import { withRemoteOpenApi } from './aggregation/remote-openapi.ts'
import { resolveService } from './aggregation/resolve-service.ts'
import type { Audit } from './audit/audit.ts'
import type { AuthenticationConfig } from './auth/authentication-config.ts'
import { authenticate, impersonation, systemUser } from './auth/authn.ts'
import { type Attributes, type Authorizer, authorize } from './auth/authz.ts'
import { heldToken, withOtherTokens } from './auth/bearer.ts'
import { createOidc } from './auth/oidc.ts'
import type { Pki } from './auth/pki.ts'
import { createRoles } from './auth/roles.ts'
import { createTokens, type Tokens } from './auth/tokens.ts'
import { bootstrap } from './bootstrap.ts'
import { type Call, type Engine, noSuchPath } from './call.ts'
import { admitConnect } from './connect.ts'
import { createDefinitions } from './custom/definitions.ts'
import { withConversions } from './custom/stored-form.ts'
import { createDiscovery } from './discovery/discovery.ts'
import { protobufOpenApi } from './discovery/openapi-v2.ts'
import { podOfExport } from './export-pods.ts'
import { failure } from './failure.ts'
import { createGate } from './gate.ts'
import { type Checks, health } from './health.ts'
import { serveMachine } from './machine-calls.ts'
import { findInstance, type MachineOfPod } from './machine-pods.ts'
import { createObjects, type Objects } from './objects.ts'
import { createOpenApi } from './openapi/openapi.ts'
import { plainPage } from './plain-pages.ts'
import { createRegistry, type Registry } from './registry.ts'
import { parseRequest, type RequestInfo } from './request.ts'
import { serveResource } from './routes.ts'
import { type KubevirtHandler, machineHandlers } from './subresources/kubevirt.ts'
import { aggregatedGroup } from './subresources/table.ts'
import { hasLargeYaml, readYaml } from './yaml-thread.ts'

export interface ApiServerOptions {
  store: Store
  kinds: readonly KindDefinition[]
  pki: Pick<Pki, 'accountKey'> & Partial<Pick<Pki, 'caCert' | 'proxy' | 'proxyCaCert'>>
  services: ServiceRanges
  /** host:port that discovery shows. */
  address?: string
  /** Subresources served by others: 'pods/log'. */
  handlers?: Record<string, (call: Call) => Promise<ApiResponse>>
  /** 'virtualmachineinstances/pause' and so on of subresources.kubevirt.io. */
  machineHandlers?: Record<string, KubevirtHandler>
  /** Serves /openapi/…; undefined when the path is none of its. */
  openapi?: (request: ApiRequest, registry: Registry) => ApiResponse | undefined
  checks?: Checks
  /** How admission webhooks are asked (default: over HTTPS). */
  askWebhook?: AskWebhook
  /** How servers behind APIServices are reached (default: over HTTPS). */
  reachRemote?: ReachRemote
  clusterDomain?: string
  log?: Logger
  /** Who may come in beside our own certificates and tokens; without it nobody else, and anonymous requests are let through to RBAC. */
  authentication?: AuthenticationConfig
  /** Writes down who does what, where a policy asks for it. */
  audit?: Audit
  /** Called after each answer. Never given bodies. */
  requestLog?: (entry: RequestLogEntry) => void
  now?: () => number
}

export interface RequestLogEntry {
  method: string
  path: string
  verb: string
  user: string
  status: number
  milliseconds: number
}

export interface ApiServer {
  /** Never rejects: a failure is an answer with a Status. */
  handle(request: ApiRequest): Promise<ApiResponse>
  /** Who a network request is from. @throws ApiError Unauthorized */
  authenticate: (input: Parameters<typeof authenticate>[0]) => Promise<UserInfo>
  /** For streams: what is asked, after impersonation, authorization and admission. @throws ApiError */
  admitStream(request: ApiRequest): Promise<{ info: RequestInfo; user: UserInfo }>
  /** Makes what must exist: namespaces, roles, the kubernetes Service. Call before serving. */
  start(): Promise<void>
  /** /readyz fails from now on and watches end. */
  stop(): void
  /** Reads one object, for streams. @throws ApiError NotFound */
  lookup(group: string, resource: string, namespace: string, name: string): StoredObject
  /** The machine that a Pod of this name shows, for streams; undefined where the Pod is a real one or there is none. */
  machineOfPod(namespace: string, name: string): MachineOfPod | undefined
  /** The Pod that shows an export, for streams. */
  exportPod(namespace: string, name: string): StoredObject | undefined
  readonly registry: Registry
  readonly objects: Objects
  readonly authorizer: Authorizer
  readonly tokens: Tokens
  readonly aggregation: Aggregation
}

export function createApiServer(options: ApiServerOptions): ApiServer {
  const { store, log = silentLogger, now = Date.now } = options
  const registry = createRegistry(options.kinds)
  const objects = createObjects(store)
  const { authorizer, roleRules } = createRoles(objects, registry)
  const stored = (plural: string, namespace: string, name: string) => {
    const resource = registry.preferred('', plural)
    return resource && objects.get(resource, namespace, name)?.object
  }
  const accountTokens = createTokens({
    key: options.pki.accountKey,
    issuer: `https://kubernetes.default.svc.${options.clusterDomain ?? 'cluster.local'}`,
    now,
    exists: (plural, namespace, name, uid) => stored(plural, namespace, name)?.metadata.uid === uid,
    held: (namespace, name) => heldToken(stored('secrets', namespace, name)),
  })
  const tokens = withOtherTokens(accountTokens, {
    secret: (namespace, name) => stored('secrets', namespace, name),
    now,
    ...(options.authentication?.issuers.length && {
      others: createOidc({ issuers: options.authentication.issuers, now, log: log.child('oidc') }),
    }),
  })
  const ask =
    options.askWebhook ?? createAsk((...service) => resolveService(createLookup(objects, registry), ...service))
  const admission = createAdmission(
    standardPlugins({
      objects,
      registry,
      services: options.services,
      authorizer,
      roleRules,
      log: log.child('admission'),
      now,
      askWebhook: ask,
    }),
  )
  const engine: Engine = { objects, registry, admission, now, log }
  const gate = createGate(objects, registry, options.audit)
  const aggregation = createAggregation({
    engine,
    handle: (request) => handle(request),
    identity: () => options.pki.proxy,
    log: log.child('aggregator'),
    reach: options.reachRemote,
  })
  const discovery = createDiscovery(registry, () => options.address ?? '127.0.0.1:6443', aggregation)
  const openapi = withRemoteOpenApi(options.openapi ?? createOpenApi(), aggregation)
  const tools = { authorizer, tokens, handlers: options.handlers ?? {} }
  const machines = { ...machineHandlers, ...options.machineHandlers }
  const ending = new AbortController()
  let stopping = false

  function permit(request: ApiRequest, info: RequestInfo): UserInfo {
    const user = request.user!
    const acting = impersonation(request.headers)
    if (!acting) return user
    for (const need of acting.needs) authorize(authorizer, user, need)
    log.debug('impersonated request', { user: user.name, as: acting.user.name, path: info.path })
    return acting.user
  }

  async function serve(request: ApiRequest, info: RequestInfo, warnings: string[]): Promise<ApiResponse> {
    if (!request.user) request.user = await authenticate({ headers: request.headers }, tokens)
    return gate.pass(request, info, {
      permit: () => permit(request, info),
      serve: (user, annotations) => serveFor(user, request, info, warnings, annotations),
      failure: (error) => failure(error, log, info),
    })
  }

  async function serveFor(
    user: UserInfo,
    request: ApiRequest,
    info: RequestInfo,
    warnings: string[],
    annotations: Record<string, string> | undefined,
  ): Promise<ApiResponse> {
    authorize(authorizer, user, info satisfies Attributes)
    const remote = aggregation.find(info.group, info.version)
    if (remote) return aggregation.forward(remote, request, user)
    if (info.isResource && info.resource !== '') {
      if (info.group === aggregatedGroup) return serveMachine({ engine, request, info, user, warnings }, machines)
      const resource = registry.find(info.group, info.version, info.resource)
      if (!resource) throw noSuchPath()
      if (resource.kind.deprecation) warnings.push(resource.kind.deprecation)
      const read = hasLargeYaml(request) ? await readYaml(request) : request
      const call: Call = { engine, request: read, info, resource, user, warnings, ...(annotations && { annotations }) }
      return resource.form?.remote ? withConversions(() => serveResource(call, tools)) : serveResource(call, tools)
    }
    const known =
      discovery.answer(request) ??
      protobufOpenApi(request) ??
      openapi(request, registry) ??
      health(request, options.checks ?? {}, stopping) ??
      gate.page(request)
    return known ?? (await plainPage(request, registry, tokens))
  }

  async function handle(request: ApiRequest): Promise<ApiResponse> {
    const begun = performance.now()
    const info = parseRequest(request)
    const warnings: string[] = []
    let response: ApiResponse
    try {
      response = await serve(withEnd(request, info, ending.signal), info, warnings)
    } catch (error) {
      response = failure(error, log, info)
    }
    if (warnings.length > 0) response.warnings = [...new Set(warnings)]
    options.requestLog?.({
      method: request.method,
      path: request.path,
      verb: info.verb,
      user: request.user?.name ?? '',
      status: response.status,
      milliseconds: performance.now() - begun,
    })
    return response
  }

  const machineOfPod = (namespace: string, name: string) =>
    stored('pods', namespace, name) ? undefined : findInstance(objects, registry, namespace, name)

  const shownExport = (namespace: string, name: string) =>
    stored('pods', namespace, name) ? undefined : podOfExport(objects, registry, namespace, name)

  const definitions = createDefinitions({ engine, handle, ask, log: log.child('definitions') })

  return {
    registry,
    objects,
    authorizer,
    tokens,
    aggregation,
    authenticate: (input) => authenticate(input, tokens, options.authentication?.anonymousPaths),
    async admitStream(request) {
      const info = parseRequest(request)
      const user = await gate.stream(request, info, {
        permit: () => permit(request, info),
        async admit(user) {
          authorize(authorizer, user, info)
          await admitConnect(engine, { info, query: request.query, user })
        },
        failure: (error) => failure(error, log, info),
      })
      return { info, user }
    },
    lookup(group, plural, namespace, name) {
      const resource = registry.preferred(group, plural)
      const stored = resource && objects.get(resource, namespace, name)
      const object = stored?.object ?? (group === '' && plural === 'pods' && machineOfPod(namespace, name)?.pod)
      if (!object) throw notFound(plural, name, group)
      return object
    },
    machineOfPod,
    exportPod: shownExport,
    handle,
    async start() {
      definitions.start()
      await aggregation.start()
      await bootstrap(this)
      await keepAuthentication(handle, options.pki, ending.signal)
    },
    stop() {
      stopping = true
      definitions.stop()
      aggregation.stop()
      ending.abort()
    },
  }
}

/** Watches end with the server, not only with their client. */
function withEnd(request: ApiRequest, info: RequestInfo, end: AbortSignal): ApiRequest {
  if (info.verb !== 'watch') return request
  const signal = request.signal ? AbortSignal.any([request.signal, end]) : end
  return { ...request, signal }
}

/** For components in the same process: the transport of a client that acts as `user`. */
export const transportFor =
  (server: Pick<ApiServer, 'handle'>, user: UserInfo = systemUser) =>
  (request: ApiRequest): Promise<ApiResponse> =>
    server.handle({ ...request, user })
