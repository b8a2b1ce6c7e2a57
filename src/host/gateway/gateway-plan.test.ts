// Which listeners are served, which routes are attached to them, and what the statuses say.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { type GatewayPlan, type GatewayWorld, planGateways } from './gateway-plan.ts'
import { grantedBy } from './references.ts'
import { gatewayStatus, routeStatus } from './statuses.ts'
import { type Request, verdictOn } from './verdict.ts'

const object = (name: string, spec: object, more: object = {}): StoredObject =>
  ({
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...more,
    },
    spec,
  }) as unknown as StoredObject

const listener = (name: string, more: object = {}) => ({ name, port: 80, protocol: 'HTTP', ...more })
const gateway = (listeners: object[], name = 'web', more: object = {}) =>
  object(name, { gatewayClassName: 'tandem', listeners }, more)
const route = (spec: object, name = 'shop', more: object = {}) =>
  object(name, { parentRefs: [{ name: 'web' }], rules: [{ backendRefs: [{ name: 'shop', port: 80 }] }], ...spec }, more)

const shop = object('shop', { ports: [{ port: 80 }] })
const plan = (world: Partial<GatewayWorld>): GatewayPlan =>
  planGateways({
    gateways: [],
    routes: [],
    address: '192.0.2.1',
    isGranted: grantedBy([]),
    certificateProblem: ({ name }) => (name === 'good' ? undefined : `there is no Secret ${name}`),
    unavailable: new Map(),
    service: (key) => (key.endsWith('/shop') ? shop : undefined),
    labelsOf: (namespace) => ({ team: namespace }),
    ...world,
  })

const listenersOf = ({ gateways }: GatewayPlan) =>
  Object.fromEntries(
    gateways[0]!.listeners.map(({ spec, conditions, attached }) => [
      spec.name,
      [
        attached,
        ...conditions
          .filter(({ type, status }) => (status === 'True') === (type === 'Conflicted'))
          .map(({ reason }) => reason),
      ],
    ]),
  )
const verdictsOf = ({ routes }: GatewayPlan, index = 0) =>
  routes[0]!.parents[index]?.conditions.map(({ status, reason }) => `${status} ${reason}`)

test('listeners that cannot be served say why', () => {
  const bad = plan({
    gateways: [
      gateway([
        listener('fine'),
        listener('tcp', { port: 81, protocol: 'TCP' }),
        listener('both', { port: 82 }),
        listener('ways', { port: 82, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'good' }] } }),
        listener('secret', { port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'bad' }] } }),
        listener('foreign', {
          port: 444,
          protocol: 'HTTPS',
          tls: { certificateRefs: [{ name: 'good', namespace: 'other' }] },
        }),
        listener('kinds', { port: 83, allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } }),
        listener('port', { port: 84 }),
      ]),
    ],
    unavailable: new Map([[84, 'address already in use']]),
  })
  assert.deepEqual(listenersOf(bad), {
    fine: [0],
    tcp: [0, 'UnsupportedProtocol', 'Invalid'],
    both: [0, 'ProtocolConflict', 'Invalid', 'ProtocolConflict'],
    ways: [0, 'ProtocolConflict', 'Invalid', 'ProtocolConflict'],
    secret: [0, 'Invalid', 'InvalidCertificateRef'],
    foreign: [0, 'Invalid', 'RefNotPermitted'],
    kinds: [0, 'Invalid', 'InvalidRouteKinds'],
    port: [0, 'PortUnavailable', 'Invalid'],
  })
  assert.deepEqual([...bad.fronts.keys()], [80])
})

test('a ReferenceGrant opens a Secret and a Service of another namespace', () => {
  const grant = (kind: string, to: object) =>
    object(
      'grant',
      { from: [{ group: 'gateway.networking.k8s.io', kind, namespace: 'default' }], to: [{ group: '', ...to }] },
      { namespace: 'other' },
    )
  const certificateRefs = [{ name: 'good', namespace: 'other' }]
  const gateways = [gateway([listener('tls', { port: 443, protocol: 'HTTPS', tls: { certificateRefs } })])]
  const routes = [route({ rules: [{ backendRefs: [{ name: 'shop', port: 80, namespace: 'other' }] }] })]
  assert.deepEqual(verdictsOf(plan({ gateways, routes })), ['True Accepted', 'False RefNotPermitted'])
  const isGranted = grantedBy([
    grant('Gateway', { kind: 'Secret', name: 'good' }),
    grant('HTTPRoute', { kind: 'Service' }),
  ])
  const open = plan({ gateways, routes, isGranted })
  assert.deepEqual(listenersOf(open), { tls: [1] })
  assert.deepEqual(verdictsOf(open), ['True Accepted', 'True ResolvedRefs'])
})

test('a route is attached where section, port, namespace and name allow it', () => {
  const gateways = [
    gateway([
      listener('named', { hostname: '*.example.com' }),
      listener('team', {
        port: 81,
        allowedRoutes: { namespaces: { from: 'Selector', selector: { matchLabels: { team: 'b' } } } },
      }),
      listener('all', { port: 82, allowedRoutes: { namespaces: { from: 'All' } } }),
    ]),
  ]
  const ask = (parent: object, more: object = {}, meta: object = {}) => {
    const made = plan({
      gateways,
      routes: [route({ parentRefs: [{ name: 'web', namespace: 'default', ...parent }], ...more }, 'shop', meta)],
    })
    return [verdictsOf(made)?.[0], ...Object.values(listenersOf(made)).map(([count]) => count)]
  }
  assert.deepEqual(ask({}), ['True Accepted', 1, 0, 1])
  assert.deepEqual(ask({ sectionName: 'named' }, { hostnames: ['a.example.org'] }), [
    'False NoMatchingListenerHostname',
    0,
    0,
    0,
  ])
  assert.deepEqual(ask({ sectionName: 'none' }), ['False NoMatchingParent', 0, 0, 0])
  assert.deepEqual(ask({ port: 82 }), ['True Accepted', 0, 0, 1])
  assert.deepEqual(ask({}, {}, { namespace: 'b' }), ['True Accepted', 0, 1, 1])
  assert.deepEqual(ask({ sectionName: 'named' }, {}, { namespace: 'b' }), ['False NotAllowedByListeners', 0, 0, 0])
  assert.deepEqual(ask({ name: 'foreign' }), [undefined, 0, 0, 0])
})

