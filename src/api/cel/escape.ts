// Names of properties as CEL identifiers (Kubernetes' escaping: `foo-bar` is `foo__dash__bar`, `namespace` is
// `__namespace__`).

const reserved = new Set(
  (
    'true false null in as break const continue else for function if import let loop package namespace return var ' +
    'void while'
  ).split(' '),
)
const words: Record<string, string> = { __: '__underscores__', '.': '__dot__', '-': '__dash__', '/': '__slash__' }
const letters: Record<string, string> = { underscores: '__', dot: '.', dash: '-', slash: '/' }

/** undefined when an expression has no way to name it. */
export function escapeName(name: string): string | undefined {
  if (name === '' || /^\d/.test(name)) return undefined
  if (reserved.has(name)) return `__${name}__`
  if (/[^a-zA-Z0-9\-./_]/.test(name)) return undefined
  return /__|[-./]/.test(name) ? name.replace(/__|[-./]/g, (part) => words[part]!) : name
}

/** The property of an identifier, undefined when it escapes nothing. */
export function unescapeName(name: string): string | undefined {
  if (!name.includes('__')) return name
  const whole = /^__([a-z]+)__$/.exec(name)
  if (whole && reserved.has(whole[1]!)) return whole[1]
  let wrong = false
  const result = name.replace(/__([a-z]*)__/g, (_part, word: string) => {
    if (!Object.hasOwn(letters, word)) wrong = true
    return letters[word] ?? ''
  })
  return wrong ? undefined : result
}
