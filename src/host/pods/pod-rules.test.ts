// The smaller rules of this room: resolver, hosts file, quality of service, cgroup limits, pull secrets, names, events.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '../../wire/protobuf.ts'
import { TaskExit, taskEvent } from './cri/containerd-services.ts'
import { parseResolvConf, podResolver } from './dns.ts'
import { hostsFile, podHostname } from './hosts-file.ts'
import { parseLogDirectoryName } from './names.ts'
import { podOf } from './pod.fixture.ts'
import { qosClass } from './pod.ts'
import { pullAuths } from './pull-auth.ts'
import { cgroupLimits, withKernel } from './resources.ts'
import { checkSubPath } from './subpath.ts'

const cluster = { nameservers: ['10.96.0.10'], searches: ['shop.svc.cluster.local'], options: ['ndots:5'] }
const machine = parseResolvConf('# x\nnameserver 192.0.2.53 ; y\nsearch example.org\noptions edns0\n')

test('dnsPolicy chooses, dnsConfig adds', () => {
  const resolver = (spec: object) => podResolver(podOf(spec), cluster, machine)
  assert.deepEqual(resolver({}), cluster)
  assert.deepEqual(resolver({ hostNetwork: true }), machine)
  assert.deepEqual(resolver({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), cluster)
  assert.deepEqual(resolver({ dnsPolicy: 'Default' }), {
    nameservers: ['192.0.2.53'],
    searches: ['example.org'],
    options: ['edns0'],
  })
  const dnsConfig = {
    nameservers: ['1.1.1.1'],
    searches: ['x'],
    options: [{ name: 'ndots', value: '2' }, { name: 'trust-ad' }],
  }
  assert.deepEqual(resolver({ dnsConfig }), {
    nameservers: ['10.96.0.10', '1.1.1.1'],
    searches: ['shop.svc.cluster.local', 'x'],
    options: ['ndots:2', 'trust-ad'],
  })
  assert.deepEqual(resolver({ dnsPolicy: 'None', dnsConfig: { nameservers: ['1.1.1.1'] } }).nameservers, ['1.1.1.1'])
})

test('the hosts file knows the Pod by its names', () => {
  const text = hostsFile(podOf({ subdomain: 'db' }), ['10.0.0.1'], 'cluster.local')
  assert.match(text, /^10\.0\.0\.1\tweb\.db\.shop\.svc\.cluster\.local\tweb$/m)
  assert.equal(podHostname(podOf({}, { name: `${'a'.repeat(62)}-b` })), 'a'.repeat(62))
})

test('quality of service and cgroup limits', () => {
  const pod = (resources: object) => podOf({ containers: [{ name: 'main', image: 'x', resources }] })
  const limits = (resources: object) => cgroupLimits(pod(resources), pod(resources).spec.containers[0]!, 2 ** 30)
  const both = { cpu: '500m', memory: '256Mi' }
  assert.equal(qosClass(pod({ limits: both })), 'Guaranteed')
  assert.equal(qosClass(pod({ requests: both })), 'Burstable')
  assert.equal(qosClass(pod({})), 'BestEffort')
  assert.deepEqual(limits({}), { cpuShares: 2, oomScoreAdj: 1000 })
  assert.deepEqual(limits({ limits: both, requests: both }), {
    cpuShares: 512,
    cpuPeriod: 100_000,
    cpuQuota: 50_000,
    memoryLimitInBytes: 2 ** 28,
    oomScoreAdj: -997,
  })
  assert.equal(limits({ requests: { memory: '256Mi' } }).oomScoreAdj, 750)
  assert.equal(limits({ limits: { cpu: '1m' } }).cpuQuota, 1000)
})

test('pull secrets: only the ones of the image, the most specific first', () => {
  const secret = (auths: object) => ({
    data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') },
  })
  const auth = (name: string) => ({ auth: Buffer.from(`${name}:pass:word`).toString('base64') })
  const secrets = [
    secret({
      'reg.example': auth('all'),
      'https://reg.example/team/v1/': auth('odd'),
      'reg.example/team': auth('team'),
    }),
    secret({ 'https://index.docker.io/v1/': { username: 'hub', password: 'p' }, '*.example': auth('star') }),
    { data: { '.dockerconfigjson': 'broken' } },
  ]
  const users = (image: string) => pullAuths(image, secrets).map(({ username }) => username)
  assert.deepEqual(users('reg.example/team/app:1'), ['odd', 'team', 'all', 'star'])
  assert.deepEqual(users('reg.example/other'), ['all', 'star'])
  assert.deepEqual(users('nginx'), ['hub'])
  assert.deepEqual(users('evil.example.org/reg.example/team'), [])
  assert.equal(pullAuths('reg.example/x', secrets)[0]!.password, 'pass:word')
})

test('log directories name their Pod', () => {
  assert.deepEqual(parseLogDirectoryName('shop_web_123'), { namespace: 'shop', name: 'web', uid: '123' })
  assert.equal(parseLogDirectoryName('something'), undefined)
})

test('subPath is relative and stays below', () => {
  assert.equal(checkSubPath('a/b'), 'a/b')
  for (const path of ['/etc', '../x', 'a/../../b']) assert.throws(() => checkSubPath(path), /subPath must not/)
})

test('only the end of a container itself is an event', () => {
  const envelope = (topic: string, id: string, namespace = 'k8s.io') => ({
    namespace,
    topic,
    event: { typeUrl: 'containerd.events.TaskExit', value: encode(TaskExit, { containerId: 'c', id }) },
  })
  assert.deepEqual(taskEvent(envelope('/tasks/exit', 'c')), { topic: '/tasks/exit', containerId: 'c' })
  assert.equal(taskEvent(envelope('/tasks/exit', 'exec-1')), undefined)
  assert.equal(taskEvent(envelope('/tasks/exit', 'c', 'moby')), undefined)
  assert.equal(taskEvent(envelope('/images/create', 'c')), undefined)
})

test('a kernel of its own comes on top of the memory limit of its container', () => {
  const pod = podOf({ overhead: { memory: '32Mi' } })
  const limits = { cpuShares: 2, memoryLimitInBytes: 16 * 2 ** 20, oomScoreAdj: 0 }
  assert.equal(withKernel('runsc', pod, limits).memoryLimitInBytes, 48 * 2 ** 20)
  assert.deepEqual(withKernel('', pod, limits), limits)
  assert.deepEqual(withKernel('runsc', podOf({}), limits), limits)
  assert.equal(withKernel('runsc', pod, { cpuShares: 2, oomScoreAdj: 0 }).memoryLimitInBytes, undefined)
})
