// Lines of container logs as CRI writes them: "<RFC3339Nano> stdout|stderr F|P <text>". Pure.

export interface LogLine {
  /** As written, with nanoseconds. */
  time: string
  stream: 'stdout' | 'stderr'
  /** The text goes on in the next line of the same stream. */
  partial: boolean
  text: Buffer
}

const space = 0x20

/** `line` is without its newline. Undefined for what is no log line (half written, or damaged). */
export function parseLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(space)
  const second = line.indexOf(space, first + 1)
  const third = line.indexOf(space, second + 1)
  if (first < 0 || second < 0) return undefined
  const stream = line.toString('latin1', first + 1, second)
  if (stream !== 'stdout' && stream !== 'stderr') return undefined
  const tags = line.toString('latin1', second + 1, third < 0 ? line.length : third)
  return {
    time: line.toString('latin1', 0, first),
    stream,
    partial: tags.split(':')[0] === 'P',
    text: third < 0 ? Buffer.alloc(0) : line.subarray(third + 1),
  }
}

/** Compares only to the millisecond below, which is what a client can ask for. */
export const isBefore = (line: LogLine, sinceMs: number): boolean => Date.parse(line.time) < sinceMs
