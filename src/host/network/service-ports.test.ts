import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { hostPortsOfPod, portsOfService } from './service-ports.ts'
import { goneEndpoints, newlyServed } from './udp-flows.ts'

const object = (name: string, rest: object) =>
  ({ metadata: { name, namespace: 'default', uid: `u-${name}` }, ...rest }) as unknown as StoredObject
const service = (spec: object, status = {}) => object('web', { spec, status })
const slice = (endpoints: object[], ports: object[] = [{ name: '', port: 8080 }], addressType = 'IPv4') =>
  object('web-1', { endpoints, ports, addressType })
const own = { own: new Set(['10.43.0.1', '10.43.0.10']), nodeName: 'n1' }
const one = { clusterIP: '10.43.0.20', ports: [{ port: 80 }] }
const addresses = (endpoints: object[]) =>
  portsOfService(service(one), [slice(endpoints)], own)[0]!.endpoints.map(({ address }) => address)

test('ready endpoints; unknown readiness is ready', () => {
  const list = [
    { addresses: ['10.42.0.5'], conditions: { ready: true } },
    { addresses: ['10.42.0.6'] },
    { addresses: ['10.42.0.7'], conditions: { ready: false, serving: true, terminating: true } },
  ]
  assert.deepEqual(addresses(list), ['10.42.0.5', '10.42.0.6'])
})

test('when nothing is ready, what ends but still serves', () => {
  const list = [
    { addresses: ['10.42.0.5'], conditions: { ready: false, serving: false, terminating: true } },
    { addresses: ['10.42.0.7'], conditions: { ready: false, serving: true, terminating: true } },
  ]
  assert.deepEqual(addresses(list), ['10.42.0.7'])
  assert.deepEqual(addresses([{ addresses: ['10.42.0.8'], conditions: { ready: false } }]), [])
})

