// Ranges of costs and sizes. They saturate at 2^64 - 1, as cel-go's do.

export interface Range {
  min: number
  max: number
}
export type Cost = Range

export const largest = 2 ** 64
export const unknownSize: Range = { min: 0, max: largest }

const cap = (value: number): number => (value >= largest ? largest : value)

export const fixed = (cost: number): Cost => ({ min: cost, max: cost })
export const fixedSize = fixed
export const add = (a: Range, b: Range): Range => ({ min: cap(a.min + b.min), max: cap(a.max + b.max) })
export const times = (a: Range, b: Range): Range => ({ min: cap(a.min * b.min), max: cap(a.max * b.max) })
export const scale = (range: Range, factor: number): Range => ({
  min: cap(Math.ceil(range.min * factor)),
  max: cap(Math.ceil(range.max * factor)),
})
export const union = (a: Range, b: Range): Range => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) })
