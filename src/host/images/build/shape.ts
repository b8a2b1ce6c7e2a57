// Reads a plain YAML document field by field and remembers every problem with its path, unknown fields included.

export interface ShapeProblem {
  path: string
  message: string
}

interface StringOptions {
  pattern?: RegExp
  /** What a right value looks like, for the message. */
  hint?: string
  required?: boolean
}

const binaryUnits: Record<string, number> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 }

export class Shape {
  readonly #fields: Record<string, unknown>
  readonly #path: string
  readonly #problems: ShapeProblem[]
  readonly #seen = new Set<string>()

  constructor(document: unknown, path = '', problems: ShapeProblem[] = []) {
    this.#path = path
    this.#problems = problems
    const isMap = typeof document === 'object' && document !== null && !Array.isArray(document)
    if (!isMap) this.problem('', 'must be a map of fields')
    this.#fields = isMap ? (document as Record<string, unknown>) : {}
  }

  problem(field: string, message: string): void {
    const path = [this.#path, field].filter(Boolean).join('.')
    this.#problems.push({ path: path || 'the document', message })
  }

  #take(field: string): unknown {
    this.#seen.add(field)
    return Object.hasOwn(this.#fields, field) ? (this.#fields[field] ?? undefined) : undefined
  }

  string(field: string, options: StringOptions = {}): string | undefined {
    const value = this.#take(field)
    if (value === undefined) {
      if (options.required) this.problem(field, 'is required')
      return undefined
    }
    return this.#checkString(field, value, options)
  }

  #checkString(field: string, value: unknown, options: StringOptions): string | undefined {
    if (typeof value !== 'string') {
      this.problem(field, `must be a string, not ${JSON.stringify(value)}`)
      return undefined
    }
    if (options.pattern && !options.pattern.test(value))
      this.problem(field, `${JSON.stringify(value)} is not valid${options.hint ? `: expected ${options.hint}` : ''}`)
    return value
  }

  boolean(field: string): boolean | undefined {
    const value = this.#take(field)
    if (value === undefined || typeof value === 'boolean') return value
    this.problem(field, 'must be true or false')
    return undefined
  }

  /** Without a default the field is required; null: it may be left out. */
  oneOf<const T extends string>(field: string, values: readonly T[], otherwise?: T | null): T | undefined {
    const value = this.#take(field)
    if (value === undefined && otherwise !== undefined) return otherwise ?? undefined
    if (values.includes(value as T)) return value as T
    this.problem(field, `must be one of ${values.join(', ')}${value === undefined ? '' : `, not ${String(value)}`}`)
    return undefined
  }

  strings(field: string, options: StringOptions = {}): string[] {
    return this.optionalStrings(field, options) ?? []
  }

  optionalStrings(field: string, options: StringOptions = {}): string[] | undefined {
    const value = this.#take(field)
    if (value === undefined) return undefined
    if (!Array.isArray(value)) {
      this.problem(field, 'must be a list of strings')
      return undefined
    }
    return value.map((item, index) => this.#checkString(`${field}[${index}]`, item, options) ?? '')
  }

  map(field: string, keyPattern: RegExp): Record<string, string> {
    const value = this.#take(field)
    if (value === undefined) return {}
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.problem(field, 'must be a map of strings')
      return {}
    }
    const entries = Object.entries(value).filter(([key, item]) => {
      if (!keyPattern.test(key)) this.problem(`${field}.${key}`, 'is not a valid name')
      return this.#checkString(`${field}.${key}`, item, {}) !== undefined
    })
    return Object.fromEntries(entries) as Record<string, string>
  }

  /** "2Gi" → bytes; a multiple of 1 MiB, because partitions are. */
  bytes(field: string): number | undefined {
    const text = this.string(field, { required: true, pattern: /^[1-9]\d{0,6}(Mi|Gi)$/, hint: 'like 512Mi or 2Gi' })
    const match = text === undefined ? null : /^(\d+)(Mi|Gi)$/.exec(text)
    return match ? Number(match[1]) * binaryUnits[match[2]!]! : undefined
  }

  /** File mode as an octal string: "0755". */
  octal(field: string): number | undefined {
    const text = this.string(field, { pattern: /^0?[0-7]{3,4}$/, hint: 'an octal string like "0755"' })
    return text === undefined ? undefined : Number.parseInt(text, 8)
  }

  /** "1000:1000", as numbers. Names would depend on the machine that builds. */
  owner(field: string): { uid: number; gid: number } {
    const text = this.string(field, { pattern: /^\d{1,5}:\d{1,5}$/, hint: 'numbers, like "1000:1000"' }) ?? '0:0'
    const [uid = 0, gid = 0] = text.split(':').map(Number)
    return { uid, gid }
  }

  epoch(field: string): number | undefined {
    const text = this.string(field, { pattern: /^\d{4}-\d\d-\d\d$/, hint: 'a date like "2026-01-01"' })
    return text === undefined ? undefined : Date.parse(`${text}T00:00:00Z`) / 1000
  }

  child<T>(field: string, parse: (shape: Shape) => T): T | undefined {
    const value = this.#take(field)
    return value === undefined ? undefined : this.#parse(field, value, parse)
  }

  children<T>(field: string, parse: (shape: Shape) => T): T[] {
    const value = this.#take(field)
    if (value === undefined) return []
    if (Array.isArray(value)) return value.map((item, index) => this.#parse(`${field}[${index}]`, item, parse))
    this.problem(field, 'must be a list')
    return []
  }

  #parse<T>(field: string, value: unknown, parse: (shape: Shape) => T): T {
    const child = new Shape(value, [this.#path, field].filter(Boolean).join('.'), this.#problems)
    const result = parse(child)
    child.finish()
    return result
  }

  /** Reports the fields that nobody asked for; call it last. */
  finish(): ShapeProblem[] {
    for (const field of Object.keys(this.#fields)) {
      if (!this.#seen.has(field)) this.problem(field, `is not known here (known: ${[...this.#seen].join(', ')})`)
    }
    return this.#problems
  }
}
