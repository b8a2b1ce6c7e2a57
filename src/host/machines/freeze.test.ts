// A frozen guest is thawed: when asked, when its time is over, and when the freeze itself went wrong.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '../../base/log.ts'
import { freeze, isFrozen, thaw, thawWhenDue } from './freeze.ts'
import { newMachine } from './machine.ts'
import { readRecord } from './record.ts'

function guest(t: { after(work: () => void): void }, answers: Record<string, unknown> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'freeze-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const machine = newMachine(directory, { uid: 'u', namespace: 'default', name: 'db' })
  const asked: string[] = []
  machine.agentOpen = true
  machine.agent = {
    closed: false,
    close() {},
    async execute(command: string): Promise<any> {
      asked.push(command)
      const answer = answers[command] ?? 1
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const observer = { log: silentLogger, changed() {}, ended() {} }
  return { machine, observer, asked, written: () => readRecord(directory)?.frozen }
}

test('frozen for a time, and thawed when it is over', async (t) => {
  const { machine, observer, asked, written } = guest(t)
  await freeze(machine, observer, 5_000, 1_000)
  assert.deepEqual(written(), { until: 6_000 })
  assert.equal(thawWhenDue(machine, observer, 2_000), 4_000)
  assert.deepEqual(asked, ['guest-fsfreeze-freeze'])
  thawWhenDue(machine, observer, 6_000)
  await new Promise(setImmediate)
  assert.deepEqual(asked, ['guest-fsfreeze-freeze', 'guest-fsfreeze-thaw'])
  assert.deepEqual([isFrozen(machine), written()], [false, undefined])
})

test('frozen without end until it is asked to thaw', async (t) => {
  const { machine, observer, written } = guest(t)
  await freeze(machine, observer, 0, 1_000)
  assert.deepEqual(written(), {})
  assert.equal(thawWhenDue(machine, observer, 1e15), undefined)
  await thaw(machine, observer)
  assert.equal(isFrozen(machine), false)
})

test('a freeze that fails leaves nothing frozen; a thaw that fails is not forgotten', async (t) => {
  const failing = guest(t, { 'guest-fsfreeze-freeze': new Error('no') })
  await assert.rejects(freeze(failing.machine, failing.observer, 0, 0), /no/)
  assert.deepEqual([failing.asked.at(-1), failing.written()], ['guest-fsfreeze-thaw', undefined])
  const none = guest(t, { 'guest-fsfreeze-freeze': 0 })
  await assert.rejects(freeze(none.machine, none.observer, 0, 0), /no file system that can be frozen/)
  const stuck = guest(t, { 'guest-fsfreeze-thaw': new Error('later') })
  await freeze(stuck.machine, stuck.observer, 1, 0)
  await assert.rejects(thaw(stuck.machine, stuck.observer), /later/)
  assert.equal(isFrozen(stuck.machine), true)
})
