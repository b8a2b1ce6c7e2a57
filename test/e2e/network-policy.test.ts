// NetworkPolicies for real: isolation in both directions for Pods and VMs, live changes, the first packet, and what many
// policies cost. Needs root. Run: node --test test/e2e/network-policy.test.ts

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { StoredObject } from '../../src/api/meta.ts'
import { silentLogger } from '../../src/base/log.ts'
import { run } from '../../src/host/exec.ts'
import { addToNetwork, type ConfList } from '../../src/host/network/cni.ts'
import { createNetwork, type RunningNetwork } from '../../src/host/network/routed-network.ts'
import { statePaths } from '../../src/host/state.ts'
import { enterRoom, fakeCluster } from './network-room.ts'

const instance = `e${process.pid.toString(16).slice(-3).padStart(3, '0')}`
const netnsDir = '/run/netns'
const cluster = fakeCluster()
const children: ChildProcess[] = []
const made: string[] = []
let dir: string
let network: RunningNetwork

const nameOf = (name: string) => `tdtestpol-${instance}-${name}`
const inside = (name: string, ...argv: string[]) => ['nsenter', `--net=${netnsDir}/${nameOf(name)}`, ...argv]

/** A server that says 'ok' to each connection, in the same words as the client below. */
const server = `require('net').createServer((c) => c.end('ok')).listen(8080, () => console.log('listening'))`
const client = (address: string, count: number, patienceMs: number) => `
  const connect = () => new Promise((done) => {
    const s = require('net').connect(8080, '${address}')
    s.setTimeout(${patienceMs}, () => { s.destroy(); done(false) })
    s.on('error', () => done(false)).on('data', () => done(true))
  })
  ;(async () => {
    const started = performance.now()
    let good = 0
    for (let i = 0; i < ${count}; i++) good += await connect() ? 1 : 0
    console.log(JSON.stringify({ good, ms: (performance.now() - started) / ${count} }))
    process.exit(0)
  })()`

async function makePod(name: string, namespace = 'default'): Promise<string> {
  made.push(nameOf(name))
  await run(['ip', 'netns', 'add', nameOf(name)])
  await run(inside(name, 'ip', 'link', 'set', 'lo', 'up'))
  const list = JSON.parse(readFileSync(statePaths(dir, instance).cni.podConfList, 'utf8')) as ConfList
  const attachment = { containerId: nameOf(name), netns: `${netnsDir}/${nameOf(name)}`, interfaceName: 'eth0' }
  const address = (await addToNetwork(list, attachment)).ips![0]!.address.split('/')[0]!
  put(name, namespace, address)
  return address
}

const podOf = (name: string, namespace: string, address: string) => ({
  kind: 'Pod',
  metadata: { name, namespace, labels: { app: name } },
  spec: { containers: [{ ports: [{ name: 'web', containerPort: 8080 }] }] },
  status: { phase: 'Running', podIP: address },
})
const put = (name: string, namespace: string, address: string) => cluster.put('pods', podOf(name, namespace, address))

async function serve(name: string): Promise<void> {
  const [program = '', ...argv] = inside(name, process.execPath, '-e', server)
  const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await new Promise((resolve) => child.stdout.once('data', resolve))
}

/** How long an answer may take that is to come, on a machine that has much else to do, and one that is not to come. */
const answerMs = 20_000
const silenceMs = 400

async function connects(
  from: string,
  address: string,
  { count = 1, patienceMs = answerMs } = {},
): Promise<{ good: number; ms: number }> {
  const argv = [process.execPath, '-e', client(address, count, patienceMs)]
  const { stdout } = await run(from ? inside(from, ...argv) : argv, { timeoutMs: 600_000 })
  return JSON.parse(stdout) as { good: number; ms: number }
}
/** The best of three: what else the machine does must not count. */
async function connectMs(from: string, address: string): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < 3; round++) {
    const { good, ms } = await connects(from, address, { count: 300 })
    assert.equal(good, 300)
    times.push(ms)
  }
  return Math.min(...times)
}
const reaches = async (from: string, address: string) => (await connects(from, address)).good === 1
const isCutOff = async (from: string, address: string) =>
  (await connects(from, address, { patienceMs: silenceMs })).good === 0

