// Times in objects as milliseconds. An unset time is NaN, so that every comparison with it is false.

import { parseTime } from '../api/time.ts'

export const moment = (text: string | null | undefined): number => (text ? (parseTime(text) ?? Number.NaN) : Number.NaN)
