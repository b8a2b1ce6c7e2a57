// What every VMM promises, told with guests that it really runs. A driver's test gives the way to start one; the guest says
// `guest: ready …` once, then `tick <number>` ten times a second, and ends when its power button is pressed.

import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { VmmAbsent, type VmmControl } from './driver.ts'

export interface StartedVmm {
  control: VmmControl
  directory: string
  /** How its process ended: `exit code 0`, `killed by SIGKILL`. */
  ended: Promise<string>
  /** What it has written itself, as of what is wrong. */
  log(): string
  kill(): void
}

export interface VmmSubject {
  /** Boots a guest: `whole` with a disk, a card and a shared folder, `bare` without. `waiting`: waits for a saved bare one. */
  start(what: 'whole' | 'bare' | 'waiting'): Promise<StartedVmm>
  /** What the whole guest is to say of itself when it is ready. */
  expected: string
  /** Makes a folder in the directory of a VMM into which it may write. */
  folder(vmm: StartedVmm, name: string): string
  /** What is left of VMMs that have ended. */
  left(): Promise<string[]>
  close(): Promise<void>
}

const patienceMs = 240_000
/** Several ticks long. */
const whileMs = 500

export function vmmContract(name: string, open: () => Promise<VmmSubject>): void {
  const check = (what: string, body: (subject: VmmSubject) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const subject = await open()
      try {
        await body(subject)
        assert.deepEqual(await subject.left(), [])
      } finally {
        await subject.close()
      }
    })

  check(
    'a guest has the hardware that it was given, stands still and goes on, and ends when asked',
    async (subject) => {
      const vmm = await subject.start('whole')
      const { control, ended } = vmm
      const said = await heard(vmm, /guest: ready .*\r?\n/)
      assert.ok(said.includes(`guest: ready ${subject.expected}`), said)
      assert.equal(await control.state(), 'running')
      await control.pause()
      assert.equal(await control.state(), 'paused')
      await control.console()
      await sleep(whileMs)
      assert.equal(await control.console(), '', 'a paused guest says nothing')
      await control.resume()
      assert.equal(await control.state(), 'running')
      await heard(vmm, /tick \d+\r?\n/)
      await control.pressPower()
      assert.equal(await ended, 'exit code 0')
      assert.equal(await control.state(), 'absent')
    },
  )

  check('a saved guest goes on in other VMMs, as often as one likes', async (subject) => {
    const first = await subject.start('bare')
    const booted = await heard(first, /tick \d+\r?\n/)
    await first.control.pause()
    const before = lastTick(booted + (await first.control.console()))
    let saved = subject.folder(first, 'saved')
    await first.control.save('saved')
    await first.control.quit()
    await first.ended
    for (let turn = 0; turn < 2; turn++) {
      const next = await subject.start('waiting')
      await untilAnswers(next.control)
      const here = join(next.directory, 'saved')
      renameSync(saved, here)
      saved = here
      await next.control.load('saved')
      assert.equal(await next.control.state(), 'paused')
      await next.control.resume()
      const said = await heard(next, /tick \d+\r?\n/)
      assert.doesNotMatch(said, /ready/, 'it has not booted')
      assert.ok(lastTick(said) > before, `${said} comes after ${before}`)
      await next.control.quit()
      await next.ended
    }
  })

  check('one that is killed is seen to be gone, and what is asked of it is refused', async (subject) => {
    const vmm = await subject.start('bare')
    const { control, ended, kill } = vmm
    await heard(vmm, /guest: ready/)
    kill()
    assert.equal(await ended, 'killed by SIGKILL')
    assert.equal(await control.state(), 'absent')
    await assert.rejects(control.pause(), VmmAbsent)
    await assert.rejects(control.console(), VmmAbsent)
  })
}

/** Listens until the guest has said it; returns all that it has said meanwhile. */
async function heard({ control, ended, log }: StartedVmm, words: RegExp): Promise<string> {
  let said = ''
  let how: string | undefined
  void ended.then((text) => {
    how = text
  })
  for (const end = Date.now() + patienceMs; !words.test(said); await sleep(50)) {
    said += await control.console().catch((error) => {
      // Its sockets are not there yet.
      if (error instanceof VmmAbsent && how === undefined) return ''
      if (how === undefined) throw error
      throw new Error(`the VMM ended (${how}: ${log()}) before the guest said ${words}: ${said}`)
    })
    if (Date.now() > end) throw new Error(`the guest does not say ${words}: ${said}`)
  }
  return said
}

async function untilAnswers(control: VmmControl): Promise<void> {
  for (const end = Date.now() + patienceMs; (await control.state()) === 'absent'; await sleep(20))
    if (Date.now() > end) throw new Error('the VMM does not answer')
}

const lastTick = (said: string): number => Number([...said.matchAll(/tick (\d+)\r?\n/g)].at(-1)![1])
