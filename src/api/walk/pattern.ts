// `pattern` of a schema: Go's regular expressions, in time that grows with the text and no faster, since anybody's
// CustomResourceDefinition may bring one. The library is loaded with the first pattern.

interface Pattern {
  test(text: string): boolean
}
type Library = { RE2JS: { compile(source: string): Pattern } }

const compiled = new Map<string, Pattern>()
const kept = 5000

/** Undefined where no Node is around: there, nobody judges what others bring. */
function loadLibrary(): Library | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): any } }
  const load = process?.getBuiltinModule?.('node:module')?.createRequire(import.meta.url)
  return load?.('@bufbuild/re2')
}
let library: Library | undefined

/** @throws Error in the words of Go's compiler */
function compile(source: string): Pattern {
  const known = compiled.get(source)
  if (known) return known
  library ??= loadLibrary()
  const pattern = library ? library.RE2JS.compile(source) : new RegExp(source)
  if (compiled.size >= kept) compiled.clear()
  compiled.set(source, pattern)
  return pattern
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
export const matchesPattern = (source: string, text: string): boolean =>
  compiled.has(source) || patternProblem(source) === undefined ? compile(source).test(text) : false