test('what is not done is said by name, and such a route is not served', () => {
  const gateways = [gateway([listener('http')])]
  const verdict = (rules: object[]) => {
    const made = plan({ gateways, routes: [route({ rules })] })
    return [...verdictsOf(made)!, made.fronts.get(80)!.sites.get('')!.entries.length]
  }
  assert.deepEqual(verdict([{ filters: [{ type: 'ExtensionRef', extensionRef: {} }] }]), ['False UnsupportedValue', 0])
  assert.deepEqual(verdict([{ matches: [{ path: { type: 'RegularExpression', value: '(' } }] }]), [
    'False UnsupportedValue',
    0,
  ])
  const changing = (name: string, value: string) => [
    { filters: [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name, value }] } }] },
  ]
  assert.deepEqual(verdict(changing('Transfer-Encoding', 'chunked')), ['False UnsupportedValue', 0])
  assert.deepEqual(verdict(changing('x', 'a\r\nb: c')), ['False UnsupportedValue', 0])
  const path = { type: 'ReplaceFullPath', replaceFullPath: '/a b' }
  assert.deepEqual(verdict([{ filters: [{ type: 'URLRewrite', urlRewrite: { path } }] }]), [
    'False UnsupportedValue',
    0,
  ])
  assert.deepEqual(verdict([{ backendRefs: [{ name: 'none', port: 80 }] }]), [
    'True Accepted',
    'False BackendNotFound',
    1,
  ])
  assert.deepEqual(verdict([{ backendRefs: [{ name: 'x', kind: 'Bucket' }] }]), [
    'True Accepted',
    'False InvalidKind',
    1,
  ])
})

test('of two Gateways with different protocols at a port the older one is served', () => {
  const certificateRefs = [{ name: 'good' }]
  const made = plan({
    gateways: [
      gateway([listener('x', { protocol: 'HTTPS', tls: { certificateRefs } })], 'young', {
        creationTimestamp: '2026-02-01T00:00:00Z',
      }),
      gateway([listener('x')], 'old'),
    ],
  })
  assert.equal(made.fronts.get(80)!.scheme, 'http')
  assert.equal(made.gateways[1]!.gateway.metadata.name, 'young')
  assert.ok(
    made.gateways[1]!.listeners[0]!.conditions.some(({ type, status }) => type === 'Conflicted' && status === 'True'),
  )
})

const request = (host: string, path = '/'): Request => ({
  host,
  path,
  search: '',
  query: new URLSearchParams(),
  method: 'GET',
  headers: {},
})

test('verdicts: isolation of listeners, misdirected connections, redirects, shares of nobody', () => {
  const made = plan({
    gateways: [gateway([listener('any'), listener('own', { hostname: 'own.example.com' })])],
    routes: [
      route({ parentRefs: [{ name: 'web', sectionName: 'any' }] }),
      route(
        {
          parentRefs: [{ name: 'web', sectionName: 'own' }],
          rules: [
            {
              matches: [{ path: { type: 'PathPrefix', value: '/go' } }],
              filters: [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https', statusCode: 301 } }],
            },
            { matches: [{ path: { type: 'PathPrefix', value: '/none' } }], backendRefs: [{ name: 'gone', port: 1 }] },
          ],
        },
        'own',
      ),
    ],
  })
  const place = { port: 80, scheme: 'http' } as const
  const ask = (asked: Request, more: object = {}): any =>
    verdictOn(made.fronts.get(80)!, asked, { ...place, ...more }, () => 0)
  assert.equal(ask(request('a.example.com')).target.service, 'shop')
  assert.equal(ask(request('own.example.com')), undefined, 'the route of the other listener is not for this name')
  assert.equal(ask(request('own.example.com', '/none')).status, 500)
  const redirect = ask(request('own.example.com', '/go/x'))
  assert.deepEqual([redirect.status, redirect.headers.location], [301, 'https://own.example.com/go/x'])
  assert.equal(ask(request('own.example.com', '/go'), { servername: 'a.example.com' }).status, 421)
})

test('statuses are written once, and what others said stays', () => {
  const made = plan({ gateways: [gateway([listener('http')])], routes: [route({})] })
  const { gateway: own, listeners } = made.gateways[0]!
  const status: any = gatewayStatus(own, listeners, '192.0.2.1', '2026-01-01T00:00:00Z')
  assert.deepEqual(status.addresses, [{ type: 'IPAddress', value: '192.0.2.1' }])
  assert.deepEqual(status.listeners[0].attachedRoutes, 1)
  assert.deepEqual(gatewayStatus({ ...own, status }, listeners, '192.0.2.1', '2027-01-01T00:00:00Z'), status)
  const { route: one, parents } = made.routes[0]!
  const foreign = { parentRef: { name: 'x' }, controllerName: 'example.com/x', conditions: [] }
  const shown: any = routeStatus({ ...one, status: { parents: [foreign] } }, parents, '2026-01-01T00:00:00Z')
  assert.deepEqual(
    shown.parents.map((parent: any) => parent.controllerName),
    ['example.com/x', 'tandem.dev/gateway'],
  )
  assert.equal(routeStatus(one, [], ''), undefined)
})
