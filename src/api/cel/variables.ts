// `variables.x` of admission policies: each is evaluated when it is named, and only once.

import { CelMap } from './values.ts'

class Variables extends CelMap {
  private readonly names: readonly string[]
  private readonly evaluate: (name: string) => unknown
  private readonly known = new Map<unknown, { value?: unknown; error?: unknown }>()

  constructor(names: readonly string[], evaluate: (name: string) => unknown) {
    super()
    this.names = names
    this.evaluate = evaluate
  }
  get(key: unknown): unknown {
    if (!this.has(key)) return undefined
    let known = this.known.get(key)
    if (!known) {
      known = this.compute(key as string)
      this.known.set(key, known)
    }
    if (known.error) throw known.error
    return known.value
  }
  private compute(name: string): { value?: unknown; error?: unknown } {
    try {
      return { value: this.evaluate(name) }
    } catch (error) {
      return { error }
    }
  }
  has(key: unknown): boolean {
    return this.names.includes(key as string)
  }
  keys(): unknown[] {
    return [...this.names]
  }
  get size(): number {
    return this.names.length
  }
}

/** @param evaluate throws what the expression that names the variable fails with */
export const createVariables = (names: readonly string[], evaluate: (name: string) => unknown): CelMap =>
  new Variables(names, evaluate)
