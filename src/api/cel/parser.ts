// Tokens to a syntax tree, macros expanded. The grammar is cel-spec's; places of errors are cel-go's (an operator's own
// place, the opening bracket of a call).

import { call, type Entry, type Expr, ident, literal, memberCall, qualifiedName, type StructField } from './ast.ts'
import { type Token, tokenize } from './lexer.ts'
import { expandMacro } from './macros.ts'
import { CelIssue } from './problem.ts'
import { lengthOf } from './values.ts'

const reserved = new Set(
  'as break const continue else for function if import let loop package namespace return var void while in'.split(' '),
)
const constants: Record<string, unknown> = { true: true, false: false, null: null }
const binary: Record<string, number> = {
  '||': 1,
  '&&': 2,
  '==': 3,
  '!=': 3,
  '<': 3,
  '<=': 3,
  '>': 3,
  '>=': 3,
  in: 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
}
const maxDepth = 250
const maxSize = 100_000

const tooDeep = (pos: number): CelIssue => new CelIssue(pos, `expression recursion limit exceeded: ${maxDepth}`)

/** @throws CelIssue */
export function parse(source: string): Expr {
  const size = lengthOf(source)
  if (size > maxSize) throw new CelIssue(0, `expression code point size exceeds limit: size: ${size}, limit ${maxSize}`)
  const parser = new Parser(tokenize(source))
  const expr = parser.expression()
  parser.end()
  return expr
}

class Parser {
  private readonly tokens: Token[]
  private index = 0
  private depth = 0

  constructor(tokens: Token[]) {
    this.tokens = tokens
  }

  private get token(): Token {
    return this.tokens[this.index]!
  }

  private is(text: string): boolean {
    const { kind } = this.token
    return this.token.text === text && (kind === 'op' || (text === 'in' && kind === 'ident'))
  }

  private take(text: string): Token | undefined {
    if (!this.is(text)) return undefined
    return this.tokens[this.index++]
  }

  private need(text: string): Token {
    return this.take(text) ?? this.fail(`'${text}'`)
  }

  private fail(expected: string): never {
    const { text, pos, kind } = this.token
    if (kind === 'end') throw new CelIssue(pos, `Syntax error: mismatched input '<EOF>' expecting ${expected}`)
    throw new CelIssue(pos, `Syntax error: mismatched input '${text}' expecting ${expected}`)
  }

  end(): void {
    if (this.token.kind !== 'end') this.fail('<EOF>')
  }

  expression(): Expr {
    if (++this.depth > maxDepth) throw tooDeep(this.token.pos)
    const condition = this.binary(1)
    const question = this.take('?')
    let result = condition
    if (question) {
      const yes = this.binary(1)
      this.need(':')
      result = call(question.pos, '_?_:_', condition, yes, this.expression())
    }
    this.depth--
    return result
  }

  private binary(level: number): Expr {
    let left = this.unary()
    for (let chained = 0; ; chained++) {
      const { text, pos, kind } = this.token
      const strength = kind === 'op' || (kind === 'ident' && text === 'in') ? binary[text] : undefined
      if (strength === undefined || strength < level) return left
      if (strength <= 2) left = this.chain(left, text, strength)
      else {
        if (chained > maxDepth) throw tooDeep(pos)
        this.index++
        const right = this.binary(strength + 1)
        left = call(pos, text === 'in' ? '@in' : `_${text}_`, left, right)
      }
    }
  }

  /** `a && b && c …`, as a tree that is as low as it can be: there may be many of them. */
  private chain(first: Expr, operator: string, strength: number): Expr {
    const terms = [first]
    const places: number[] = []
    for (let token = this.take(operator); token; token = this.take(operator)) {
      places.push(token.pos)
      terms.push(this.binary(strength + 1))
    }
    const build = (from: number, to: number): Expr => {
      if (from === to) return terms[from]!
      const middle = (from + to) >> 1
      return call(places[middle]!, `_${operator}_`, build(from, middle), build(middle + 1, to))
    }
    return build(0, terms.length - 1)
  }