async function policy(name: string, spec: object | undefined): Promise<void> {
  if (spec) cluster.put('networkpolicies', { kind: 'NetworkPolicy', metadata: { name }, spec })
  else cluster.drop('networkpolicies', `default/${name}`)
  await network.settled()
}
const app = (name: string) => ({ podSelector: { matchLabels: { app: name } } })

if (enterRoom(import.meta.filename)) {
  let a = ''
  let b = ''
  let far = ''

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tandem-policy-'))
    cluster.put('namespaces', { kind: 'Namespace', metadata: { name: 'default', namespace: undefined } })
    cluster.put('namespaces', {
      kind: 'Namespace',
      metadata: { name: 'far', namespace: undefined, labels: { zone: 'far' } },
    })
    network = createNetwork({
      instance,
      paths: statePaths(dir, instance),
      podCidr: '10.42.0.0/16',
      serviceCidr: '10.43.0.0/16',
      clusterDomain: 'cluster.local',
      nodeName: 'node-1',
      informers: cluster,
      log: silentLogger,
    })
    await network.start()
    a = await makePod('a')
    b = await makePod('b')
    far = await makePod('far', 'far')
    await Promise.all(['a', 'b', 'far'].map(serve))
  })

  after(async () => {
    for (const child of children) child.kill('SIGKILL')
    for (const netns of made) await run(['ip', 'netns', 'delete', netns], { allowFailure: true })
    await network.removeAll()
    rmSync(dir, { recursive: true, force: true })
    rmSync(`/run/tandem-${instance}`, { recursive: true, force: true })
  })

  test('ingress: who is selected is isolated, allowed peers and the node come through, changes hold at once', async () => {
    assert.equal(await reaches('b', a), true)
    await policy('a', { ...app('a'), policyTypes: ['Ingress'] })
    assert.equal(await isCutOff('b', a), true)
    assert.equal(await reaches('', a), true, 'the node itself')
    assert.equal(await reaches('a', b), true, 'the other direction, and its replies')
    await policy('a', {
      ...app('a'),
      policyTypes: ['Ingress'],
      ingress: [{ from: [app('b')], ports: [{ port: 'web' }] }],
    })
    assert.equal(await reaches('b', a), true)
    assert.equal(await isCutOff('far', a), true)
    const peer = { namespaceSelector: { matchLabels: { zone: 'far' } } }
    await policy('a', { ...app('a'), policyTypes: ['Ingress'], ingress: [{ from: [peer] }] })
    assert.equal(await isCutOff('b', a), true)
    assert.equal(await reaches('far', a), true)
    await policy('a', undefined)
    assert.equal(await reaches('b', a), true)
  })

  test('egress: blocks of addresses, also behind a Service', async () => {
    const endpoints = [{ addresses: [b], conditions: { ready: true } }]
    cluster.put('services', { metadata: { name: 'b' }, spec: { clusterIP: '10.43.0.20', ports: [{ port: 8080 }] } })
    cluster.put('endpointslices', {
      metadata: { name: 'b-1', labels: { 'kubernetes.io/service-name': 'b' } },
      addressType: 'IPv4',
      ports: [{ name: '', port: 8080 }],
      endpoints,
    })
    const to = [{ ipBlock: { cidr: '10.42.0.0/16', except: [`${far}/32`] } }]
    await policy('a', {
      ...app('a'),
      policyTypes: ['Egress'],
      egress: [{ to, ports: [{ port: 8000, endPort: 8080 }] }],
    })
    assert.equal(await reaches('a', b), true)
    assert.equal(await reaches('a', '10.43.0.20'), true, 'a Service is judged by its endpoint')
    assert.equal(await isCutOff('a', far), true)
    await policy('a', { ...app('a'), policyTypes: ['Egress'], egress: [{ to, ports: [{ port: 80 }] }] })
    assert.equal(await isCutOff('a', '10.43.0.20'), true)
    await policy('a', undefined)
  })

  test('a workload may always meet itself', async () => {
    await policy('b', { ...app('b'), policyTypes: ['Ingress', 'Egress'] })
    assert.equal(await reaches('b', '10.43.0.20'), true)
    assert.equal(await isCutOff('a', b), true)
    await policy('b', undefined)
  })

  test('the rules are there before the first packet: nobody has told the API of the address yet', async () => {
    await policy('all', { podSelector: {}, policyTypes: ['Egress'] })
    const fresh = await makePod('fresh')
    cluster.drop('pods', 'default/fresh')
    const pod = podOf('fresh', 'default', fresh)
    const unseen = { ...pod, status: {}, metadata: { ...pod.metadata, uid: 'uid-fresh' } } as unknown as StoredObject
    await network.protect(unseen, fresh)
    assert.equal(await isCutOff('fresh', far), true)
    await policy('all', undefined)
  })

  test('a VM is a workload like a Pod', async () => {
    cluster.put('virtualmachineinstances', {
      kind: 'VirtualMachineInstance',
      metadata: { name: 'far', namespace: 'far', labels: { app: 'vm' }, uid: 'uid-vm' },
      status: { phase: 'Running', interfaces: [{ ipAddress: far }] },
    })
    cluster.drop('pods', 'far/far')
    cluster.put('networkpolicies', {
      kind: 'NetworkPolicy',
      metadata: { name: 'vm', namespace: 'far' },
      spec: { ...app('vm'), policyTypes: ['Ingress'], ingress: [{ from: [{ namespaceSelector: {}, ...app('a') }] }] },
    })
    await network.settled()
    assert.equal(await reaches('a', far), true)
    assert.equal(await isCutOff('b', far), true)
    cluster.drop('networkpolicies', 'far/vm')
    await network.settled()
  })

  /** They select none of the Pods here. */
  async function manyPolicies(isThere: boolean): Promise<void> {
    for (let index = 0; index < 500; index++) {
      const [name, other] = [`many-${index}`, `app-${index}`]
      const from = [{ podSelector: { matchLabels: { app: `client-${index}` } } }]
      const spec = { ...app(other), policyTypes: ['Ingress'], ingress: [{ from, ports: [{ port: index + 1 }] }] }
      if (isThere) {
        cluster.put('networkpolicies', { kind: 'NetworkPolicy', metadata: { name }, spec })
        put(other, 'default', `10.42.100.${index % 250}`)
      } else {
        cluster.drop('networkpolicies', `default/${name}`)
        cluster.drop('pods', `default/${other}`)
      }
    }
    await network.settled()
  }

  test('five hundred policies that select others cost a connection nothing that is worth the name', async (t) => {
    const allowed = { ...app('b'), policyTypes: ['Ingress'], ingress: [{ from: [app('a')] }] }
    let isCheap = false
    // Measured again where it fails: what else the machine has to do may begin between the two looks.
    for (let turn = 0; turn < 5 && !isCheap; turn++) {
      const without = await connectMs('a', b)
      await policy('allowed', allowed)
      const started = performance.now()
      await manyPolicies(true)
      t.diagnostic(`500 policies were in the kernel after ${Math.round(performance.now() - started)} ms`)
      const withMany = await connectMs('a', b)
      t.diagnostic(`a connection took ${without.toFixed(2)} ms without, ${withMany.toFixed(2)} ms with them`)
      isCheap = withMany < without * 2 + 0.5
      await policy('allowed', undefined)
      await manyPolicies(false)
    }
    assert.ok(isCheap, 'each packet is looked up, not compared with every rule')
  })
}
