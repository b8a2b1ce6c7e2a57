// Logs from files in CRI's format: choice of lines, following across rotation, and rotation itself.

import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { LogOptions } from '../../api/streams.ts'
import { parseLine } from './log-lines.ts'
import { rotateLog } from './log-rotation.ts'
import { readLog } from './logs.ts'

const noon = Date.UTC(2026, 0, 1, 12)
const at = (seconds: number) => `2026-01-01T12:00:0${seconds}.123456789Z`
const content = [
  `${at(0)} stdout F first`,
  `${at(1)} stderr F second`,
  `${at(2)} stdout P thi`,
  `${at(2)} stdout F rd`,
  'damaged',
  `${at(3)} stdout F `,
  `${at(4)} stdout F last`,
  '',
].join('\n')

function scene(initial = content) {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-logs-'))
  const path = join(directory, '0.log')
  writeFileSync(path, initial)
  const source = { path, running: () => state.running, now: () => noon + 5000 }
  const state = { running: false }
  const read = (options: LogOptions = {}, signal = new AbortController().signal) =>
    text(readLog(source, options, signal))
  return { directory, path, state, read, source, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) }
}

const cases: [string, LogOptions, string][] = [
  ['all', {}, 'first\nsecond\nthird\n\nlast\n'],
  ['tail 2', { tailLines: 2 }, '\nlast\n'],
  ['tail 0', { tailLines: 0 }, ''],
  ['tail of more than there is', { tailLines: 99 }, 'first\nsecond\nthird\n\nlast\n'],
  ['only stderr', { stream: 'stderr' }, 'second\n'],
  ['limit', { limitBytes: 8 }, 'first\nse'],
  ['since seconds', { sinceSeconds: 2 }, '\nlast\n'],
  ['since a time', { sinceTime: '2026-01-01T12:00:04Z' }, 'last\n'],
  ['timestamps, once per whole line', { timestamps: true, tailLines: 5 }, `${at(2)} third\n${at(3)} \n${at(4)} last\n`],
]
for (const [name, options, expected] of cases)
  test(`logs: ${name}`, async () => {
    using here = scene()
    assert.equal(await here.read(options), expected)
  })

test('a log larger than one block keeps its lines', async () => {
  const line = `${at(0)} stdout F ${'x'.repeat(1000)}\n`
  using here = scene(line.repeat(500))
  assert.equal((await here.read()).length, 500 * 1001)
  assert.equal((await here.read({ tailLines: 120 })).length, 120 * 1001)
})

test('without following, what is written while it is read is not shown', async () => {
  using here = scene()
  here.state.running = true
  const source = {
    ...here.source,
    running() {
      appendFileSync(here.path, `${at(5)} stdout F later\n`)
      return true
    },
  }
  assert.equal(await text(readLog(source, { tailLines: 1 }, new AbortController().signal)), 'last\n')
})

test('following sees what is appended, follows rotation, and ends with the container', async () => {
  using here = scene(`${at(0)} stdout F one\n`)
  here.state.running = true
  const reading = readLog(here.source, { follow: true }, new AbortController().signal)
  // The file is open for sure once its first line has come.
  let heard = Buffer.from((await reading.next()).value as Uint8Array).toString()
  appendFileSync(here.path, `${at(1)} stdout F tw`)
  appendFileSync(here.path, 'o\n')
  renameSync(here.path, `${here.path}.20260101-120000`)
  writeFileSync(here.path, `${at(2)} stdout F three\n`)
  here.state.running = false
  for await (const chunk of reading) heard += Buffer.from(chunk)
  assert.equal(heard, 'one\ntwo\nthree\n')
})

test('following ends when the reader goes', async () => {
  using here = scene(`${at(0)} stdout F one\n`)
  here.state.running = true
  const reader = new AbortController()
  const reading = here.read({ follow: true }, reader.signal)
  reader.abort()
  await reading
})

test('a log that grew too large is set aside; five files stay, the older ones packed', async () => {
  using here = scene()
  const limits = { maxBytes: 10, maxFiles: 5 }
  assert.equal(await rotateLog(here.path, async () => {}, noon, { ...limits, maxBytes: 10_000 }), false)
  for (let hour = 0; hour < 8; hour++) {
    const now = noon + hour * 3_600_000
    assert.equal(
      await rotateLog(here.path, async () => writeFileSync(here.path, `${content}${hour}`), now, limits),
      true,
    )
  }
  const names = readdirSync(here.directory).sort()
  assert.deepEqual(names, [
    '0.log',
    '0.log.20260101-160000.gz',
    '0.log.20260101-170000.gz',
    '0.log.20260101-180000.gz',
    '0.log.20260101-190000',
  ])
  assert.equal(gunzipSync(readFileSync(join(here.directory, names[1]!))).toString(), `${content}3`)
})

test('a runtime that does not reopen leaves the log where it was', async () => {
  using here = scene()
  const refuse = async () => {
    throw new Error('no')
  }
  await assert.rejects(rotateLog(here.path, refuse, noon, { maxBytes: 1, maxFiles: 5 }), /no/)
  assert.deepEqual(readdirSync(here.directory), ['0.log'])
})

test('lines that are none', () => {
  for (const line of ['', 'x', 'a b', '2026 nowhere F x']) assert.equal(parseLine(Buffer.from(line)), undefined)
})
