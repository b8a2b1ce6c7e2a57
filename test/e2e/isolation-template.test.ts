// Pods in machines that go on from a saved state: each is somebody of its own before its first program runs, and a state that
// is of no use costs time, not the Pod. What the guest's kernel kills for memory is said by name.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { home, startTandem, type TestTandem, until } from './tandem.fixture.ts'

let tandem: TestTandem
const limit = 72
/** Of a size that no other test has, so that it is made here. */
const templates = join(home, '.cache/microvm/templates')
const ofThisSize = () =>
  existsSync(templates) ? readdirSync(templates).filter((name) => name.endsWith(`-${limit + 64}m-1`)) : []
const forget = () => {
  for (const name of ofThisSize()) rmSync(join(templates, name), { recursive: true, force: true })
}

const pod = (name: string, command = ['sleep', '1000']) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    runtimeClassName: 'microvm',
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 1,
    containers: [
      { name: 'main', image: 'tandem.dev/busybox:1', command, resources: { limits: { memory: `${limit}Mi` } } },
    ],
  },
})

const ready = (...names: string[]) =>
  tandem.kubectl('wait', '--for=condition=Ready', ...names.map((name) => `pod/${name}`), '--timeout=480s')

/** How many QEMUs of this Tandem went on from a state. */
const copies = () =>
  readdirSync('/proc').filter((pid) => {
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      return argv[0]!.includes('qemu') && argv.includes('-incoming') && mountsOf(pid).includes(runOf())
    } catch {
      return false
    }
  }).length
const mountsOf = (pid: string) => readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
const runOf = () => readdirSync('/run').find((name) => pidIn(name) === tandem.pid())!
const pidIn = (name: string) => {
  try {
    return Number(readFileSync(`/run/${name}/tandem.pid`, 'utf8'))
  } catch {
    return undefined
  }
}

/** What a machine needs is fetched, it boots, it is saved when it stands still, and two go on: all of it emulated. */
const patient = { timeout: 3_600_000 }

before(async () => {
  forget()
  tandem = await startTandem({ images: ['busybox'] })
  await tandem.apply(pod('first'))
  await ready('first')
  assert.equal(copies(), 0)
  await until('the state is saved', () => ofThisSize().length > 0, 1_500_000)
  await tandem.apply([pod('one'), pod('two')])
  await ready('one', 'two')
}, patient)

after(async () => {
  await tandem?.close()
  forget()
})

test('two copies share nothing that has to be their own', patient, async () => {
  assert.equal(copies(), 2)
  const script = `hostname; cat /proc/sys/kernel/random/boot_id; head -c 32 /dev/urandom | base64
cat /sys/class/net/eth0/address; ip -o -4 address show dev eth0 | awk '{ print $4 }'; date +%s`
  const [one, two] = await Promise.all(
    ['one', 'two'].map(async (name) => {
      const before = Math.floor(Date.now() / 1000)
      const said = (await tandem.kubectl('exec', name, '--', 'sh', '-c', script)).trim().split('\n')
      const now = Number(said.pop())
      assert.ok(now >= before - 1 && now <= Date.now() / 1000 + 1, `clock of ${name}: ${now} after ${before}`)
      assert.equal(said[0], name)
      const address = await tandem.kubectl('get', 'pod', name, '-o', 'jsonpath={.status.podIP}')
      assert.equal(said.at(-1), `${address}/32`)
      return said
    }),
  )
  for (const [index, value] of one!.entries()) assert.notEqual(value, two![index])
})

test('a container that takes more than its memory is OOMKilled', async () => {
  await tandem.apply(pod('greedy', ['tail', '/dev/zero']))
  const state = 'jsonpath={.status.containerStatuses[0].state.terminated}'
  let ended = ''
  await until('it has ended', async () => {
    ended = await tandem.kubectl('get', 'pod', 'greedy', '-o', state)
    return ended !== ''
  })
  const { reason, exitCode } = JSON.parse(ended)
  assert.deepEqual([reason, exitCode], ['OOMKilled', 137])
  await tandem.kubectl('delete', 'pod', 'greedy')
  await until('its machine is gone', () => copies() === 2)
})

test('a state that cannot be loaded: the machine boots', async () => {
  const path = join(templates, ofThisSize()[0]!, 'devices')
  writeFileSync(path, Buffer.alloc(statSync(path).size, 'not a state '))
  await tandem.apply(pod('three'))
  await ready('three')
  assert.equal((await tandem.kubectl('exec', 'three', '--', 'hostname')).trim(), 'three')
  assert.equal(copies(), 2)
})
