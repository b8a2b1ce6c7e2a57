// Semantic versions in CEL (Kubernetes' semver library, version 1 with normalization).

import { declare, type Library, nameType } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { structType } from '../types.ts'
import { CelObject } from '../values.ts'

const semverType = nameType('semver', structType('kubernetes.Semver'))
const pattern =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*))*))?(?:\+[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*)?$/

class Semver extends CelObject {
  readonly type = semverType
  readonly numbers: bigint[]
  readonly pre: string[]
  constructor(numbers: bigint[], pre: string[]) {
    super()
    this.numbers = numbers
    this.pre = pre
  }
  override equals(other: CelObject): boolean {
    return other instanceof Semver && compare(this, other) === 0
  }
}

function compare(a: Semver, b: Semver): number {
  for (let i = 0; i < 3; i++) if (a.numbers[i] !== b.numbers[i]) return a.numbers[i]! < b.numbers[i]! ? -1 : 1
  if (a.pre.length === 0 || b.pre.length === 0) return Math.sign(b.pre.length - a.pre.length)
  for (let i = 0; i < Math.max(a.pre.length, b.pre.length); i++) {
    const order = comparePart(a.pre[i], b.pre[i])
    if (order !== 0) return order
  }
  return 0
}

function comparePart(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1
  const [x, y] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (x && y) return BigInt(a) < BigInt(b) ? -1 : 1
  if (x !== y) return x ? -1 : 1
  return a < b ? -1 : 1
}

/** "v1.02" → "1.2.0": a leading v goes, missing parts are 0, leading zeros go. */
function normalize(text: string): string {
  const [core = '', ...rest] = text.replace(/^v/, '').split(/(?=[-+])/)
  const parts = core.split('.').map((part) => part.replace(/^0+(?=\d)/, ''))
  while (parts.length < 3 && rest.length === 0) parts.push('0')
  return parts.join('.') + rest.join('')
}

function tryParse(text: string, normalized: boolean): Semver | undefined {
  const match = pattern.exec(normalized ? normalize(text) : text)
  return match ? new Semver(match.slice(1, 4).map(BigInt), match[4]?.split('.') ?? []) : undefined
}

function parse(text: string, normalized = false): Semver {
  const found = tryParse(text, normalized)
  if (!found) throw new CelError(`${JSON.stringify(text)} is not a semantic version`)
  return found
}

const isSemver = (text: string, normalized = false): boolean => tryParse(text, normalized) !== undefined

export const semver: Library = [
  declare('semver', 'string_to_semver', '(string) semver', parse),
  declare('semver', 'string_bool_to_semver', '(string, bool) semver', parse),
  declare('isSemver', 'is_semver_string', '(string) bool', isSemver),
  declare('isSemver', 'is_semver_string_bool', '(string, bool) bool', isSemver),
  declare('isGreaterThan', 'semver_is_greater_than', 'semver.(semver) bool', (a, b) => compare(a, b) > 0),
  declare('isLessThan', 'semver_is_less_than', 'semver.(semver) bool', (a, b) => compare(a, b) < 0),
  declare('compareTo', 'semver_compare_to', 'semver.(semver) int', (a, b) => BigInt(compare(a, b))),
  declare('major', 'semver_major', 'semver.() int', (value: Semver) => value.numbers[0]),
  declare('minor', 'semver_minor', 'semver.() int', (value: Semver) => value.numbers[1]),
  declare('patch', 'semver_patch', 'semver.() int', (value: Semver) => value.numbers[2]),
]