  private unary(): Expr {
    const operator = this.take('!') ?? this.take('-')
    if (!operator) return this.member()
    let signs = 1
    for (; this.take(operator.text); signs++);
    const { value, kind } = this.token
    if (operator.text === '-' && kind === 'literal' && (typeof value === 'bigint' || typeof value === 'number')) {
      this.tokens[this.index] = { ...this.token, value: -value, pos: operator.pos }
      signs--
    }
    const operand = this.member()
    // An even number of signs cancels out.
    return signs % 2 === 0 ? operand : call(operator.pos, `${operator.text}_`, operand)
  }

  private member(): Expr {
    if (++this.depth > maxDepth) throw tooDeep(this.token.pos)
    let expr = this.primary()
    for (;;) {
      const dot = this.take('.')
      if (dot) expr = this.afterDot(expr, dot)
      else {
        const bracket = this.take('[')
        if (bracket) {
          const optional = this.take('?')
          const index = this.expression()
          this.need(']')
          expr = call(bracket.pos, optional ? '_[?_]' : '_[_]', expr, index)
        } else if (this.is('{') && expr.kind !== 'literal' && qualifiedName(expr) !== undefined)
          expr = this.struct(expr)
        else break
      }
    }
    this.depth--
    return expr
  }

  private afterDot(operand: Expr, dot: Token): Expr {
    const optional = this.take('?')
    const { kind, text } = this.token
    if (kind !== 'ident' || text === 'in' || Object.hasOwn(constants, text)) this.fail('IDENTIFIER')
    this.index++
    if (optional) return call(dot.pos, '_?._', operand, literal(dot.pos, text))
    const open = this.take('(')
    if (!open) return { kind: 'select', pos: dot.pos, operand, field: text, test: false }
    const args = this.arguments()
    return expandMacro(open.pos, text, operand, args) ?? memberCall(open.pos, text, operand, ...args)
  }

  private arguments(): Expr[] {
    const args: Expr[] = []
    if (this.take(')')) return args
    do args.push(this.expression())
    while (this.take(','))
    this.need(')')
    return args
  }

  private primary(): Expr {
    const { kind, text, value, pos } = this.token
    if (kind === 'literal') {
      if (value === 2n ** 63n) throw new CelIssue(pos, 'Syntax error: invalid int literal')
      this.index++
      return literal(pos, value)
    }
    if (this.take('(')) {
      const inner = this.expression()
      this.need(')')
      return inner
    }
    if (this.take('[')) return this.list(pos)
    if (this.is('{')) return this.map(this.need('{').pos)
    const leading = this.take('.')
    if (this.token.kind !== 'ident') {
      this.fail(
        "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
      )
    }
    return this.name(leading ? this.token.text : text, this.token.pos)
  }

  private name(text: string, pos: number): Expr {
    if (text in constants && Object.hasOwn(constants, text)) {
      this.index++
      return literal(pos, constants[text])
    }
    if (text === 'in') this.fail('IDENTIFIER')
    if (reserved.has(text)) throw new CelIssue(pos, `reserved identifier: ${text}`)
    this.index++
    const open = this.take('(')
    if (!open) return ident(pos, text)
    const args = this.arguments()
    return expandMacro(open.pos, text, undefined, args) ?? call(open.pos, text, ...args)
  }

  private list(pos: number): Expr {
    const items: Expr[] = []
    const optional = new Set<number>()
    while (!this.take(']')) {
      if (this.take('?')) optional.add(items.length)
      items.push(this.expression())
      if (this.take(',')) continue
      this.need(']')
      break
    }
    return { kind: 'list', pos, items, optional }
  }

  private map(pos: number): Expr {
    const entries: Entry[] = []
    while (!this.take('}')) {
      const optional = this.take('?') !== undefined
      const key = this.expression()
      this.need(':')
      entries.push({ key, value: this.expression(), optional })
      if (this.take(',')) continue
      this.need('}')
      break
    }
    return { kind: 'map', pos, entries }
  }

  private struct(type: Expr): Expr {
    const { pos } = this.need('{')
    const fields: StructField[] = []
    while (!this.take('}')) {
      const optional = this.take('?') !== undefined
      const name = this.token
      if (name.kind !== 'ident') this.fail('IDENTIFIER')
      this.index++
      const colon = this.need(':')
      fields.push({ name: name.text, value: this.expression(), optional, pos: colon.pos })
      if (this.take(',')) continue
      this.need('}')
      break
    }
    return { kind: 'struct', pos, name: qualifiedName(type)!, fields }
  }
}
