// What goes wrong with CEL: an expression that does not compile (with the place, as cel-go prints it), an evaluation
// that fails, and a budget that is used up.

/** A problem of the text of an expression, at an offset. */
export class CelIssue extends Error {
  readonly pos: number
  constructor(pos: number, message: string) {
    super(message)
    this.pos = pos
  }
}

/** An expression that does not compile. `message` is cel-go's report: place, text, and the line with a mark. */
export class CelCompileError extends Error {
  readonly issues: readonly CelIssue[]
  constructor(source: string, issues: readonly CelIssue[]) {
    super(
      [...issues]
        .sort((a, b) => a.pos - b.pos)
        .map((issue) => describe(source, issue))
        .join('\n'),
    )
    this.issues = issues
  }
}

/** A line that nobody could read is not shown. */
const longestShown = 4000

function describe(source: string, issue: CelIssue): string {
  const before = source.slice(0, issue.pos)
  const start = before.lastIndexOf('\n') + 1
  const line = before.split('\n').length
  const column = issue.pos - start
  const end = source.indexOf('\n', issue.pos)
  const text = source.slice(start, end < 0 ? source.length : end).replaceAll('\t', ' ')
  const report = `ERROR: <input>:${line}:${column + 1}: ${issue.message}`
  return text.length > longestShown ? report : `${report}\n | ${text}\n | ${'.'.repeat(column)}^`
}

/** An evaluation that has no result: no such key, no such overload, division by zero … */
export class CelError extends Error {}

/** The cost limit of one evaluation was reached. No operator absorbs it. */
export class CelCostExceeded extends Error {
  constructor() {
    super('operation cancelled: actual cost limit exceeded')
  }
}

export const noSuchOverload = (fn?: string): CelError =>
  new CelError(fn ? `no such overload: ${fn}` : 'no such overload')