test('ports are matched by name and protocol', () => {
  const spec = {
    clusterIP: '10.43.0.20',
    ports: [
      { name: 'http', port: 80 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  }
  const ports = [
    { name: 'dns', port: 5353, protocol: 'UDP' },
    { name: 'http', port: 8080, protocol: 'TCP' },
  ]
  const found = portsOfService(service(spec), [slice([{ addresses: ['10.42.0.5'] }], ports)], own)
  assert.deepEqual(
    found.map(({ protocol, endpoints }) => [protocol, endpoints[0]?.port]),
    [
      ['TCP', 8080],
      ['UDP', 5353],
    ],
  )
})

test('an endpoint in two slices counts once; IPv6 slices are left out', () => {
  const both = [
    slice([{ addresses: ['10.42.0.5'] }]),
    slice([{ addresses: ['10.42.0.5'] }]),
    slice([{ addresses: ['fd00::1'] }], undefined, 'IPv6'),
  ]
  assert.equal(portsOfService(service(one), both, own)[0]!.endpoints.length, 1)
})

test('external and load balancer addresses, affinity and node port', () => {
  const spec = {
    type: 'LoadBalancer',
    clusterIP: '10.43.0.20',
    externalIPs: ['192.0.2.9'],
    sessionAffinity: 'ClientIP',
    ports: [{ port: 80, nodePort: 30080 }],
  }
  const [port] = portsOfService(
    service(spec, { loadBalancer: { ingress: [{ ip: '192.0.2.10' }, { hostname: 'x' }] } }),
    [],
    own,
  )
  assert.deepEqual(port!.addresses, ['10.43.0.20', '192.0.2.9', '192.0.2.10'])
  assert.deepEqual([port!.nodePort, port!.affinitySeconds], [30080, 10800])
})

test('no rules for headless Services, names of elsewhere, and where Tandem itself listens', () => {
  for (const spec of [
    { clusterIP: 'None' },
    { type: 'ExternalName', externalName: 'x' },
    {},
    { clusterIP: '10.43.0.1' },
  ])
    assert.deepEqual(portsOfService(service({ ports: [{ port: 80 }], ...spec }), [], own), [])
  const thief = { ...one, externalIPs: ['10.43.0.10'] }
  assert.deepEqual(portsOfService(service(thief), [], own)[0]!.addresses, ['10.43.0.20'])
})

test('hostPorts on every address or on one; ended Pods have none', () => {
  const pod = (status: object, port: object) =>
    object('p', { spec: { containers: [{ ports: [{ containerPort: 80, ...port }] }] }, status })
  const running = { phase: 'Running', podIP: '10.42.0.5' }
  const [every] = hostPortsOfPod(pod(running, { hostPort: 8080 }))
  assert.deepEqual(
    [every!.nodePort, every!.addresses, every!.endpoints],
    [8080, [], [{ address: '10.42.0.5', port: 80 }]],
  )
  const [single] = hostPortsOfPod(pod(running, { hostPort: 8080, hostIP: '127.0.0.1' }))
  assert.deepEqual([single!.nodePort, single!.addresses], [undefined, ['127.0.0.1']])
  assert.deepEqual(hostPortsOfPod(pod({ ...running, phase: 'Succeeded' }, { hostPort: 8080 })), [])
  assert.deepEqual(hostPortsOfPod(pod(running, {})), [])
})

test('UDP endpoints that are gone, wherever they were', () => {
  const at = (address: string, protocol: 'UDP' | 'TCP' = 'UDP') => ({
    key: 'a/b',
    protocol,
    port: 1,
    addresses: [],
    endpoints: [{ address, port: 9 }],
  })
  assert.deepEqual(goneEndpoints([at('10.0.0.1'), at('10.0.0.2'), at('10.0.0.3', 'TCP')], [at('10.0.0.2')]), [
    { address: '10.0.0.1', port: 9 },
  ])
})

const local = { addresses: ['10.42.0.5'], nodeName: 'n1' }
const remote = { addresses: ['192.0.2.77'], nodeName: 'n2' }
const shown = (spec: object, endpoints: object[], status = {}) =>
  portsOfService(service({ ...one, ...spec }, status), [slice(endpoints)], own).map((port) => [
    port.key,
    port.elsewhere ? 'elsewhere' : port.endpoints.map(({ address }) => address).join(),
  ])

test('traffic policy Local takes the endpoints of this node, inside and outside apart', () => {
  const ports = [{ port: 80, nodePort: 30080 }]
  assert.deepEqual(shown({ internalTrafficPolicy: 'Local' }, [local, remote]), [['default/web', '10.42.0.5']])
  assert.deepEqual(shown({ internalTrafficPolicy: 'Local' }, [remote]), [['default/web', 'elsewhere']])
  assert.deepEqual(shown({ ports, externalTrafficPolicy: 'Local' }, [local, remote]), [
    ['default/web', '10.42.0.5,192.0.2.77'],
    ['default/web/external', '10.42.0.5'],
  ])
  assert.deepEqual(shown({ ports, externalTrafficPolicy: 'Local' }, [local]), [['default/web', '10.42.0.5']])
})

test('a load balancer for some clients only; other classes of addresses stay open', () => {
  const spec = {
    type: 'LoadBalancer',
    externalIPs: ['192.0.2.9'],
    loadBalancerSourceRanges: ['198.51.100.0/24', 'fd00::/8'],
  }
  const [port] = portsOfService(
    service({ ...one, ...spec }, { loadBalancer: { ingress: [{ ip: '192.0.2.10' }] } }),
    [],
    own,
  )
  assert.deepEqual(port!.addresses, ['10.43.0.20', '192.0.2.9'])
  assert.deepEqual(port!.guarded, { addresses: ['192.0.2.10'], ranges: ['198.51.100.0/24'] })
})

test('UDP flows that began before there was an endpoint are forgotten', () => {
  const port = { key: 'a/b', protocol: 'UDP' as const, port: 53, addresses: ['10.43.0.9'], nodePort: 30053 }
  const served = { ...port, endpoints: [{ address: '10.42.0.5', port: 53 }] }
  assert.deepEqual(newlyServed([{ ...port, endpoints: [] }], [served]), [
    { address: '10.43.0.9', port: 53 },
    { port: 30053 },
  ])
  assert.deepEqual(newlyServed([served], [served]), [])
})

test('ranges that leave no IPv4 client close the balancer; the annotation means the same as the field', () => {
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.10' }] } }
  const spec = { ...one, type: 'LoadBalancer', loadBalancerSourceRanges: ['fd00::/8'] }
  const [closed] = portsOfService(service(spec, status), [], own)
  assert.deepEqual([closed!.addresses, closed!.guarded], [['10.43.0.20'], undefined])
  const annotated = service({ ...one, type: 'LoadBalancer' }, status)
  annotated.metadata.annotations = {
    'service.beta.kubernetes.io/load-balancer-source-ranges': '198.51.100.0/24, 203.0.113.0/24',
  }
  const [port] = portsOfService(annotated, [], own)
  assert.deepEqual(port!.guarded, { addresses: ['192.0.2.10'], ranges: ['198.51.100.0/24', '203.0.113.0/24'] })
})
