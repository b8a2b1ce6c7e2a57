// Whether the server behind an APIService can be asked: its Service, its endpoints, and whether it answers
// (kube-aggregator/pkg/controllers/status/remote, 1.36).

import type { StoredObject } from '../../api/meta.ts'
import type { Lookup } from '../admission/lookup.ts'
import { type Answer, type ReachRemote, userHeaders } from './forward.ts'
import type { Remote } from './remotes.ts'

export interface Availability {
  status: 'True' | 'False'
  reason: string
  message: string
}

const unavailable = (reason: string, message: string): Availability => ({ status: 'False', reason, message })

/** What can be known without asking; undefined when nothing speaks against it. */
export function problemOf(remote: Remote, lookup: Lookup): Availability | undefined {
  const { namespace, name, port } = remote.service
  const place = `service/${name} in ${JSON.stringify(namespace)}`
  const service = lookup.get('', 'services', namespace, name)
  if (!service) return unavailable('ServiceNotFound', `${place} is not present`)
  if ((service.spec?.type ?? 'ClusterIP') !== 'ClusterIP') return undefined
  const found = (service.spec?.ports ?? []).find((one: { port: number }) => one.port === port)
  if (!found) return unavailable('ServicePortError', `${place} is not listening on port ${port}`)
  const slices = lookup
    .list('discovery.k8s.io', 'endpointslices', namespace)
    .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === name)
  if (slices.length === 0) return unavailable('EndpointsNotFound', `cannot find endpointslices for ${place}`)
  const portName = found.name ?? ''
  if (slices.some((slice) => hasReady(slice, portName))) return undefined
  const text = `endpointslices for ${place} have no addresses with port name ${JSON.stringify(portName)}`
  return unavailable('MissingEndpoints', text)
}

const hasReady = (slice: StoredObject, portName: string): boolean =>
  (slice.endpoints ?? []).some((one: any) => one.conditions?.ready !== false) &&
  (slice.ports ?? []).some((one: any) => (one.name ?? '') === portName && one.port)

/** The group version's own discovery document: every server has it, and it says what is there. */
const documentOf = (remote: Remote): string => `/apis/${remote.group}/${remote.version}`

const patienceMs = 5000
const largestDocument = 16 * 1024 * 1024

export async function readText(answer: Answer): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body) {
    size += chunk.length
    if (size > largestDocument) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

export const askAsAggregator = (reach: ReachRemote, remote: Remote, path: string): Promise<Answer> =>
  reach(remote, {
    method: 'GET',
    path,
    headers: {
      accept: 'application/json',
      ...userHeaders({ name: 'system:kube-aggregator', groups: ['system:masters'] }),
    },
    signal: AbortSignal.timeout(patienceMs),
  })

/** Asks, and gives the resources that the server has. */
export async function probe(
  reach: ReachRemote,
  remote: Remote,
): Promise<{ availability: Availability; document?: Record<string, any> }> {
  const path = documentOf(remote)
  const { service } = remote
  const url = `https://${service.name}.${service.namespace}.svc:${service.port}${path}`
  try {
    const answer = await askAsAggregator(reach, remote, path)
    const text = await readText(answer)
    if (answer.status < 200 || answer.status >= 300) throw new Error(`bad status from ${url}: ${answer.status}`)
    const document = JSON.parse(text)
    return { availability: { status: 'True', reason: 'Passed', message: 'all checks passed' }, document }
  } catch (error) {
    const text = `failing or missing response from ${url}: ${(error as Error).message}`
    return { availability: unavailable('FailedDiscoveryCheck', text) }
  }
}
