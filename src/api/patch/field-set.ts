// Sets of field paths, as field ownership speaks of them: a tree whose steps are written the way FieldsV1 writes them
// (f:name, k:{"key":"value"}, v:value, i:index). Rules of structured-merge-diff v4 fieldpath.

import { isPlainObject, maxDepth } from '../walk/plain.ts'

/** One step of a path in FieldsV1 spelling. */
export type Step = string

export interface FieldNode {
  /** The path that ends here is in the set. */
  readonly member: boolean
  readonly below: FieldSet | undefined
}

/** A path that ends here, with nothing below it. */
export const leafNode: FieldNode = { member: true, below: undefined }

export const fieldStep = (name: string): Step => `f:${name}`
export const valueStep = (value: unknown): Step => `v:${JSON.stringify(value)}`

/** Names sorted, so that equal keys are written alike. */
export function keyStep(fields: Record<string, unknown>): Step {
  let text = ''
  for (const name of Object.keys(fields).sort())
    text += `${text && ','}${JSON.stringify(name)}:${JSON.stringify(fields[name])}`
  return `k:{${text}}`
}

export class FieldSet {
  readonly nodes = new Map<Step, FieldNode>()
  /** Its FieldsV1 once made, and the shape under which it is known to be settled: kept here, a WeakMap costs more. */
  written: Record<string, unknown> | undefined
  settledFor: unknown

  static of(...paths: Step[][]): FieldSet {
    const set = new FieldSet()
    for (const path of paths) set.insert(path)
    return set
  }

  get empty(): boolean {
    return this.nodes.size === 0
  }

  /** Adds a path; the whole object (no step) cannot be owned. Only for a set that nobody shares yet. */
  insert(path: readonly Step[]): void {
    this.graft(path, leafNode)
  }

  /** Adds a whole tree at a path. Only for a set that nobody shares yet. */
  graft(path: readonly Step[], tree: FieldNode): void {
    if (!path.length) {
      for (const [step, node] of tree.below?.nodes ?? []) this.graft([step], node)
      return
    }
    let set: FieldSet = this
    const last = path.length - 1
    for (let index = 0; index < last; index++) set = set.#descend(path[index]!)
    const step = path[last]!
    const node = set.nodes.get(step)
    if (!node) set.nodes.set(step, tree)
    else {
      const below = node.below && tree.below ? node.below.union(tree.below) : (node.below ?? tree.below)
      set.nodes.set(step, { member: node.member || tree.member, below })
    }
  }

