// What becomes of each listener of our Gateways: its conditions, and whether it is served (gateway-api, ListenerStatus, 1.5).
// All Gateways share this machine's address: listeners with the same port and name are served together, and of two that
// want different protocols of a port the older Gateway's is served. Pure.

import type { StoredObject } from '../../api/meta.ts'
import { type Condition, no, yes } from './condition.ts'
import type { IsGranted } from './references.ts'
import { type GatewaySpec, gatewayGroup, type ListenerSpec } from './specs.ts'

export interface Certificate {
  namespace: string
  name: string
}

export interface Listener {
  gateway: StoredObject
  spec: ListenerSpec
  /** In small letters; '' for every name. */
  hostname: string
  conditions: Condition[]
  supportedKinds: { group: string; kind: string }[]
  certificates: Certificate[]
  isServed: boolean
}

export interface ListenerFacts {
  /** This machine's: the address of every Gateway. */
  address: string
  isGranted: IsGranted
  /** Why the Secret holds no certificate that can be used; undefined when it does. */
  certificateProblem(certificate: Certificate): string | undefined
  /** Ports that could not be listened on, with the reason. */
  unavailable: ReadonlyMap<number, string>
}

const schemes: Record<string, 'http' | 'https'> = { HTTP: 'http', HTTPS: 'https' }
export const schemeOf = ({ protocol }: ListenerSpec): 'http' | 'https' => schemes[protocol] ?? 'http'

const specOf = (gateway: StoredObject) => gateway.spec as unknown as GatewaySpec
const hostnameOf = ({ hostname = '' }: ListenerSpec): string => hostname.toLowerCase()

/** `gateways` in order of age. */
export function planListeners(gateways: readonly StoredObject[], facts: ListenerFacts): Listener[] {
  const takenBy = new Map<number, string>()
  return gateways.flatMap((gateway) => {
    const { listeners } = specOf(gateway)
    const made = listeners.map((spec) => {
      const conflict = conflictOf(spec, listeners) ?? othersConflict(spec, takenBy)
      return planListener(gateway, spec, conflict, facts)
    })
    for (const { spec, isServed } of made) if (isServed) takenBy.set(spec.port, spec.protocol)
    return made
  })
}

function conflictOf(spec: ListenerSpec, all: readonly ListenerSpec[]): Condition | undefined {
  const rivals = all.filter((other) => other !== spec && other.port === spec.port && schemes[other.protocol])
  const names = (list: readonly ListenerSpec[]) => list.map(({ name }) => name).join(', ')
  if (!schemes[spec.protocol]) return undefined
  const different = rivals.filter(({ protocol }) => protocol !== spec.protocol)
  if (different.length > 0)
    return yes(
      'Conflicted',
      'ProtocolConflict',
      `port ${spec.port} has another protocol in listener ${names(different)}`,
    )
  const same = rivals.filter((other) => hostnameOf(other) === hostnameOf(spec))
  if (same.length > 0)
    return yes('Conflicted', 'HostnameConflict', `the same port and hostname are in listener ${names(same)}`)
  return undefined
}

function othersConflict({ port, protocol }: ListenerSpec, takenBy: Map<number, string>): Condition | undefined {
  const taken = takenBy.get(port)
  if (taken === undefined || taken === protocol || !schemes[protocol]) return undefined
  return yes('Conflicted', 'ProtocolConflict', `port ${port} of this machine has protocol ${taken} in an older Gateway`)
}

function planListener(
  gateway: StoredObject,
  spec: ListenerSpec,
  conflict: Condition | undefined,
  facts: ListenerFacts,
): Listener {
  const kinds = routeKinds(spec)
  const tls = spec.protocol === 'HTTPS' ? certificatesOf(gateway, spec, facts) : { certificates: [] }
  const accepted = acceptance(gateway, spec, conflict, facts)
  const problem = tls.problem ?? (kinds.unknown ? no('ResolvedRefs', 'InvalidRouteKinds', kinds.unknown) : undefined)
  const isServed = accepted.status === 'True' && !tls.problem && kinds.supported.length > 0
  return {
    gateway,
    spec,
    hostname: hostnameOf(spec),
    supportedKinds: kinds.supported,
    certificates: tls.certificates,
    isServed,
    conditions: [
      accepted,
      isServed ? yes('Programmed', 'Programmed') : no('Programmed', 'Invalid', accepted.message || problem?.message),
      problem ?? yes('ResolvedRefs', 'ResolvedRefs'),
      conflict ?? no('Conflicted', 'NoConflicts'),
    ],
  }
}

