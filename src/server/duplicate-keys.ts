// Finds keys that stand twice in one JSON object: JSON.parse silently takes the last, Kubernetes' strict reading complains.

import { endOfString } from './depth.ts'

interface Level {
  /** Undefined in an array. */
  keys: Set<string> | undefined
  index: number
  key: string
}

/** Paths like spec.containers[0].name, each once, of valid JSON text. */
export function duplicateKeys(text: string): string[] {
  const found = new Set<string>()
  const levels: Level[] = []
  let expectKey = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 34) {
      const end = endOfString(text, at)
      const level = levels[levels.length - 1]
      if (expectKey && level?.keys) {
        const raw = text.slice(at + 1, end)
        const key = raw.includes('\\') ? JSON.parse(`"${raw}"`) : raw
        level.key = key
        if (level.keys.has(key)) found.add(pathOf(levels))
        else level.keys.add(key)
        expectKey = false
      }
      at = end
    } else if (code === 123) {
      levels.push({ keys: new Set(), index: 0, key: '' })
      expectKey = true
    } else if (code === 91) levels.push({ keys: undefined, index: 0, key: '' })
    else if (code === 125 || code === 93) {
      levels.pop()
      expectKey = false
    } else if (code === 44) {
      const level = levels[levels.length - 1]
      if (level?.keys) expectKey = true
      else if (level) level.index++
    }
  }
  return [...found]
}

const pathOf = (levels: Level[]): string =>
  levels.map((level, index) => (level.keys ? (index === 0 ? level.key : `.${level.key}`) : `[${level.index}]`)).join('')
