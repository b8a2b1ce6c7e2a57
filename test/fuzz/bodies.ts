// Hostile request bodies by content type: JSON, YAML, protobuf, and each kind of patch.

import { gzipSync } from 'node:zlib'
import { stringify } from 'yaml'
import type { Random } from './random.ts'
import { hostileText, spoiled } from './values.ts'

export interface HostileBody {
  type: string
  bytes: Buffer
  encoding?: string
}

const json = (text: string, type = 'application/json'): HostileBody => ({ type, bytes: Buffer.from(text) })

export function objectBody(example: unknown, random: Random): HostileBody {
  switch (random.below(10)) {
    case 0:
      return yaml(example, random)
    case 1:
      return protobuf(example as any, random)
    case 2:
      return json(hostileText(random))
    case 3:
      return { ...json(spoiled(example, random)), encoding: random.pick(['gzip', 'br', 'identity, gzip']) }
    case 4:
      return {
        type: 'application/json',
        encoding: 'gzip',
        bytes: gzipSync(Buffer.alloc(random.pick([1e5, 3e7]), 0x20)),
      }
    case 5:
      return json(JSON.stringify(example), random.pick(['text/plain', 'application/json; charset=utf-16', 'a/b', '']))
    case 6:
      return { type: 'application/json', bytes: Buffer.alloc(random.pick([0, 1, 3_500_000]), 0x7b) }
    default:
      return json(spoiled(example, random))
  }
}

function yaml(example: unknown, random: Random): HostileBody {
  const laughs = ['a: &a ["x","x","x","x","x","x","x","x","x"]']
  for (let level = 0; level < 9; level++) {
    const [from, to] = [String.fromCharCode(97 + level), String.fromCharCode(98 + level)]
    laughs.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(',')}]`)
  }
  const plain = stringify(example)
  const texts = [
    laughs.join('\n'),
    `a: &a [*a]\n${plain}`,
    `x: !!js/function 'function(){}'\n${plain}`,
    `x: !!binary "////"\n${plain}`,
    `${plain}\n---\n${plain}`,
    `<<: {a: 1}\n${plain}`,
    `${'- '.repeat(2_000)}x`,
    `${'? '.repeat(2_000)}x`,
    `{${'a: {'.repeat(2_000)}`,
    `key: |\n  ${'x'.repeat(100_000)}\n${plain}`,
    plain.replaceAll(': ', ':\t'),
    '%YAML 9.9\n--- !<tag:x> {}',
    plain,
  ]
  return { type: 'application/yaml', bytes: Buffer.from(random.pick(texts)) }
}

/** "k8s\0", an envelope, and bytes that are not what the envelope says. */
function protobuf({ apiVersion = 'v1', kind = 'Pod' }: any, random: Random): HostileBody {
  const field = (number: number, bytes: Buffer) => Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => random.below(256)))
  let raw = noise(random.below(200))
  if (random.chance(0.4)) for (let depth = 0; depth < 300; depth++) raw = field(1 + random.below(3), raw)
  if (random.chance(0.2)) raw = Buffer.concat([Buffer.from([0x0a]), Buffer.alloc(9, 0xff), Buffer.from([1])])
  const type = Buffer.concat([field(1, Buffer.from(apiVersion)), field(2, Buffer.from(kind))])
  const envelope = Buffer.concat([field(1, type), field(2, raw), ...(random.chance(0.1) ? [noise(9)] : [])])
  const whole = Buffer.concat([Buffer.from('k8s\0'), random.chance(0.1) ? noise(300) : envelope])
  return { type: 'application/vnd.kubernetes.protobuf', bytes: whole.subarray(0, whole.length - random.below(4)) }
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 0x80)
  }
}

const pointers = [
  '',
  '/',
  '/-',
  '/metadata',
  '/metadata/name',
  '/metadata/labels/a~1b',
  '/metadata/labels/~2',
  '/metadata/managedFields/0',
  '/__proto__/polluted',
  '/constructor/prototype/polluted',
  '/spec',
  '/spec/containers/0',
  '/spec/containers/-',
  '/spec/containers/99999999',
  '/spec/containers/00',
  '/status/conditions',
  `/${'a/'.repeat(2_000)}`,
]

export function patchBody(example: any, random: Random): HostileBody {
  switch (random.below(5)) {
    case 0:
      return jsonPatch(random)
    case 1:
      return json(spoiled(example, random), 'application/merge-patch+json')
    case 2:
      return json(strategic(example, random), 'application/strategic-merge-patch+json')
    case 3:
      return json(spoiled(example, random), 'application/apply-patch+yaml')
    default:
      return { ...objectBody(example, random), type: random.pick(patchTypes) }
  }
}

const patchTypes = ['json-patch+json', 'merge-patch+json', 'strategic-merge-patch+json', 'apply-patch+yaml'].map(
  (name) => `application/${name}`,
)

function jsonPatch(random: Random): HostileBody {
  if (random.chance(0.15)) {
    // Each copy doubles what is there.
    const doubling = Array.from({ length: 40 }, () => ({
      op: 'copy',
      from: '/metadata',
      path: '/metadata/annotations',
    }))
    return json(JSON.stringify(doubling), patchTypes[0])
  }
  const count = random.pick([1, 1, 2, 5, 20_000])
  const operations = Array.from({ length: count }, () => ({
    op: random.pick(['add', 'remove', 'replace', 'move', 'copy', 'test', 'frobnicate']),
    path: random.pick(pointers),
    from: random.pick(pointers),
    value: random.pick([null, {}, [], 'x', 1]),
  }))
  return json(random.chance(0.3) ? spoiled(operations.slice(0, 5), random) : JSON.stringify(operations), patchTypes[0])
}

const directives = [
  '"$patch":"replace"',
  '"$patch":"delete"',
  '"$patch":"frob"',
  '"$patch":1',
  '"$retainKeys":["a"]',
  '"$retainKeys":"a"',
  '"$retainKeys":[1]',
  '"$setElementOrder/containers":[{"name":"x"}]',
  '"$setElementOrder/containers":{}',
  '"$deleteFromPrimitiveList/finalizers":["x"]',
  '"$deleteFromPrimitiveList/finalizers":{}',
]

function strategic(example: unknown, random: Random): string {
  const text = spoiled(example, random)
  const at = [...text.matchAll(/\{/g)].map((match) => match.index)
  if (at.length === 0) return text
  const place = random.pick(at) + 1
  return `${text.slice(0, place)}${random.pick(directives)}${text[place] === '}' ? '' : ','}${text.slice(place)}`
}
