// Values that nobody sensible sends, and objects with one of them somewhere inside.

import type { Random } from './random.ts'

/** JSON text that is to stand where a value is expected: some of it no value at all. */
const hostileTexts = [
  'null',
  'true',
  '-1',
  '0.5',
  '1e400',
  '-0',
  '9223372036854775808',
  '123456789012345678901234567890',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"../../../etc/passwd"',
  '"1Ki1"',
  '"9e99999"',
  '"2026-13-45T99:99:99Z"',
  '[]',
  '[[]]',
  '[null]',
  '[1,"a",{}]',
  '{}',
  '{"":""}',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"a":1,"a":2}',
  '{"toString":null,"hasOwnProperty":1,"valueOf":[]}',
  '{"matchLabels":{"a":null}}',
  '{"$patch":"delete"}',
  'NaN',
  'undefined',
  "'single'",
  '',
]

export function hostileText(random: Random): string {
  switch (random.below(12)) {
    case 0:
      return '['.repeat(20_000)
    case 1:
      return `${'['.repeat(5_000)}${']'.repeat(5_000)}`
    case 2:
      return `${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}`
    case 3:
      return JSON.stringify('x'.repeat(random.pick([300, 70_000, 400_000])))
    case 4:
      return JSON.stringify(Array.from({ length: random.pick([100, 5_000]) }, (_, index) => ({ name: `n${index}` })))
    case 5:
      return JSON.stringify(Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, 'v'])))
    default:
      return random.pick(hostileTexts)
  }
}

const mark = '"\u0001here\u0001"'

/** The object as JSON text with `changes` of its values, names or structures replaced. */
export function spoiled(object: unknown, random: Random, changes = 1 + random.below(3)): string {
  let text = JSON.stringify(object)
  // What is too deep to be taken apart again is hostile enough.
  for (let change = 0; change < changes && text.length < 9_000; change++) text = spoilOnce(text, random)
  return text
}

function spoilOnce(text: string, random: Random): string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return text
  }
  const places = placesIn(parsed)
  if (places.length === 0) return hostileText(random)
  const [parent, key] = random.pick(places)
  if (random.chance(0.1)) delete parent[key]
  else if (random.chance(0.15)) parent[random.pick(['__proto__x', 'unknownField', 'Name', ''])] = parent[key]
  else parent[key] = '\u0001here\u0001'
  return JSON.stringify(parsed)
    .replace(JSON.stringify('\u0001here\u0001'), () => hostileText(random))
    .replace(mark, '1')
}

function placesIn(value: any, found: [any, string | number][] = []): [any, string | number][] {
  if (typeof value !== 'object' || value === null) return found
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    found.push([value, key])
    placesIn(value[key], found)
  }
  return found
}
