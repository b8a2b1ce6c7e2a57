// `pattern` of a schema: Go's regular expressions, in time that grows with the text and no faster, since anybody's
// CustomResourceDefinition may bring one. The library is loaded with the first pattern.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

interface Pattern {
  test(text: string): boolean
}

const compiled = new Map<string, Pattern>()
const kept = 5000

/** @throws Error in the words of Go's compiler */
function compile(source: string): Pattern {
  const { RE2JS } = require('@bufbuild/re2') as typeof import('@bufbuild/re2')
  return RE2JS.compile(source)
}

/** What is wrong with a pattern; undefined when it can be used. */
export function patternProblem(source: string): string | undefined {
  try {
    compile(source)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** A match anywhere in the text counts. A pattern that is none, which today's rules would not let in, matches nothing. */
export function matchesPattern(source: string, text: string): boolean {
  let pattern = compiled.get(source)
  if (!pattern) {
    pattern = patternProblem(source) === undefined ? compile(source) : { test: () => false }
    if (compiled.size >= kept) compiled.clear()
    compiled.set(source, pattern)
  }
  return pattern.test(text)
}
