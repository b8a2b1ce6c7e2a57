// The rooms that need no machine, tied together: API server over a store, the client of everybody inside, controllers.

import type { OpenClaim } from '../api/claim-file.ts'
import { ApiError } from '../api/errors.ts'
import type { UserInfo } from '../api/exchange.ts'
import type { NodeStreams } from '../api/streams.ts'
import { realClock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import { createCachingClient } from '../client/caching-client.ts'
import { type Client, createClient } from '../client/client.ts'
import { type CachingInformerFactory, createInformerFactory } from '../client/informer.ts'
import { createRecorder, type EventRecorder, type Recorder } from '../client/record.ts'
import { bootstrap } from '../controllers/bootstrap.ts'
import type { ControllerContext, LocalVolumes } from '../controllers/controller.ts'
import { controllers } from '../controllers/index.ts'
import type { TakeUpload } from '../host/imports/uploads.ts'
import { connectTcp } from '../host/machines/channel.ts'
import { kinds } from '../kinds/index.ts'
import { type ApiServer, createApiServer, transportFor } from '../server/apiserver.ts'
import type { Pki } from '../server/auth/pki.ts'
import { createUploadTokens } from '../server/auth/upload-tokens.ts'
import { type HttpServer, serveHttp } from '../server/http.ts'
import { createStreams } from '../server/streams/streams.ts'
import { type Measured, metricsHandler } from '../server/subresources/metrics.ts'
import { createProxy, type NodePages } from '../server/subresources/proxy.ts'
import { uploadTokenHandler } from '../server/subresources/upload-token.ts'
import type { Store } from '../store/store.ts'
import type { Access } from './access.ts'
import { compactRegularly } from './compaction.ts'
import { openExports } from './exports.ts'
import { type MachineControl, machineHandlers } from './machine-handlers.ts'
import { uploadDoor } from './upload-door.ts'

/** What the API asks of the node beside its objects. */
export type NodeParts = NodeStreams &
  MachineControl & {
    /** For metrics.k8s.io. */
    measured?: { nodes(): Promise<Measured[]>; pods(): Promise<Measured[]> }
    /** The bytes of a claim, for exports. */
    openClaim?: OpenClaim
    /** For nodes/<name>/proxy. */
    pages?: NodePages
    /** For disks that are uploaded into claims. */
    upload?: TakeUpload
  }

export interface PlatformOptions {
  store: Store
  pki: Pki
  serviceCidr: string
  clusterDomain: string
  /** Where Services of type LoadBalancer and Ingresses are reached. */
  balancerAddress?: string
  /** Where cluster DNS listens. */
  dnsAddress?: string
  /** Who else may come in, and what is written down about it. */
  access?: Pick<Access, 'authentication' | 'audit'>
  /** Whether the kernel has SCTP. */
  sctp?: boolean
  listen: { host: string; port: number }
  /** Where workloads reach the API: ClusterIP of the `kubernetes` Service, and where we listen for it. */
  api: { clusterIP: string; endpointIP: string; port: number }
  volumes: LocalVolumes
  /** Streams and control of what runs here, once it is there. */
  node: () => NodeParts | undefined
  /** Says what /readyz waits for, as long as it waits. */
  waitsFor?: () => string | undefined
  nodeName: string
  log: Logger
}

export interface Platform {
  server: ApiServer
  http: HttpServer
  client: Client
  informers: CachingInformerFactory
  recorder(component: string): EventRecorder
  /** What this server shows of itself, in PEM. */
  certificate: { cert: string; key: string }
  stop(): Promise<void>
}

/** The node's streams, asked for at each call: the API answers before the node is there. */
function lateStreams(node: () => NodeStreams): NodeStreams {
  return {
    podLogs: (...call) => node().podLogs(...call),
    podExec: async (...call) => await node().podExec(...call),
    podAttach: async (...call) => await node().podAttach(...call),
    podPortForward: async (...call) => await node().podPortForward(...call),
    machineLogs: (...call) => node().machineLogs(...call),
    machineExec: async (...call) => await node().machineExec(...call),
    machineAttach: async (...call) => await node().machineAttach(...call),
    machineConsole: async (...call) => await node().machineConsole(...call),
    machineVnc: async (...call) => await node().machineVnc(...call),
    machineUsb: async (...call) => await node().machineUsb(...call),
    machinePortForward: async (...call) => await node().machinePortForward(...call),
  }
}

/** Where this process reaches its own listener. */
const ownDoor = (host: string, port: number): [host: string, port: number] => {
  if (host === '0.0.0.0') return ['127.0.0.1', port]
  return [host === '::' ? '::1' : host, port]
}

/** An address that means "all of them" is none to connect to. */
function reachable({ listen: { host, port }, balancerAddress }: PlatformOptions): string {
  const address = host === '0.0.0.0' || host === '::' ? (balancerAddress ?? '127.0.0.1') : host
  return `${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** Who the parts of this process are to the API. */
const self: UserInfo = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] }

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { store, pki, log } = options
  const node = () => {
    const there = options.node()
    if (!there) throw new ApiError('ServiceUnavailable', 'this node is still starting; try again in a moment')
    return there
  }
  const uploadTokens = createUploadTokens(pki.accountKey)
  const server = createApiServer({
    store,
    kinds,
    pki,
    services: { cidr: options.serviceCidr, sctp: options.sctp ?? false },
    address: `${options.listen.host}:${options.listen.port}`,
    clusterDomain: options.clusterDomain,
    ...options.access,
    handlers: {
      'pods/log': async ({ info, request }) =>
        streams.log(info, request.query, request.signal ?? new AbortController().signal),
      'uploadtokenrequests.upload.cdi.kubevirt.io': uploadTokenHandler(uploadTokens),
      'nodes.metrics.k8s.io': metricsHandler(async () => (await node().measured?.nodes()) ?? []),
      'pods.metrics.k8s.io': metricsHandler(async () => (await node().measured?.pods()) ?? []),
    },
    machineHandlers: machineHandlers(node),
    checks: { node: () => options.waitsFor?.() },
    log: log.child('server'),
  })
  const streams = createStreams(lateStreams(node), server.lookup, {
    machineOfPod: server.machineOfPod,
    exportPod: server.exportPod,
    exportDoor: () => connectTcp(...ownDoor(options.listen.host, http.addresses[0]!.port)),
  })
  await server.start()
  const exports = openExports({ server, pki, node, log: log.child('exports') })
  const uploads = uploadDoor({ tokens: uploadTokens, take: () => options.node()?.upload })
  const http = await serveHttp({
    server,
    pki,
    listen: [options.listen],
    upgrade: (upgrade) => streams.upgrade(upgrade),
    other: (request, response) => uploads(request, response) || exports.other(request, response),
    certificateFor: exports.certificateFor,
    proxy: createProxy(
      (resource, namespace, name) =>
        server.lookup(resource === 'virtualmachineinstances' ? 'kubevirt.io' : '', resource, namespace, name),
      async (request) => await node().pages?.(request),
    ),
    log: log.child('http'),
  })

  const transport = transportFor(server, self)
  const plain = createClient(transport, { userAgent: 'tandem' })
  const informers = createInformerFactory({ client: plain, clock: realClock, log })
  const client = createCachingClient(plain, informers)
  await bootstrap(client, kinds)
  const recorders: Recorder[] = []
  const recorder = (component: string): EventRecorder => {
    const made = createRecorder({ client: plain, component, host: options.nodeName, clock: realClock, log })
    recorders.push(made)
    return made.record
  }
  const context: ControllerContext = {
    client,
    informers,
    clock: realClock,
    log: log.child('controllers'),
    recorder,
    kinds: () => server.registry.all().map((resource) => resource.kind),
    settings: {
      certificates: pki,
      issueAccountToken: server.tokens.issueLegacy,
      volumes: options.volumes,
      caCertificate: pki.caCert,
      api: options.api,
      services: {
        cidr: options.serviceCidr,
        ...(options.balancerAddress && { address: options.balancerAddress }),
        ...(options.dnsAddress && { dns: options.dnsAddress }),
      },
      externalAddress: reachable(options),
    },
  }
  const running = controllers.map((controller) => controller.start(context))
  const compaction = compactRegularly(store, log)

  return {
    server,
    http,
    client,
    informers,
    recorder,
    certificate: { cert: pki.servingCert, key: pki.servingKey },
    async stop() {
      compaction.stop()
      await Promise.all(running.map((controller) => controller.stop()))
      await Promise.all(recorders.map((recorder) => recorder.flush()))
      informers.stop()
      server.stop()
      await http.close()
      await store.close()
    },
  }
}
