// Keys that stand twice in one map of a YAML text, told as Go's parser tells them (sigs.k8s.io/yaml UnmarshalStrict).

import type { Document, LineCounter, Pair } from 'yaml'
import { yaml } from './yaml.ts'

/** One problem for all of them, with the lines; none when every key stands once. */
export function repeatedYamlKeys(document: Document, lines: LineCounter): string[] {
  const { isScalar, visit } = yaml()
  const found: string[] = []
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>()
      for (const { key } of map.items as Pair[]) {
        if (!isScalar(key)) continue
        if (seen.has(key.value)) {
          const { line } = lines.linePos(key.range?.[0] ?? 0)
          found.push(`  line ${line}: key ${JSON.stringify(String(key.value))} already set in map`)
        }
        seen.add(key.value)
      }
    },
  })
  return found.length > 0 ? [['error converting YAML to JSON: yaml: unmarshal errors:', ...found].join('\n')] : []
}
