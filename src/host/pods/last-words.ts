// The termination message of a container that ended: its file, or the end of its log where the Pod asks for that.

import { open } from 'node:fs/promises'
import { parseLine } from './log-lines.ts'
import type { AnyContainer } from './pod.ts'
import type { PodFiles } from './pod-files.ts'
import type { ContainerRecord } from './records.ts'

const maxLogBytes = 2048
const maxLogLines = 80

export async function lastWords(
  files: PodFiles,
  podUid: string,
  container: AnyContainer | undefined,
  record: ContainerRecord,
): Promise<string> {
  const written = await files.readTerminationMessage(podUid, record.name, record.restartCount)
  if (written || record.exitCode === 0 || container?.terminationMessagePolicy !== 'FallbackToLogsOnError')
    return written
  return await endOfLog(record.logPath)
}

async function endOfLog(path: string): Promise<string> {
  const file = await open(path).catch(() => undefined)
  if (!file) return ''
  try {
    const { size } = await file.stat()
    // Log lines carry a time and a stream name: read some more than the text may have.
    const from = Math.max(size - 2 * maxLogBytes - maxLogLines * 50, 0)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from)
    const lines = buffer.subarray(0, bytesRead).toString('utf8').split('\n')
    if (from > 0) lines.shift()
    const text = lines
      .flatMap((line) => parseLine(Buffer.from(line)) ?? [])
      .slice(-maxLogLines)
      .map(({ text: content, partial }) => (partial ? content.toString() : `${content}\n`))
      .join('')
    return text.slice(-maxLogBytes)
  } finally {
    await file.close()
  }
}
