// The five fields of a cron schedule as sets of numbers. Grammar and error texts of robfig/cron v3's standard parser,
// which Kubernetes 1.36 uses.

interface Bounds {
  min: number
  max: number
  names?: string[]
}

export interface CronField {
  values: Set<number>
  /** Written as * or ?: matters when day of month and day of week are joined. */
  star: boolean
}

export interface CronFields {
  minute: CronField
  hour: CronField
  dayOfMonth: CronField
  month: CronField
  dayOfWeek: CronField
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const bounds = {
  minute: { min: 0, max: 59 },
  hour: { min: 0, max: 23 },
  dayOfMonth: { min: 1, max: 31 },
  month: { min: 1, max: 12, names: months },
  dayOfWeek: { min: 0, max: 6, names: days },
} satisfies Record<string, Bounds>

/** '@hourly' and so on, as the five fields that they stand for. */
export const cronMacros: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

/** @throws Error with the parser's own text */
export function parseCronFields(text: string): CronFields {
  const parts = text.trim().split(/\s+/)
  if (parts.length !== 5) throw new Error(`expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`)
  const [minute, hour, dayOfMonth, month, dayOfWeek] = parts as [string, string, string, string, string]
  return {
    minute: parseField(minute, bounds.minute),
    hour: parseField(hour, bounds.hour),
    dayOfMonth: parseField(dayOfMonth, bounds.dayOfMonth),
    month: parseField(month, bounds.month),
    dayOfWeek: parseField(dayOfWeek, bounds.dayOfWeek),
  }
}

function parseField(text: string, limits: Bounds): CronField {
  const field: CronField = { values: new Set(), star: false }
  for (const range of text.split(',').filter(Boolean)) addRange(field, range, limits)
  return field
}

function addRange(field: CronField, text: string, limits: Bounds): void {
  const [span = '', stepText, ...moreSteps] = text.split('/')
  const [low = '', high, ...moreHyphens] = span.split('-')
  const single = high === undefined
  let start = limits.min
  let end = limits.max
  let isStar = low === '*' || low === '?'
  if (!isStar) {
    start = numberOf(low, limits)
    if (moreHyphens.length) throw new Error(`too many hyphens: ${text}`)
    end = single ? start : numberOf(high, limits)
  }
  if (moreSteps.length) throw new Error(`too many slashes: ${text}`)
  let step = 1
  if (stepText !== undefined) {
    step = wholeNumber(stepText)
    // 'N/step' goes on to the end.
    if (single && !isStar) end = limits.max
    if (step > 1) isStar = false
  }
  if (start < limits.min) throw new Error(`beginning of range (${start}) below minimum (${limits.min}): ${text}`)
  if (end > limits.max) throw new Error(`end of range (${end}) above maximum (${limits.max}): ${text}`)
  if (start > end) throw new Error(`beginning of range (${start}) beyond end of range (${end}): ${text}`)
  if (step === 0) throw new Error(`step of range should be a positive number: ${text}`)
  for (let value = start; value <= end; value += step) field.values.add(value)
  if (isStar) field.star = true
}

function numberOf(text: string, { names, min }: Bounds): number {
  const index = names?.indexOf(text.toLowerCase()) ?? -1
  return index >= 0 ? index + min : wholeNumber(text)
}

function wholeNumber(text: string): number {
  if (/^-\d+$/.test(text)) throw new Error(`negative number (${Number(text)}) not allowed: ${text}`)
  if (!/^\+?\d+$/.test(text))
    throw new Error(`failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Number(text)
}
