// NetworkPolicies become rules: a small interpreter of those rules says who reaches whom.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { formatInterval, merged, subtract } from './address-ranges.ts'
import { parseAddress } from './addresses.ts'
import { type PolicyWorkload, planPolicies } from './policy-plan.ts'
import type { Ruleset } from './ruleset.ts'

const workload = (namespace: string, app: string, address: string, http = 80): PolicyWorkload => ({
  namespace,
  labels: { app },
  address,
  ports: [{ name: 'http', protocol: 'TCP', port: http }],
})
const web = workload('a', 'web', '10.42.0.2', 8080)
const client = workload('a', 'client', '10.42.0.3')
const other = workload('b', 'client', '10.42.0.4')
const namespaces = new Map([
  ['a', { team: 'red' }],
  ['b', { team: 'blue' }],
])
const policy = (spec: object, namespace = 'a', name = JSON.stringify(spec)): StoredObject =>
  ({ metadata: { name, namespace, uid: `${namespace}/${name}` }, spec }) as unknown as StoredObject
const plan = (...policies: StoredObject[]) => planPolicies({ policies, workloads: [web, client, other], namespaces })

const inside = (set: Iterable<string>, value: string): boolean =>
  [...set].some((element) => {
    const [first, last = first] = element.split('-')
    const [low, high, number] = [first!, last!, value].map((text) => parseAddress(text) ?? Number.NaN)
    return element === value || (low! <= number! && number! <= high!)
  })

/** Runs the rules that the planner writes for one new connection. */
function passes(rules: Ruleset, from: string, to: string, port: number, protocol = 'tcp'): boolean {
  return (['egress', 'ingress'] as const).every((direction) => {
    const verdict = rules.elements.get(direction)!.get(direction === 'egress' ? from : to)
    if (!verdict) return true
    const chain = rules.chains.get(verdict.replace('jump ', ''))!
    return chain.some((rule) => rule.endsWith('return') && matches(rules, rule, { from, to, port, protocol }))
  })
}

function matches(rules: Ruleset, rule: string, packet: { from: string; to: string; port: number; protocol: string }) {
  const { from, to, port, protocol } = packet
  let rest = rule.replace(/return$/, '').trim()
  const named = /^ip daddr \. meta l4proto \. th dport @(\S+)$/.exec(rest)
  if (named) return rules.elements.get(named[1]!)!.has(`${to} . ${protocol} . ${port}`)
  const peer = /^ip (saddr|daddr) @(\S+) ?/.exec(rest)
  if (peer) {
    if (!inside(rules.elements.get(peer[2]!)!.keys(), peer[1] === 'saddr' ? from : to)) return false
    rest = rest.slice(peer[0].length)
  }
  const ports = /^meta l4proto \. th dport \{ (.*) \}$/.exec(rest)
  if (ports)
    return ports[1]!.split(', ').some((place) => {
      const [proto, range] = place.split(' . ')
      const [first = 0, last = first] = range!.split('-').map(Number)
      return proto === protocol && first <= port && port <= last
    })
  const whole = /^meta l4proto \{ (.*) \}$/.exec(rest)
  if (whole) return whole[1]!.split(', ').includes(protocol)
  assert.equal(rest, '', 'a match that the test knows')
  return true
}

const [WEB, CLIENT, OTHER] = [web.address, client.address, other.address]
const all = {}

