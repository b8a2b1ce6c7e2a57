// Regular expressions in linear time: matches, find and findAll. @bufbuild/re2 parses and answers yes or no; where a
// match is comes from running its program with threads that carry their start (Pike's machine).

import { RE2JS } from '@bufbuild/re2'
import { declare, type Library } from '../declarations.ts'
import { CelError } from '../problem.ts'

const compiled = new Map<string, RE2JS>()
const maxCompiled = 500

/** @throws CelError */
function compile(pattern: string): RE2JS {
  let found = compiled.get(pattern)
  if (found) return found
  try {
    found = RE2JS.compile(pattern)
  } catch (error) {
    throw new CelError((error as Error).message)
  }
  if (compiled.size >= maxCompiled) compiled.clear()
  compiled.set(pattern, found)
  return found
}

export const matches = (text: string, pattern: string): boolean => compile(pattern).test(text)

/** The problem of a pattern, undefined when it is right. */
export function patternProblem(pattern: string): string | undefined {
  try {
    compile(pattern)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

interface Instruction {
  op: number
  out: number
  arg: number
  matchRune(rune: number): boolean
}
interface Machine {
  prog: { inst: Instruction[]; start: number }
}

/** Numbers of RE2's instructions. */
const op = {
  alt: 1,
  altMatch: 2,
  capture: 3,
  emptyWidth: 4,
  fail: 5,
  match: 6,
  nop: 7,
  rune: 8,
  anyNotNewline: 11,
  any: 10,
}

interface Thread {
  pc: number
  start: number
}

/** Where the leftmost match at or after `from` is, in code points. */
function locate({ prog }: Machine, text: number[], from: number): [number, number] | undefined {
  let threads: Thread[] = []
  let best: [number, number] | undefined
  for (let at = from; at <= text.length; at++) {
    const context = emptyContext(text, at)
    const seen = new Set<number>()
    const next: Thread[] = []
    for (const thread of threads) follow(prog.inst, thread.pc, thread.start, context, seen, next)
    if (!best) follow(prog.inst, prog.start, at, context, seen, next)
    const moved: Thread[] = []
    for (const { pc, start } of next) {
      const instruction = prog.inst[pc]!
      if (instruction.op === op.match) {
        // Threads after this one have less priority; those before it may still find a better end.
        best = [start, at]
        break
      }
      if (at < text.length && consumes(instruction, text[at]!)) moved.push({ pc: instruction.out, start })
    }
    threads = moved
    if (threads.length === 0 && best) break
  }
  return best
}

function follow(
  inst: Instruction[],
  pc: number,
  start: number,
  context: number,
  seen: Set<number>,
  out: Thread[],
): void {
  if (seen.has(pc)) return
  seen.add(pc)
  const instruction = inst[pc]!
  switch (instruction.op) {
    case op.alt:
    case op.altMatch:
      follow(inst, instruction.out, start, context, seen, out)
      follow(inst, instruction.arg, start, context, seen, out)
      break
    case op.capture:
    case op.nop:
      follow(inst, instruction.out, start, context, seen, out)
      break
    case op.emptyWidth:
      if ((instruction.arg & ~context) === 0) follow(inst, instruction.out, start, context, seen, out)
      break
    case op.fail:
      break
    default:
      out.push({ pc, start })
  }
}

function consumes(instruction: Instruction, rune: number): boolean {
  if (instruction.op === op.any) return true
  if (instruction.op === op.anyNotNewline) return rune !== 10
  return instruction.matchRune(rune)
}

const isWord = (rune: number | undefined): boolean =>
  rune !== undefined && rune < 128 && /\w/.test(String.fromCharCode(rune))

/** RE2's flags of what holds between two characters. */
function emptyContext(text: number[], at: number): number {
  const [before, after] = [text[at - 1], text[at]]
  let flags = 0
  if (before === undefined || before === 10) flags |= 1
  if (after === undefined || after === 10) flags |= 2
  if (before === undefined) flags |= 4
  if (after === undefined) flags |= 8
  return flags | (isWord(before) !== isWord(after) ? 16 : 32)
}

function findAll(text: string, pattern: string, limit = -1): string[] {
  const regex = compile(pattern)
  if (limit === 0 || !regex.test(text)) return []
  const machine = regex.re2() as unknown as Machine
  const characters = [...text]
  const runes = characters.map((character) => character.codePointAt(0)!)
  const found: string[] = []
  let from = 0
  let last = -1
  while (from <= runes.length && (limit < 0 || found.length < limit)) {
    const match = locate(machine, runes, from)
    if (!match) break
    const [start, end] = match
    // An empty match right behind another one does not count.
    if (end > start || start !== last) found.push(characters.slice(start, end).join(''))
    last = end
    from = end > start ? end : end + 1
  }
  return found
}

export const regex: Library = [
  declare(
    'find',
    'string_find_string',
    'string.(string) string',
    (text: string, pattern: string) => findAll(text, pattern, 1)[0] ?? '',
  ),
  declare('findAll', 'string_find_all_string', 'string.(string) list(string)', (text: string, pattern: string) =>
    findAll(text, pattern),
  ),
  declare(
    'findAll',
    'string_find_all_string_int',
    'string.(string, int) list(string)',
    (text: string, pattern: string, limit: bigint) => findAll(text, pattern, Number(limit)),
  ),
]
