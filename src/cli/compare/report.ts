// What a comparison has found, as a table for a person and as data. Pure.

import { table } from '../output.ts'
import { noShell, type Row, type Start } from './compare.ts'
import { breakOut, type NotReady } from './isolations.ts'
import type { Measures, measureNames } from './measures.ts'
import { sum } from './pod-memory.ts'

export interface Report {
  image: string
  /** "2 processors, Linux 6.1.0" */
  machine: string
  rows: Row[]
  notReady: NotReady[]
}

const none = '–'

/** Three digits that mean something, with the unit that suits. */
export function amount(value: number, units: [factor: number, unit: string][]): string {
  const rounded = Number(value.toPrecision(3))
  const [factor, unit] = units.findLast(([factor]) => rounded >= factor) ?? units[0]!
  const scaled = rounded / factor
  return `${scaled >= 100 ? Math.round(scaled) : Number(scaled.toPrecision(scaled < 1 ? 2 : 3))} ${unit}`
}

const time = (ns: number): string =>
  amount(ns, [
    [1, 'ns'],
    [1e3, 'µs'],
    [1e6, 'ms'],
    [1e9, 's'],
  ])
const milliseconds = (ms: number | undefined): string => (ms === undefined ? none : time(ms * 1e6))
const bytes = (value: number): string =>
  amount(value, [
    [1e3, 'kB'],
    [1e6, 'MB'],
    [1e9, 'GB'],
  ])

export const median = (values: number[]): number | undefined => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 ? sorted[middle] : sorted.length ? (sorted[middle - 1]! + sorted[middle]!) / 2 : undefined
}

const medianOf = (starts: Start[], part: keyof Start): number | undefined =>
  median(starts.map((start) => start[part]).filter((value) => value !== undefined))

function measured(
  { measures }: Row,
  name: (typeof measureNames)[number],
  value: keyof Omit<Measures, 'problems'>,
  show: (value: number) => string,
): string {
  if (!measures) return none
  const found = measures[value]
  return found === undefined ? (measures.problems[name] ?? none) : show(found)
}

/** The lines of the table, each with its cell for one isolation. */
const lines: [title: string, cell: (row: Row) => string][] = [
  ['cold start, until it runs', ({ cold }) => milliseconds(cold?.runningMs)],
  ['            until it answers', ({ cold }) => milliseconds(cold?.answerMs)],
  ['warm start, until it runs', ({ warm }) => milliseconds(medianOf(warm, 'runningMs'))],
  ['            until it answers', ({ warm }) => milliseconds(medianOf(warm, 'answerMs'))],
  ['memory of the Pod', ({ memory }) => (memory ? bytes(sum(memory)) : none)],
  ['a system call', (row) => measured(row, 'calls', 'systemCallNs', time)],
  ['write, 4 KiB each, a second', (row) => measured(row, 'write', 'writeBytesPerSecond', bytes)],
  ['read, 4 KiB each, a second', (row) => measured(row, 'read', 'readBytesPerSecond', bytes)],
  ['open and close a file', (row) => measured(row, 'open', 'openNs', time)],
  ['kernel', ({ release }) => release || none],
]

export function reportText({ image, machine, rows, notReady }: Report): string {
  const body = lines.map(([title, cell]) => [title, ...rows.map(cell)])
  const parts = [
    `${image} on ${machine}`,
    table(['', ...rows.map(({ isolation }) => isolation.name)], body),
    `Who breaks out meets\n${listed(rows.map(({ isolation }) => [isolation.name, breakOut(isolation.handler, isolation.level)]))}`,
  ]
  const problems = rows.flatMap(({ isolation, problem }): [string, string][] =>
    problem ? [[isolation.name, problem]] : [],
  )
  if (problems.length) parts.push(`Not measured\n${listed(problems)}`)
  if (rows.some(({ cold }) => cold && cold.answerMs === undefined))
    parts.push(`${noShell}: of its own command only starts and memory can be measured`)
  if (notReady.length) parts.push(`Not ready\n${listed(notReady.map(({ name, reason }) => [name, reason]))}`)
  return parts.join('\n\n')
}

function listed(items: [name: string, text: string][]): string {
  const width = Math.max(...items.map(([name]) => name.length))
  return items.map(([name, text]) => `  ${name.padEnd(width)}   ${text}`).join('\n')
}

export const reportData = ({ image, machine, rows, notReady }: Report) => ({
  image,
  machine,
  isolations: rows.map(({ isolation, cold, warm, memory, version, release, measures, problem }) => ({
    ...{ name: isolation.name, handler: isolation.handler, level: isolation.level },
    ...(cold && { cold: { ...cold, fetched: isolation.fetches } }),
    warm,
    ...(memory && { memoryBytes: sum(memory), processes: memory }),
    ...(release && { kernel: release, version }),
    ...measures,
    breakOut: breakOut(isolation.handler, isolation.level),
    ...(problem && { problem }),
  })),
  notReady,
})
