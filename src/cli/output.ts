// How commands speak to a person: tables, durations, errors. Colour only where a terminal shows it.

import pc from 'picocolors'
import { isApiError } from '../api/errors.ts'

/** A failure that the person can do something about: the text says what; no stack. */
export class CommandError extends Error {
  readonly exitCode: number
  constructor(message: string, exitCode = 1) {
    super(message)
    this.name = 'CommandError'
    this.exitCode = exitCode
  }
}

export const print = (text: string): void => void process.stdout.write(`${text}\n`)
/** Progress and remarks: standard error, so that standard output stays data. */
export const remark = (text: string): void => void process.stderr.write(`${text}\n`)

export function table(header: string[], rows: string[][]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  return [header, ...rows]
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('   '),
    )
    .join('\n')
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

/** A running list of steps: "✓ what (3.2 s)". On a terminal the step under way is rewritten in place. */
export function createSteps(out: NodeJS.WriteStream = process.stderr) {
  const live = out.isTTY
  let shown = false
  const clear = () => {
    if (live && shown) out.write('\r\x1b[2K')
    shown = false
  }
  return {
    /** What is going on now, one line; replaced by the next. */
    note(text: string) {
      if (!live) return
      clear()
      out.write(`${pc.dim('  …')} ${text.slice(0, (out.columns ?? 80) - 6)}`)
      shown = true
    },
    line(text: string) {
      clear()
      out.write(`${text}\n`)
    },
    async step<T>(title: string, body: () => Promise<T>): Promise<T> {
      const started = Date.now()
      this.note(title)
      if (!live) out.write(`  … ${title}\n`)
      try {
        const result = await body()
        this.line(`${pc.green('  ✓')} ${title} ${pc.dim(`(${seconds(Date.now() - started)})`)}`)
        return result
      } catch (error) {
        this.line(`${pc.red('  ✗')} ${title}`)
        throw error
      }
    },
  }
}

export function fail(error: unknown): never {
  if (error instanceof CommandError) {
    remark(`${pc.red('error:')} ${error.message}`)
    process.exit(error.exitCode)
  }
  if (isApiError(error)) {
    remark(`${pc.red('error:')} ${error.message} (${error.reason})`)
    process.exit(1)
  }
  const text = error instanceof Error ? (process.env.TANDEM_DEBUG ? error.stack : error.message) : String(error)
  remark(`${pc.red('error:')} ${text}`)
  process.exit(1)
}