test('who is not selected is not isolated, and costs nothing', () => {
  const rules = plan(policy({ podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'] }))
  assert.deepEqual([...rules.elements.get('ingress')!.keys()], [WEB])
  assert.equal(rules.elements.get('egress')!.size, 0)
  assert.equal(passes(rules, CLIENT, WEB, 80), false)
  assert.equal(passes(rules, WEB, CLIENT, 80), true)
})

test("peers by labels, in the policy's namespace, in chosen ones, in all", () => {
  const from = (peer: object) =>
    plan(policy({ podSelector: all, policyTypes: ['Ingress'], ingress: [{ from: [peer] }] }))
  const clients = { matchLabels: { app: 'client' } }
  const reach = (rules: Ruleset) => [CLIENT, OTHER].map((address) => passes(rules, address, WEB, 80))
  assert.deepEqual(reach(from({ podSelector: clients })), [true, false])
  assert.deepEqual(reach(from({ namespaceSelector: { matchLabels: { team: 'blue' } } })), [false, true])
  assert.deepEqual(reach(from({ namespaceSelector: {}, podSelector: clients })), [true, true])
  assert.deepEqual(
    reach(from({ namespaceSelector: { matchLabels: { team: 'blue' } }, podSelector: { matchLabels: { app: 'x' } } })),
    [false, false],
  )
})

test('policies add up; an empty rule allows everything; both directions must agree', () => {
  const deny = policy({ podSelector: all, policyTypes: ['Ingress', 'Egress'] }, 'a', 'deny')
  const allow = policy({ podSelector: all, policyTypes: ['Ingress'], ingress: [{}] }, 'a', 'allow')
  assert.equal(passes(plan(deny), CLIENT, WEB, 80), false)
  assert.equal(passes(plan(deny, allow), OTHER, WEB, 80), true)
  assert.equal(passes(plan(deny, allow), CLIENT, WEB, 80), false, 'the client may not send')
})

test('ports by number, range, protocol and name', () => {
  const ports = (list: object[]) =>
    plan(policy({ podSelector: all, policyTypes: ['Ingress'], ingress: [{ ports: list }] }))
  const numbers = ports([
    { protocol: 'TCP', port: 80 },
    { protocol: 'TCP', port: 8000, endPort: 8090 },
    { protocol: 'TCP', port: 8085, endPort: 8095 },
  ])
  assert.deepEqual(
    [80, 81, 8000, 8095, 8096].map((port) => passes(numbers, OTHER, WEB, port)),
    [true, false, true, true, false],
  )
  assert.equal(passes(numbers, OTHER, WEB, 80, 'udp'), false)
  assert.equal(passes(ports([{ protocol: 'UDP' }]), OTHER, WEB, 5, 'udp'), true)
  const named = ports([{ protocol: 'TCP', port: 'http' }])
  assert.equal(passes(named, OTHER, WEB, 8080), true, 'what web calls http')
  assert.equal(passes(named, OTHER, WEB, 80), false)
  assert.equal(passes(named, OTHER, CLIENT, 80), true, 'what client calls http')
  assert.equal(passes(ports([{ protocol: 'TCP', port: 'nobody' }]), OTHER, WEB, 80), false)
})

test('egress by the name that each target has for its port', () => {
  const rules = plan(
    policy(
      { podSelector: all, policyTypes: ['Egress'], egress: [{ ports: [{ protocol: 'TCP', port: 'http' }] }] },
      'b',
    ),
  )
  assert.equal(passes(rules, OTHER, WEB, 8080), true)
  assert.equal(passes(rules, OTHER, WEB, 80), false)
  assert.equal(passes(rules, OTHER, CLIENT, 80), true)
})

test('blocks of addresses with exceptions', () => {
  const block = { cidr: '10.42.0.0/24', except: ['10.42.0.4/32'] }
  const rules = plan(policy({ podSelector: all, policyTypes: ['Ingress'], ingress: [{ from: [{ ipBlock: block }] }] }))
  assert.deepEqual(
    [CLIENT, OTHER, '10.42.1.1'].map((address) => passes(rules, address, WEB, 80)),
    [true, false, false],
  )
  const shown = merged([...subtract('10.0.0.0/30', ['10.0.0.1/32']), ...subtract('10.0.0.1/32', [])]).map(
    formatInterval,
  )
  assert.deepEqual(shown, ['10.0.0.0-10.0.0.3'])
  assert.deepEqual(subtract('fd00::/8', []), [])
})

test('workloads with the same rules share a chain, equal peers a set', () => {
  const workloads = Array.from({ length: 200 }, (_, index) => workload('a', 'web', `10.42.1.${index}`))
  const policies = Array.from({ length: 50 }, (_, index) =>
    policy(
      {
        podSelector: all,
        policyTypes: ['Ingress'],
        ingress: [{ from: [{ podSelector: all }], ports: [{ port: 1000 + index }] }],
      },
      'a',
      `p${index}`,
    ),
  )
  const rules = planPolicies({ policies, workloads, namespaces })
  assert.equal(rules.chains.size, 1)
  assert.equal(rules.sets.size, 1)
  assert.equal(rules.elements.get('ingress')!.size, 200)
})
