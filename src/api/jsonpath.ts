// The part of JSONPath that columns, scale subresources and `-o jsonpath` need: names, ['quoted names'], [*], indices,
// slices, unions, ..recursive descent and filters [?(@.type=="Ready")], as in client-go util/jsonpath (1.32).

type Step =
  | { kind: 'name'; name: string }
  | { kind: 'all' }
  | { kind: 'deep'; name: string | undefined }
  | { kind: 'slice'; from: number | undefined; to: number | undefined; step: number }
  | { kind: 'union'; picks: (string | number)[] }
  | { kind: 'filter'; test: (item: unknown, root: unknown) => boolean }

export type JsonPath = (root: unknown) => unknown[]

const compiled = new Map<string, JsonPath>()

/** Compiles a path without braces ('.status.phase'); a leading '$' and surrounding braces are accepted. @throws Error */
export function jsonPath(text: string): JsonPath {
  let path = compiled.get(text)
  if (!path) {
    const steps = parse(text)
    path = (root) => follow(steps, [root], root)
    if (compiled.size < 10_000) compiled.set(text, path)
  }
  return path
}

/** The first value, or undefined. */
export const firstAt = (object: unknown, path: string): unknown => jsonPath(path)(object)[0]

/** One value as `-o jsonpath` and table cells show it: objects as JSON, the rest plain. */
export const valueText = (value: unknown): string =>
  typeof value === 'object' ? (value === null ? '<nil>' : JSON.stringify(value)) : String(value)

