// Numbers of a range and who holds them: addresses and ports.

export interface NumberRange {
  first: number
  last: number
  /** Below it only what is asked for by number: keeps the low ones free for people who choose (ServiceIPStaticSubrange). */
  dynamicFrom: number
}

export interface NumberPool {
  take(number: number, owner: string): 'ok' | 'taken' | 'outside'
  /** Any free number, or undefined when all are held. */
  next(owner: string): number | undefined
  release(number: number, owner: string): void
}

export function createNumberPool(range: NumberRange): NumberPool {
  const owners = new Map<number, string>()
  const free = (from: number, to: number): number | undefined => {
    const size = to - from + 1
    if (size <= 0) return undefined
    // From a random place on: a number that was just given back is not given out again at once.
    const start = Math.floor(Math.random() * size)
    for (let step = 0; step < size; step++) {
      const number = from + ((start + step) % size)
      if (!owners.has(number)) return number
    }
    return undefined
  }
  return {
    take(number, owner) {
      if (number < range.first || number > range.last) return 'outside'
      const holder = owners.get(number)
      if (holder !== undefined && holder !== owner) return 'taken'
      owners.set(number, owner)
      return 'ok'
    },
    next(owner) {
      const number = free(range.dynamicFrom, range.last) ?? free(range.first, range.dynamicFrom - 1)
      if (number !== undefined) owners.set(number, owner)
      return number
    },
    release(number, owner) {
      if (owners.get(number) === owner) owners.delete(number)
    },
  }
}
