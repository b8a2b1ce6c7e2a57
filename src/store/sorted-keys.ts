// Keys in order, in chunks, so that an insert among many keys moves few.

const chunkLimit = 512

export interface SortedKeys {
  add(key: string): void
  remove(key: string): void
  /** Keys under `prefix`, after `after`, at most `limit`. */
  range(prefix: string, after: string | undefined, limit: number): string[]
  count(prefix: string): number
}

export function createSortedKeys(): SortedKeys {
  const chunks: string[][] = [[]]

  /** Index of the chunk where `key` is or belongs. */
  function chunkOf(key: string): number {
    let low = 0
    let high = chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (chunks[middle]![0]! <= key) low = middle
      else high = middle - 1
    }
    return low
  }

  return {
    add(key) {
      const index = chunkOf(key)
      const chunk = chunks[index]!
      const at = lowerBound(chunk, key)
      if (chunk[at] === key) return
      chunk.splice(at, 0, key)
      if (chunk.length > chunkLimit) chunks.splice(index + 1, 0, chunk.splice(chunkLimit / 2))
    },
    remove(key) {
      const index = chunkOf(key)
      const chunk = chunks[index]!
      const at = lowerBound(chunk, key)
      if (chunk[at] !== key) return
      chunk.splice(at, 1)
      if (chunk.length === 0 && chunks.length > 1) chunks.splice(index, 1)
    },
    range(prefix, after, limit) {
      const start = after !== undefined && after >= prefix ? after : prefix
      const found: string[] = []
      for (let index = chunkOf(start); index < chunks.length; index++) {
        const chunk = chunks[index]!
        for (let at = lowerBound(chunk, start); at < chunk.length; at++) {
          const key = chunk[at]!
          if (key === after) continue
          if (!key.startsWith(prefix)) return found
          found.push(key)
          if (found.length >= limit) return found
        }
      }
      return found
    },
    count(prefix) {
      let count = 0
      for (let index = chunkOf(prefix); index < chunks.length; index++) {
        const chunk = chunks[index]!
        const first = lowerBound(chunk, prefix)
        if (first === 0 && chunk.length > 0 && chunk.at(-1)!.startsWith(prefix)) {
          count += chunk.length
          continue
        }
        for (let at = first; at < chunk.length; at++) {
          if (!chunk[at]!.startsWith(prefix)) return count
          count++
        }
      }
      return count
    },
  }
}

function lowerBound(keys: string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (keys[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}