/** A template: text with {paths} in it, "\n" and "\t" in quotes inside braces (kubectl's -o jsonpath without range). */
export function jsonPathTemplate(template: string): (root: unknown) => string {
  const parts = template.split(/(\{[^{}]*\})/).map((part): ((root: unknown) => string) => {
    if (!part.startsWith('{')) return () => part
    const inner = part.slice(1, -1).trim()
    const quoted = /^(["'])(.*)\1$/.exec(inner)
    if (quoted) return () => unquote(quoted[2]!)
    const path = jsonPath(inner)
    return (root) => path(root).map(valueText).join(' ')
  })
  return (root) => parts.map((part) => part(root)).join('')
}

const unquote = (text: string): string =>
  text.replace(/\\(.)/g, (_, one: string) => ({ n: '\n', t: '\t', r: '\r' })[one] ?? one)

function follow(steps: Step[], start: unknown[], root: unknown): unknown[] {
  let found = start
  for (const step of steps) {
    const next: unknown[] = []
    for (const value of found) take(step, value, root, next)
    found = next
  }
  return found
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function take(step: Step, value: unknown, root: unknown, out: unknown[]): void {
  switch (step.kind) {
    case 'name':
      if (isObject(value) && Object.hasOwn(value, step.name)) out.push(value[step.name])
      return
    case 'all':
      if (Array.isArray(value)) out.push(...value)
      else if (isObject(value)) out.push(...Object.values(value))
      return
    case 'deep':
      descend(value, step.name, out, 0)
      return
    case 'slice':
      if (Array.isArray(value)) slice(value, step, out)
      return
    case 'union':
      for (const pick of step.picks) {
        if (typeof pick === 'number') {
          const item = Array.isArray(value) ? value.at(pick) : undefined
          if (item !== undefined) out.push(item)
        } else take({ kind: 'name', name: pick }, value, root, out)
      }
      return
    default:
      for (const item of Array.isArray(value) ? value : []) if (step.test(item, root)) out.push(item)
  }
}

function descend(value: unknown, name: string | undefined, out: unknown[], depth: number): void {
  if (typeof value !== 'object' || value === null || depth > 500) return
  if (name === undefined) out.push(value)
  else if (!Array.isArray(value) && Object.hasOwn(value, name)) out.push((value as Record<string, unknown>)[name])
  for (const part of Object.values(value)) descend(part, name, out, depth + 1)
}

function slice(list: unknown[], step: Extract<Step, { kind: 'slice' }>, out: unknown[]): void {
  const bound = (at: number | undefined, otherwise: number) =>
    at === undefined ? otherwise : at < 0 ? Math.max(list.length + at, 0) : Math.min(at, list.length)
  for (let at = bound(step.from, 0); at < bound(step.to, list.length); at += step.step) out.push(list[at])
}

function parse(text: string): Step[] {
  let rest = text
    .trim()
    .replace(/^\{(.*)\}$/s, '$1')
    .trim()
    .replace(/^[$@]/, '')
  const steps: Step[] = []
  const fail = () => new Error(`unrecognized JSONPath ${JSON.stringify(text)}`)
  if (/^[\w-]/.test(rest)) rest = `.${rest}`
  while (rest) {
    const deep = /^\.\.(\w[\w-]*)?/.exec(rest)
    const name = /^\.((?:\\.|[^.[\]\s\\])+)/.exec(rest)
    if (deep) {
      steps.push({ kind: 'deep', name: deep[1] })
      rest = rest.slice(deep[0].length)
    } else if (name) {
      steps.push(name[1] === '*' ? { kind: 'all' } : { kind: 'name', name: name[1]!.replace(/\\(.)/g, '$1') })
      rest = rest.slice(name[0].length)
    } else if (rest.startsWith('[')) {
      const end = closing(rest)
      if (end < 0) throw fail()
      steps.push(bracket(rest.slice(1, end).trim(), fail))
      rest = rest.slice(end + 1)
    } else if (rest === '.') rest = ''
    else throw fail()
  }
  return steps
}

/** Index of the bracket that closes the first one, quotes respected. */
function closing(text: string): number {
  let depth = 0
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const one = text[at]!
    if (quote) {
      if (one === '\\') at++
      else if (one === quote) quote = ''
    } else if (one === '"' || one === "'") quote = one
    else if (one === '[') depth++
    else if (one === ']' && --depth === 0) return at
  }
  return -1
}

function bracket(inner: string, fail: () => Error): Step {
  if (inner === '*') return { kind: 'all' }
  const filter = /^\?\s*\((.*)\)$/s.exec(inner)
  if (filter) return { kind: 'filter', test: condition(filter[1]!.trim(), fail) }
  const range = /^(-?\d*)\s*:\s*(-?\d*)(?:\s*:\s*(\d+))?$/.exec(inner)
  if (range) {
    const at = (one: string | undefined) => (one ? Number(one) : undefined)
    return { kind: 'slice', from: at(range[1]), to: at(range[2]), step: Math.max(at(range[3]) ?? 1, 1) }
  }
  const picks = [...inner.matchAll(/\s*(?:'((?:\\.|[^'])*)'|"((?:\\.|[^"])*)"|(-?\d+))\s*(?:,|$)/gy)]
  if (!picks.length || picks.map((pick) => pick[0]).join('').length !== inner.length) throw fail()
  return {
    kind: 'union',
    picks: picks.map((pick) =>
      pick[3] !== undefined ? Number(pick[3]) : (pick[1] ?? pick[2])!.replace(/\\(.)/g, '$1'),
    ),
  }
}

function condition(text: string, fail: () => Error): (item: unknown, root: unknown) => boolean {
  const match = /^(@[^=<>!\s]*|@.*?\])\s*(?:(==|!=|<=|>=|<|>)\s*(.+))?$/s.exec(text)
  if (!match) throw fail()
  const left = jsonPath(match[1]!.slice(1) || '.')
  const operator = match[2]
  if (!operator) return (item) => left(item).length > 0
  const right = operand(match[3]!.trim(), fail)
  return (item, root) => {
    const values = left(item)
    return values.length > 0 && compare(values[0], operator, right(item, root))
  }
}

function operand(text: string, fail: () => Error): (item: unknown, root: unknown) => unknown {
  const quoted = /^(["'])(.*)\1$/s.exec(text)
  if (quoted) return () => unquote(quoted[2]!)
  if (text.startsWith('@')) return (item) => jsonPath(text.slice(1))(item)[0]
  if (text.startsWith('$')) return (_, root) => jsonPath(text)(root)[0]
  if (text === 'true' || text === 'false') return () => text === 'true'
  if (/^-?\d+(\.\d+)?$/.test(text)) return () => Number(text)
  throw fail()
}

function compare(left: any, operator: string, right: any): boolean {
  if (operator === '==') return left === right
  if (operator === '!=') return left !== right
  if (typeof left !== typeof right) return false
  if (operator === '<') return left < right
  if (operator === '<=') return left <= right
  return operator === '>' ? left > right : left >= right
}