function acceptance(
  gateway: StoredObject,
  { protocol, port }: ListenerSpec,
  conflict: Condition | undefined,
  { unavailable }: ListenerFacts,
): Condition {
  const refused = (reason: string, message: string) => no('Accepted', reason, message)
  if (!schemes[protocol])
    return refused('UnsupportedProtocol', `protocol ${protocol} is not served; HTTP and HTTPS are`)
  if (conflict) return refused(conflict.reason, conflict.message)
  // To leave it out would let in who should not come in.
  if (protocol === 'HTTPS' && specOf(gateway).tls?.frontend)
    return refused('UnsupportedValue', 'spec.tls.frontend is not served: certificates of clients are not checked here')
  const why = unavailable.get(port)
  return why ? refused('PortUnavailable', why) : yes('Accepted', 'Accepted')
}

const httpRoutes = { group: gatewayGroup, kind: 'HTTPRoute' }

function routeKinds({ protocol, allowedRoutes }: ListenerSpec) {
  if (!schemes[protocol]) return { supported: [] }
  const wanted = allowedRoutes?.kinds ?? []
  const isKnown = ({ group = gatewayGroup, kind }: { group?: string; kind: string }) =>
    group === httpRoutes.group && kind === httpRoutes.kind
  const unknown = wanted.filter((one) => !isKnown(one)).map(({ kind }) => kind)
  return {
    supported: wanted.length === 0 || wanted.some(isKnown) ? [httpRoutes] : [],
    ...(unknown.length > 0 && { unknown: `routes of kind ${unknown.join(', ')} are not served; HTTPRoute is` }),
  }
}

function certificatesOf(
  gateway: StoredObject,
  { tls, protocol }: ListenerSpec,
  { isGranted, certificateProblem }: ListenerFacts,
): { certificates: Certificate[]; problem?: Condition } {
  const own = gateway.metadata.namespace ?? ''
  const certificates: Certificate[] = []
  const bad = (message: string, reason = 'InvalidCertificateRef') => ({
    certificates: [],
    problem: no('ResolvedRefs', reason, message),
  })
  for (const { group = '', kind = 'Secret', namespace = own, name } of tls?.certificateRefs ?? []) {
    if (group !== '' || kind !== 'Secret') return bad(`certificateRefs may name Secrets only, not ${kind} ${name}`)
    if (!isGranted('Gateway', own, { group, kind, namespace, name }))
      return bad(
        `no ReferenceGrant in namespace ${namespace} permits Gateways of ${own} the Secret ${name}`,
        'RefNotPermitted',
      )
    const problem = certificateProblem({ namespace, name })
    if (problem) return bad(problem)
    certificates.push({ namespace, name })
  }
  if (certificates.length === 0) return bad(`protocol ${protocol} needs tls.certificateRefs`)
  return { certificates }
}

/** Conditions of the Gateway itself. */
export function gatewayConditions(gateway: StoredObject, listeners: readonly Listener[], address: string): Condition[] {
  const bad = listeners.filter(({ isServed }) => !isServed).map(({ spec }) => spec.name)
  const served = listeners.length - bad.length
  const foreign = (specOf(gateway).addresses ?? []).filter(({ value }) => value && value !== address)
  const unsupported = foreign.find(({ type = 'IPAddress' }) => type !== 'IPAddress')
  if (unsupported)
    return [
      no('Accepted', 'UnsupportedAddress', `addresses of type ${unsupported.type} are not served; IPAddress is`),
      no('Programmed', 'Invalid'),
    ]
  const message = bad.length > 0 ? `not served: listener ${bad.join(', ')}` : ''
  const accepted =
    served > 0
      ? yes('Accepted', bad.length > 0 ? 'ListenersNotValid' : 'Accepted', message)
      : no('Accepted', 'ListenersNotValid', message)
  if (foreign.length > 0)
    return [
      accepted,
      no(
        'Programmed',
        'AddressNotUsable',
        `${foreign[0]!.value} is not the address of this machine, which is ${address}`,
      ),
    ]
  return [accepted, served > 0 ? yes('Programmed', 'Programmed') : no('Programmed', 'Invalid', message)]
}
