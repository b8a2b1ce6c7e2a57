import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { answer, type ClusterNames, type DnsRecord } from './answer.ts'

const zone = { domain: 'cluster.local', podCidr: '10.42.0.0/16', serviceCidr: '10.43.0.0/16' }
const object = (name: string, rest: object, labels = {}) =>
  ({ metadata: { name, namespace: 'default', labels }, ...rest }) as unknown as StoredObject
const services = [
  object('web', {
    spec: {
      clusterIP: '10.43.0.20',
      ports: [
        { name: 'http', port: 80 },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ],
    },
  }),
  object('db', { spec: { clusterIP: 'None', ports: [{ name: 'pg', port: 5432 }] } }),
  object('gone', { spec: { clusterIP: 'None' } }),
  object('far', { spec: { type: 'ExternalName', externalName: 'db.example.com.' } }),
]
const slices = [
  object(
    'db-1',
    {
      addressType: 'IPv4',
      ports: [{ name: 'pg', port: 5432 }],
      endpoints: [
        { addresses: ['10.42.128.1'], hostname: 'primary' },
        { addresses: ['10.42.0.7'] },
        { addresses: ['10.42.0.8'], conditions: { ready: false } },
      ],
    },
    { 'kubernetes.io/service-name': 'db' },
  ),
  object(
    'web-1',
    { addressType: 'IPv4', ports: [{ name: 'http', port: 8080 }], endpoints: [{ addresses: ['10.42.0.9'] }] },
    { 'kubernetes.io/service-name': 'web' },
  ),
]
const names: ClusterNames = {
  service: (namespace, name) => services.find((each) => namespace === 'default' && each.metadata.name === name),
  slices: (namespace, name) =>
    slices.filter((each) => namespace === 'default' && each.metadata.labels?.['kubernetes.io/service-name'] === name),
  hasServices: (namespace) => namespace === 'default',
  servicesAt: (address) => services.filter((each) => each.spec.clusterIP === address),
  slicesAt: (address) => slices.filter((each) => each.endpoints.some((one: any) => one.addresses.includes(address))),
}
const ask = (name: string, type = 'A') => answer({ name, type }, zone, names)
const data = (records: DnsRecord[]) =>
  records.map((record) => (record.type === 'SRV' ? `${record.data.port} ${record.data.target}` : record.data))
/** Rcode and data of the answers, as one line. */
const said = (name: string, type = 'A') => {
  const result = ask(name, type)
  return result && [result.rcode, ...data(result.answers)].join(' ')
}

const table: [question: string, type: string, said: string][] = [
  ['web.default.svc.cluster.local', 'A', 'NOERROR 10.43.0.20'],
  ['WEB.Default.svc.CLUSTER.local', 'A', 'NOERROR 10.43.0.20'],
  ['web.default.svc.cluster.local.', 'A', 'NOERROR 10.43.0.20'],
  ['web.default.svc.cluster.local', 'AAAA', 'NOERROR'],
  ['web.default.svc.cluster.local', 'MX', 'NOERROR'],
  ['web.other.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['nobody.default.svc.cluster.local', 'AAAA', 'NXDOMAIN'],
  ['db.default.svc.cluster.local', 'A', 'NOERROR 10.42.128.1 10.42.0.7'],
  ['gone.default.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['primary.db.default.svc.cluster.local', 'A', 'NOERROR 10.42.128.1'],
  ['primary.db.default.svc.cluster.local', 'AAAA', 'NOERROR'],
  ['10-42-0-7.db.default.svc.cluster.local', 'A', 'NOERROR 10.42.0.7'],
  ['10-42-0-8.db.default.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['10-42-0-9.web.default.svc.cluster.local', 'A', 'NOERROR 10.42.0.9'],
  ['a.b.db.default.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['_http._tcp.web.default.svc.cluster.local', 'SRV', 'NOERROR 80 web.default.svc.cluster.local'],
  ['_dns._udp.web.default.svc.cluster.local', 'SRV', 'NOERROR 53 web.default.svc.cluster.local'],
  ['_http._udp.web.default.svc.cluster.local', 'SRV', 'NXDOMAIN'],
  [
    '_pg._tcp.db.default.svc.cluster.local',
    'SRV',
    'NOERROR 5432 primary.db.default.svc.cluster.local 5432 10-42-0-7.db.default.svc.cluster.local',
  ],
  ['_http._tcp.web.default.svc.cluster.local', 'A', 'NOERROR 10.43.0.20'],
  ['far.default.svc.cluster.local', 'A', 'NOERROR db.example.com'],
  ['far.default.svc.cluster.local', 'TXT', 'NOERROR'],
  ['x.far.default.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['10-42-0-5.default.pod.cluster.local', 'A', 'NOERROR 10.42.0.5'],
  ['10-42-0-5.default.pod.cluster.local', 'AAAA', 'NOERROR'],
  ['1-2-3-4.default.pod.cluster.local', 'A', 'NXDOMAIN'],
  ['web.default.pod.cluster.local', 'A', 'NXDOMAIN'],
  ['default.svc.cluster.local', 'A', 'NOERROR'],
  ['other.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['svc.cluster.local', 'A', 'NOERROR'],
  ['cluster.local', 'A', 'NOERROR'],
  ['example.com.cluster.local', 'A', 'NXDOMAIN'],
  ['dns-version.cluster.local', 'TXT', 'NOERROR 1.1.0'],
  ['20.0.43.10.in-addr.arpa', 'PTR', 'NOERROR web.default.svc.cluster.local'],
  ['1.128.42.10.in-addr.arpa', 'PTR', 'NOERROR primary.db.default.svc.cluster.local'],
  ['7.0.42.10.in-addr.arpa', 'PTR', 'NOERROR 10-42-0-7.db.default.svc.cluster.local'],
  ['9.0.42.10.in-addr.arpa', 'PTR', 'NXDOMAIN'],
]

for (const [name, type, expected] of table) test(`${type} ${name}`, () => assert.equal(said(name, type), expected))

test('names of elsewhere are not ours', () => {
  for (const name of ['example.com', 'notcluster.local', 'local', '', '1.2.0.192.in-addr.arpa', 'in-addr.arpa'])
    assert.equal(ask(name), undefined, name)
})

test('no data and no name bring the zone, so that clients may remember it', () => {
  for (const name of ['web.default.svc.cluster.local', 'nobody.default.svc.cluster.local']) {
    const [soa] = ask(name, 'AAAA')!.authorities
    assert.deepEqual([soa?.type, soa?.name], ['SOA', 'cluster.local'])
  }
  assert.deepEqual(ask('web.default.svc.cluster.local')!.authorities, [])
})

test('SRV brings the addresses of its targets; an ExternalName says what to follow', () => {
  assert.deepEqual(data(ask('_pg._tcp.db.default.svc.cluster.local', 'SRV')!.additionals), ['10.42.128.1', '10.42.0.7'])
  assert.equal(ask('far.default.svc.cluster.local')!.follow, 'db.example.com')
  assert.equal(ask('far.default.svc.cluster.local', 'CNAME')!.follow, undefined)
})
