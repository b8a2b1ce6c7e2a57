// CEL's macros: has, the comprehensions over one and two variables, and those of optional values. They become the same
// folds as in cel-go, so that they cost the same.

import { call, type Expr, type Fold, ident, list, literal, memberCall } from './ast.ts'
import { CelIssue } from './problem.ts'

const accuName = '@result'
type Variables = Pick<Fold, 'iter' | 'iter2'>

/** @returns undefined when it is an ordinary call. @throws CelIssue */
export function expandMacro(pos: number, name: string, target: Expr | undefined, args: Expr[]): Expr | undefined {
  if (!target) return name === 'has' && args.length === 1 ? has(pos, args[0]!) : undefined
  const macro = macros[`${name}/${args.length}`]
  return macro?.(pos, target, args)
}

function has(pos: number, arg: Expr): Expr {
  if (arg.kind === 'select' && !arg.test) return { ...arg, pos, test: true }
  throw new CelIssue(arg.pos, 'invalid argument to has() macro')
}

function variable(arg: Expr, two: boolean): string {
  if (arg.kind !== 'ident') {
    throw new CelIssue(arg.pos, two ? 'argument must be a simple name' : 'argument is not an identifier')
  }
  return arg.name
}

const one = (args: Expr[]): Variables => ({ iter: variable(args[0]!, false) })
function two(args: Expr[]): Variables {
  const iter = variable(args[0]!, true)
  const iter2 = variable(args[1]!, true)
  if (iter === iter2) throw new CelIssue(args[1]!.pos, `duplicate variable name: ${iter}`)
  return { iter, iter2 }
}

function fold(
  pos: number,
  range: Expr,
  variables: Variables,
  parts: { init: Expr; condition?: Expr; step: Expr; result?: Expr },
): Fold {
  const { init, condition = literal(pos, true), step, result = ident(pos, accuName) } = parts
  return { kind: 'fold', pos, range, ...variables, accu: accuName, init, condition, step, result }
}

const all = (pos: number, range: Expr, variables: Variables, predicate: Expr): Expr =>
  fold(pos, range, variables, {
    init: literal(pos, true),
    condition: call(pos, '@not_strictly_false', ident(pos, accuName)),
    step: call(pos, '_&&_', ident(pos, accuName), predicate),
  })

const exists = (pos: number, range: Expr, variables: Variables, predicate: Expr): Expr =>
  fold(pos, range, variables, {
    init: literal(pos, false),
    condition: call(pos, '@not_strictly_false', call(pos, '!_', ident(pos, accuName))),
    step: call(pos, '_||_', ident(pos, accuName), predicate),
  })

const existsOne = (pos: number, range: Expr, variables: Variables, predicate: Expr): Expr =>
  fold(pos, range, variables, {
    init: literal(pos, 0n),
    step: call(pos, '_?_:_', predicate, call(pos, '_+_', ident(pos, accuName), literal(pos, 1n)), ident(pos, accuName)),
    result: call(pos, '_==_', ident(pos, accuName), literal(pos, 1n)),
  })

const when = (pos: number, filter: Expr | undefined, step: Expr): Expr =>
  filter ? call(pos, '_?_:_', filter, step, ident(pos, accuName)) : step

const collect = (pos: number, range: Expr, variables: Variables, filter: Expr | undefined, item: Expr): Expr =>
  fold(pos, range, variables, {
    init: list(pos),
    step: when(pos, filter, call(pos, '_+_', ident(pos, accuName), list(pos, item))),
  })

const insert = (pos: number, range: Expr, variables: Variables, filter: Expr | undefined, entry: Expr[]): Expr =>
  fold(pos, range, variables, {
    init: { kind: 'map', pos, entries: [] },
    step: when(pos, filter, call(pos, 'cel.@mapInsert', ident(pos, accuName), ...entry)),
  })

/** A value with a name, for one expression. */
const bind = (pos: number, name: string, value: Expr, body: Expr): Fold => ({
  kind: 'fold',
  pos,
  range: list(pos),
  iter: '#unused',
  accu: name,
  init: value,
  condition: literal(pos, false),
  step: ident(pos, name),
  result: body,
})

const optional = (pos: number, target: Expr, args: Expr[], wrap: boolean): Expr => {
  const body = bind(pos, variable(args[0]!, false), memberCall(pos, 'value', target), args[1]!)
  const found = wrap ? memberCall(pos, 'of', ident(pos, 'optional'), body) : body
  const none = memberCall(pos, 'none', ident(pos, 'optional'))
  return call(pos, '_?_:_', memberCall(pos, 'hasValue', target), found, none)
}

/** sortBy: the keys are computed once, then the list is sorted by them. */
const sortBy = (pos: number, target: Expr, args: Expr[]): Expr => {
  const name = '@__sortBy_input__'
  const keys = collect(pos, ident(pos, name), one(args), undefined, args[1]!)
  return bind(pos, name, target, memberCall(pos, '@sortByAssociatedKeys', ident(pos, name), keys))
}

const macros: Record<string, ((pos: number, target: Expr, args: Expr[]) => Expr) | undefined> = {
  __proto__: null as never,
  'all/2': (pos, target, args) => all(pos, target, one(args), args[1]!),
  'all/3': (pos, target, args) => all(pos, target, two(args), args[2]!),
  'exists/2': (pos, target, args) => exists(pos, target, one(args), args[1]!),
  'exists/3': (pos, target, args) => exists(pos, target, two(args), args[2]!),
  'exists_one/2': (pos, target, args) => existsOne(pos, target, one(args), args[1]!),
  'existsOne/2': (pos, target, args) => existsOne(pos, target, one(args), args[1]!),
  'existsOne/3': (pos, target, args) => existsOne(pos, target, two(args), args[2]!),
  'map/2': (pos, target, args) => collect(pos, target, one(args), undefined, args[1]!),
  'map/3': (pos, target, args) => collect(pos, target, one(args), args[1], args[2]!),
  'filter/2': (pos, target, args) => collect(pos, target, one(args), args[1], ident(args[0]!.pos, one(args).iter)),
  'transformList/3': (pos, target, args) => collect(pos, target, two(args), undefined, args[2]!),
  'transformList/4': (pos, target, args) => collect(pos, target, two(args), args[2], args[3]!),
  'transformMap/3': (pos, target, args) => insert(pos, target, two(args), undefined, [args[0]!, args[2]!]),
  'transformMap/4': (pos, target, args) => insert(pos, target, two(args), args[2], [args[0]!, args[3]!]),
  'transformMapEntry/3': (pos, target, args) => insert(pos, target, two(args), undefined, [args[2]!]),
  'transformMapEntry/4': (pos, target, args) => insert(pos, target, two(args), args[2], [args[3]!]),
  'optMap/2': (pos, target, args) => optional(pos, target, args, true),
  'optFlatMap/2': (pos, target, args) => optional(pos, target, args, false),
  'sortBy/2': sortBy,
}
