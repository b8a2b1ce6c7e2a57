// The program's voice: one line per event (time, level, component, message, fields), through a sink that is handed in.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Record<string, unknown>

export interface LogRecord {
  time: number
  level: LogLevel
  component: string
  message: string
  fields: LogFields
}

export type LogSink = (record: LogRecord) => void

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger for a part: 'server' → 'server.watch'; `fields` are added to each of its lines. */
  child(component: string, fields?: LogFields): Logger
}

const rank: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }

/** Field names whose values never reach a log. */
const secretName = /token|passw|secret|authorization|cookie|credential|private|userdata|kubeconfig/i

/** A name for a thing is no secret, though the word is in it: secretName, tokenReview … */
const harmlessName = /(name|names|kind|namespace|count|review)$/i

export function createLogger(
  sink: LogSink,
  options: { level?: LogLevel; component?: string; now?: () => number } = {},
): Logger {
  const { level = 'info', component = '', now = Date.now } = options
  return loggerFor(sink, rank[level], now, component, {})
}

function loggerFor(sink: LogSink, least: number, now: () => number, component: string, base: LogFields): Logger {
  const write = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (rank[level] < least) return
    sink({ time: now(), level, component, message, fields: withoutSecrets({ ...base, ...fields }) })
  }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (name, fields) =>
      loggerFor(sink, least, now, component ? `${component}.${name}` : name, { ...base, ...fields }),
  }
}

function withoutSecrets(fields: LogFields): LogFields {
  const shown: LogFields = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || name === '__proto__') continue
    shown[name] = secretName.test(name) && !harmlessName.test(name) ? '[hidden]' : value
  }
  return shown
}

/** Writes nothing. */
export const silentLogger: Logger = createLogger(() => {})

/** '2026-01-01T00:00:00.000Z info  server listening port=6443' */
export function textLine(record: LogRecord): string {
  const parts = [new Date(record.time).toISOString(), record.level.padEnd(5)]
  if (record.component) parts.push(record.component)
  parts.push(oneLine(record.message))
  for (const [name, value] of Object.entries(record.fields)) parts.push(`${name}=${textValue(value)}`)
  return parts.join(' ')
}

/** The same as one JSON object. */
export function jsonLine(record: LogRecord): string {
  const { time, level, component, message, fields } = record
  const shown: LogFields = {}
  for (const [name, value] of Object.entries(fields)) shown[name] = value instanceof Error ? errorText(value) : value
  return safeJson({ ...shown, time: new Date(time).toISOString(), level, component, message })
}

function textValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(errorText(value))
  if (typeof value === 'string') return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
  return safeJson(value)
}

/** An error with what caused it, without the stack: a line is a line. */
function errorText(error: Error): string {
  const causes = [error.message || error.name]
  for (let cause = error.cause; cause instanceof Error && causes.length < 5; cause = cause.cause)
    causes.push(cause.message || cause.name)
  return causes.join(': ')
}

function safeJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part)) ?? String(value)
  } catch {
    return '"[cannot be shown]"'
  }
}

/** Text from outside must not fake a line of its own or steer a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it takes out
const oneLine = (text: string): string => text.replace(/[\u0000-\u001f\u007f]+/g, ' ')