  #descend(step: Step): FieldSet {
    const node = this.nodes.get(step)
    if (node?.below) return node.below
    const below = new FieldSet()
    this.nodes.set(step, { member: node?.member ?? false, below })
    return below
  }

  has(step: Step): boolean {
    return this.nodes.get(step)?.member === true
  }

  hasPath(path: readonly Step[]): boolean {
    let set: FieldSet | undefined = this
    for (const step of path.slice(0, -1)) set = set?.below(step)
    return path.length > 0 && set?.has(path.at(-1)!) === true
  }

  /** What the set has under a step. */
  below(step: Step): FieldSet | undefined {
    return this.nodes.get(step)?.below
  }

  union(other: FieldSet): FieldSet {
    if (other.empty) return this
    if (this.empty) return other
    const result = new FieldSet()
    for (const [step, node] of this.nodes) result.nodes.set(step, node)
    for (const [step, theirs] of other.nodes) {
      const ours = this.nodes.get(step)
      if (!ours) result.nodes.set(step, theirs)
      else
        result.nodes.set(step, {
          member: ours.member || theirs.member,
          below: ours.below && theirs.below ? ours.below.union(theirs.below) : (ours.below ?? theirs.below),
        })
    }
    return result
  }

  intersection(other: FieldSet): FieldSet {
    const result = new FieldSet()
    for (const [step, ours] of this.nodes) {
      const theirs = other.nodes.get(step)
      if (!theirs) continue
      const below = ours.below && theirs.below ? ours.below.intersection(theirs.below) : undefined
      result.#put(step, ours.member && theirs.member, below)
    }
    return result
  }

  /** Paths of this set that are not in the other; a parent in the other does not take its children away. */
  difference(other: FieldSet): FieldSet {
    if (other.empty || this.empty) return this
    const result = new FieldSet()
    for (const [step, ours] of this.nodes) {
      const theirs = other.nodes.get(step)
      if (!theirs) result.nodes.set(step, ours)
      else
        result.#put(
          step,
          ours.member && !theirs.member,
          ours.below && theirs.below ? ours.below.difference(theirs.below) : ours.below,
        )
    }
    return result
  }

  /** The same, but a parent in the other takes everything below it away. */
  recursiveDifference(other: FieldSet): FieldSet {
    if (other.empty || this.empty) return this
    const result = new FieldSet()
    for (const [step, ours] of this.nodes) {
      const theirs = other.nodes.get(step)
      if (!theirs) result.nodes.set(step, ours)
      else if (!theirs.member)
        result.#put(
          step,
          ours.member,
          ours.below && theirs.below ? ours.below.recursiveDifference(theirs.below) : ours.below,
        )
    }
    return result
  }

  #put(step: Step, member: boolean, below: FieldSet | undefined): void {
    const kept = below && !below.empty ? below : undefined
    if (member || kept) this.nodes.set(step, { member, below: kept })
  }

  /** A copy in which `extra` decides which inner steps become members too. */
  withMembers(extra: (step: Step) => boolean, deeper: (step: Step, set: FieldSet) => FieldSet): FieldSet {
    const result = new FieldSet()
    for (const [step, node] of this.nodes)
      result.nodes.set(step, {
        member: node.member || (node.below !== undefined && extra(step)),
        below: node.below && deeper(step, node.below),
      })
    return result
  }

  equals(other: FieldSet): boolean {
    if (this === other) return true
    if (this.nodes.size !== other.nodes.size) return false
    for (const [step, ours] of this.nodes) {
      const theirs = other.nodes.get(step)
      if (!theirs || ours.member !== theirs.member || !ours.below !== !theirs.below) return false
      if (ours.below && !ours.below.equals(theirs.below!)) return false
    }
    return true
  }

  /** Every path, parents before children, in the order of FieldsV1. */
  *paths(prefix: Step[] = []): Generator<Step[]> {
    const steps = this.#sorted()
    for (const [step, node] of steps) if (node.member) yield [...prefix, step]
    for (const [step, node] of steps) if (node.below) yield* node.below.paths([...prefix, step])
  }

  #sorted(): [Step, FieldNode][] {
    const steps = [...this.nodes]
    return steps.length > 1 ? steps.sort((a, b) => compareSteps(a[0], b[0])) : steps
  }

  toFieldsV1(): Record<string, unknown> {
    const out: Record<string, unknown> = {}
    for (const [step, node] of this.#sorted()) {
      if (!node.below) out[step] = {}
      else out[step] = node.member ? { '.': {}, ...node.below.toFieldsV1() } : node.below.toFieldsV1()
    }
    return out
  }

  /** @throws Error when it is no FieldsV1 */
  static fromFieldsV1(fields: unknown, depth = 0): FieldSet {
    if (!isPlainObject(fields) || depth > maxDepth) throw new Error('managed fields are not FieldsV1')
    const set = new FieldSet()
    for (const key of Object.keys(fields)) {
      const step = key === '.' ? undefined : readStep(key)
      const below = fields[key]
      if (!step || !isPlainObject(below)) continue
      const inner = FieldSet.fromFieldsV1(below, depth + 1)
      // A step with nothing below it is a member; so is one with a dot.
      set.#put(step, inner.empty || Object.hasOwn(below, '.'), inner)
    }
    return set
  }
}

const order = { f: 0, k: 1, v: 2, i: 3 } as Record<string, number>

/** Fields, keys, values, indices; then by content. */
export function compareSteps(a: Step, b: Step): number {
  if (a[0] === 'f' && b[0] === 'f') return a < b ? -1 : a > b ? 1 : 0
  if (a[0] !== b[0]) return order[a[0]!]! - order[b[0]!]!
  const [left, right] = [JSON.parse(a.slice(2)), JSON.parse(b.slice(2))]
  if (a[0] !== 'k') return compareScalars(left, right)
  const [ours, theirs] = [Object.entries(left), Object.entries(right)]
  for (let index = 0; index < Math.min(ours.length, theirs.length); index++) {
    const [name, value] = ours[index]!
    const [otherName, otherValue] = theirs[index]!
    const found = name < otherName ? -1 : name > otherName ? 1 : compareScalars(value, otherValue)
    if (found) return found
  }
  return ours.length - theirs.length
}

/** Numbers before texts before booleans. */
function compareScalars(a: unknown, b: unknown): number {
  const rank = (value: unknown) => ['number', 'string', 'boolean'].indexOf(typeof value)
  if (typeof a !== typeof b) return rank(a) - rank(b)
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0
}

/** Checked and written our way; undefined for a kind of step that a later version may know. @throws Error */
function readStep(key: string): Step | undefined {
  if (key.length < 2 || key[1] !== ':') throw new Error(`missing colon: ${key}`)
  const content = key.slice(2)
  switch (key[0]) {
    case 'f':
      return key
    case 'v':
      return valueStep(JSON.parse(content))
    case 'k': {
      const fields: unknown = JSON.parse(content)
      if (!isPlainObject(fields)) throw new Error(`no key: ${key}`)
      return keyStep(fields)
    }
    case 'i':
      if (!/^-?\d+$/.test(content)) throw new Error(`no index: ${key}`)
      return key
    default:
      return undefined
  }
}

/** '.spec.containers[name="nginx"].image', as conflicts name it. */
export const stepsText = (path: readonly Step[]): string => path.map(stepText).join('')

function stepText(step: Step): string {
  const content = step.slice(2)
  switch (step[0]) {
    case 'f':
      return `.${content}`
    case 'k': {
      const fields = Object.entries(JSON.parse(content) as Record<string, unknown>)
      return `[${fields.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`
    }
    case 'v':
      return `[=${content}]`
    default:
      return `[${content}]`
  }
}
