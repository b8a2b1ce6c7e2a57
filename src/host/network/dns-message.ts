// DNS messages: from the bytes of a question to what was asked, and from an answer to bytes that fit the way back (pure).

import {
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
  type Answer as WireRecord,
} from 'dns-packet'
import type { Answer, DnsRecord, Question } from './answer.ts'

export type Transport = 'udp' | 'tcp'

const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 }
export type Rcode = keyof typeof rcodes

export interface Query {
  raw: Buffer
  packet: DecodedPacket
  question: Question & { class: string }
}

/** Most bytes of an answer by UDP (DNS flag day 2020); a client without EDNS takes 512. */
const largestUdp = 1232
const plainUdp = 512
const largestTcp = 65535

/** The question; a reply at once for what cannot be understood; undefined for what deserves no reply. */
export function parseQuery(raw: Buffer): Query | { reply: Buffer } | undefined {
  // Never answer an answer: two servers would talk to each other for ever.
  if (raw.length < 12 || (raw[2]! & 0x80) !== 0) return undefined
  if (((raw[2]! >> 3) & 0x0f) !== 0) return { reply: headerReply(raw, 'NOTIMP') }
  try {
    const packet = decode(raw)
    const [question, ...others] = packet.questions ?? []
    if (!question || others.length > 0) return { reply: headerReply(raw, 'FORMERR') }
    return { raw, packet, question: { name: question.name, type: question.type, class: question.class ?? 'IN' } }
  } catch {
    return { reply: headerReply(raw, 'FORMERR') }
  }
}

/** A reply that is nothing but a header: for messages that could not be read. */
function headerReply(raw: Buffer, rcode: Rcode): Buffer {
  const reply = Buffer.alloc(12)
  raw.copy(reply, 0, 0, 2)
  reply[2] = 0x80 | (raw[2]! & 0x79)
  reply[3] = rcodes[rcode]
  return reply
}

const extension = (query: Query) =>
  (query.packet.additionals ?? []).find((record) => record.type === 'OPT') as { udpPayloadSize?: number } | undefined

function encodeReply(query: Query, flags: number, content: Partial<Answer>): Buffer {
  const opt = extension(query)
  const additionals = [
    ...((content.additionals ?? []) as unknown as WireRecord[]),
    ...(opt
      ? [{ type: 'OPT', name: '.', udpPayloadSize: largestUdp, flags: 0, options: [] } as unknown as WireRecord]
      : []),
  ]
  return encode({
    type: 'response',
    id: query.packet.id,
    flags: flags | RECURSION_AVAILABLE | (query.packet.flag_rd ? RECURSION_DESIRED : 0),
    questions: query.packet.questions,
    answers: (content.answers ?? []) as unknown as WireRecord[],
    authorities: (content.authorities ?? []) as unknown as WireRecord[],
    additionals,
  })
}

/** What does not fit is left out and the client told to ask again by TCP. */
export function replyTo(query: Query, answer: Answer, transport: Transport): Buffer {
  const flags = AUTHORITATIVE_ANSWER | rcodes[answer.rcode]
  const limit =
    transport === 'tcp' ? largestTcp : Math.min(largestUdp, Math.max(plainUdp, extension(query)?.udpPayloadSize ?? 0))
  const whole = encodeReply(query, flags, answer)
  if (whole.length <= limit) return whole
  const short = encodeReply(query, flags, { ...answer, additionals: [] })
  if (short.length <= limit) return short
  return encodeReply(query, flags | TRUNCATED_RESPONSE, {})
}

export const failure = (query: Query, rcode: Rcode): Buffer => encodeReply(query, rcodes[rcode], {})

/** A question of our own, to find where an ExternalName leads. */
export const askFor = (name: string, type: string): Buffer =>
  encode({ type: 'query', id: 0, flags: RECURSION_DESIRED, questions: [{ name, type: type as 'A', class: 'IN' }] })

/** The records of a reply that came from elsewhere, with names and addresses only. */
export function recordsOf(reply: Buffer): DnsRecord[] {
  const { answers = [] } = decode(reply)
  return answers.filter(({ type }) => type === 'A' || type === 'AAAA' || type === 'CNAME') as unknown as DnsRecord[]
}
