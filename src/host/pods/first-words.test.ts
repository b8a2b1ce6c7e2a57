import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ExecSession, ExitStatus } from '../../api/streams.ts'
import { withFirstWords } from './first-words.ts'

async function* saying(...words: string[]): AsyncGenerator<Uint8Array> {
  for (const word of words) yield Buffer.from(word)
}

const sessionOf = (exit: ExitStatus, stdout: string[], stderr?: string[]): ExecSession => ({
  stdout: saying(...stdout),
  ...(stderr && { stderr: saying(...stderr) }),
  resize() {},
  exit: Promise.resolve(exit),
  close() {},
})

async function text(output: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  let all = ''
  for await (const chunk of output ?? []) all += Buffer.from(chunk).toString()
  return all
}

const ended: ExitStatus = { kind: 'exited', code: 0 }
const log = (stream: string) => saying(`${stream} of the log`)

describe('the first words of a container that ended before its client came', () => {
  test('a silent session gets the log, each stream its own', async () => {
    const session = withFirstWords(sessionOf(ended, [], []), log)
    assert.equal(await text(session.stdout), 'stdout of the log')
    assert.equal(await text(session.stderr), 'stderr of the log')
  })

  test('what came through the session is not said twice', async () => {
    const session = withFirstWords(sessionOf(ended, ['hel', 'lo']), log)
    assert.equal(await text(session.stdout), 'hello')
    assert.equal(session.stderr, undefined)
  })

  test('a failed attach gets nothing: its client reads the log', async () => {
    const session = withFirstWords(sessionOf({ kind: 'failed', message: 'no running task' }, []), log)
    assert.equal(await text(session.stdout), '')
  })
})
