import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, encode } from 'dns-packet'
import { silentLogger } from '../../base/log.ts'
import type { InformerFactory } from '../../client/informer.ts'
import type { Answer, DnsRecord } from './answer.ts'
import { createDns } from './dns.ts'
import { failure, parseQuery, type Query, replyTo } from './dns-message.ts'
import { answersTo, createUpstream, nameserversOf } from './upstream.ts'

const question = (name: string, type = 'A', more = {}) =>
  encode({ type: 'query', id: 7, flags: 0x100, questions: [{ name, type: type as 'A' }], ...more })
const query = (name: string, type = 'A', more = {}) => parseQuery(question(name, type, more)) as Query
const records = (count: number): DnsRecord[] =>
  Array.from({ length: count }, (_, index) => ({ name: 'a.b', type: 'A', ttl: 5, data: `10.0.0.${index}` }))
const found = (answers: DnsRecord[]): Answer => ({ rcode: 'NOERROR', answers, authorities: [], additionals: [] })
const flags = (reply: Buffer) => {
  const { flag_qr, flag_aa, flag_tc, flag_rd, flag_ra, id } = decode(reply)
  return { qr: flag_qr, aa: flag_aa, tc: flag_tc, rd: flag_rd, ra: flag_ra, id, rcode: reply[3]! & 15 }
}

test('an answer repeats id and question', () => {
  const reply = replyTo(query('A.b'), found(records(1)), 'udp')
  assert.deepEqual(flags(reply), { qr: true, aa: true, tc: false, rd: true, ra: true, id: 7, rcode: 0 })
  assert.equal(decode(reply).questions![0]!.name, 'A.b')
})

test('an answer too large for UDP is cut; more fits with EDNS, and all by TCP', () => {
  const many = found(records(60))
  const plain = replyTo(query('a.b'), many, 'udp')
  assert.ok(flags(plain).tc && plain.length <= 512)
  const extended = query('a.b', 'A', {
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] }],
  })
  const larger = replyTo(extended, found(records(35)), 'udp')
  assert.ok(!flags(larger).tc && larger.length > 512 && larger.length <= 1232)
  assert.equal(decode(larger).additionals![0]!.type, 'OPT')
  assert.ok(flags(replyTo(extended, found(records(250)), 'udp')).tc)
  assert.equal(decode(replyTo(query('a.b'), found(records(250)), 'tcp')).answers!.length, 250)
})

test('unknown types survive the way back', () => {
  const https = query('a.b', 'UNKNOWN_65')
  assert.equal(decode(replyTo(https, found([]), 'udp')).questions![0]!.type, 'UNKNOWN_65')
})

test('what cannot be read: no answer to answers, FORMERR, NOTIMP', () => {
  const reply = (raw: Buffer) => {
    const parsed = parseQuery(raw)
    return parsed && 'reply' in parsed ? parsed.reply[3]! & 15 : parsed
  }
  assert.equal(reply(Buffer.alloc(5)), undefined)
  const response = question('a.b')
  response[2]! |= 0x80
  assert.equal(reply(response), undefined)
  const garbage = Buffer.concat([Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), Buffer.from([0xc0, 0x0c, 0, 1])])
  assert.equal(reply(garbage), 1)
  assert.equal(reply(question('a.b', 'A', { questions: [] })), 1)
  const notify = question('a.b')
  notify[2]! = 0x20
  assert.equal(reply(notify), 4)
  assert.equal(flags(failure(query('a.b'), 'SERVFAIL')).rcode, 2)
})

test('name servers of resolv.conf, without ourselves', () => {
  const text =
    '# x\nsearch a b\nnameserver 192.0.2.1\nnameserver  10.43.0.10\nnameserver fe80::1%eth0\nnameserver junk\nnameserver 192.0.2.1\n'
  assert.deepEqual(nameserversOf(text, ['10.43.0.10']), ['192.0.2.1', 'fe80::1%eth0'])
})

test('only the answer to this very question is taken', () => {
  const asked = question('a.b')
  const reply = replyTo(query('A.b'), found(records(1)), 'udp')
  assert.ok(answersTo(asked, reply))
  assert.ok(!answersTo(asked, replyTo(query('a.c'), found([]), 'udp')))
  assert.ok(!answersTo(asked, replyTo(query('a.b', 'AAAA'), found([]), 'udp')))
  assert.ok(!answersTo(asked, asked))
  const other = Buffer.from(reply)
  other.writeUInt16BE(8, 0)
  assert.ok(!answersTo(asked, other))
})

test('without name servers nothing is asked', async () => {
  const upstream = createUpstream({ resolvConf: '/dev/null', exclude: [] })
  await assert.rejects(upstream.ask(question('a.b'), 'udp'), /no name server/)
})

const silent: InformerFactory = { informer: () => assert.fail('not started'), forget: () => {}, stop: () => {} }
const options = {
  podCidr: '10.42.0.0/16',
  serviceCidr: '10.43.0.0/16',
  clusterDomain: 'cluster.local',
  log: silentLogger,
}

test('before the first list has come, cluster names are SERVFAIL, never NXDOMAIN; others go up', async () => {
  const passed: Buffer[] = []
  const upstream = {
    async ask(raw: Buffer) {
      passed.push(raw)
      if (passed.length > 1) throw new Error('down')
      return replyTo(query('example.com'), found(records(2)), 'udp')
    },
  }
  const dns = createDns({ ...options, address: '127.0.0.1', informers: silent, upstream })
  const rcode = async (name: string) => flags((await dns.handle(question(name), 'udp'))!).rcode
  assert.equal(await rcode('web.default.svc.cluster.local'), 2)
  assert.equal(passed.length, 0)
  assert.equal(await rcode('example.com'), 0)
  assert.equal(await rcode('example.com'), 2, 'nobody answered')
})
