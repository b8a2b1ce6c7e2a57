// Chance that can be repeated: every choice of a run follows from its seed (mulberry32).

export interface Random {
  /** 0 ≤ x < 1 */
  unit(): number
  below(n: number): number
  chance(probability: number): boolean
  pick<T>(from: readonly T[]): T
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const unit = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (n: number) => Math.floor(unit() * n)
  return { unit, below, chance: (probability) => unit() < probability, pick: (from) => from[below(from.length)]! }
}
