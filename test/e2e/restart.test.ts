// Parts of a running Tandem are killed: Tandem itself, its containerd, a QEMU, a container. What should run on does, what
// should come back does, and no acknowledged write is lost. Also on a disk that is full.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { ApiError } from '../../src/api/errors.ts'
import type { StoredObject } from '../../src/api/meta.ts'
import type { Client } from '../../src/client/client.ts'
import { instanceOf } from '../../src/config.ts'
import { type Machine, machineOf } from './remains.ts'
import { runRounds, withClient } from './restart-rounds.ts'
import { configMaps, instances, lastingPod, machines, namespace, pods, virtualMachine } from './restart-workloads.ts'
import { isAlive, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const images = ['busybox', 'minimal-vm']

const isReady = ({ status }: StoredObject): boolean =>
  status?.conditions?.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True') ??
  false

describe('killed at random moments', () => {
  let tandem: TestTandem
  before(async () => {
    tandem = await startTandem({ images })
  })
  after(() => tandem?.close())

  test('6 rounds', { timeout: 3_600_000 }, async (t) => {
    const seed = Number(process.env.TANDEM_TEST_SEED ?? Date.now() % 1_000_000)
    t.diagnostic(`seed ${seed}: the same moments again with TANDEM_TEST_SEED=${seed}`)
    const { writes } = await runRounds(tandem, 6, seed, (line) => t.diagnostic(line))
    assert.ok(writes > 0)
  })
})

describe('one part dies', () => {
  let tandem: TestTandem
  let machine: Machine
  before(async () => {
    tandem = await startTandem({ images })
    machine = machineOf(tandem.stateDir)
    await withClient(tandem, async (client) => {
      const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace }, data: {} }
      await client.create(configMaps, settings)
      await client.create(pods, lastingPod('web'))
      await client.create(machines, virtualMachine('db'))
      await until('the Pod runs', async () => isReady(await client.get(pods, 'web', namespace)))
      await until('the machine runs', async () => (await list(client)).some(isReady))
    })
  })
  after(() => tandem?.close())

  const list = async (client: Client) => (await client.list(instances, { namespace })).items
  const containerPids = async () => (await machine.tasks()).map(({ process }) => process.pid).sort()
  const emulatorPids = () => [...machine.emulators().values()].flat().map(({ pid }) => pid)
  const restarts = async (client: Client): Promise<number[]> =>
    (await client.get(pods, 'web', namespace)).status.containerStatuses.map(
      (one: { restartCount: number }) => one.restartCount,
    )

  async function mainPid(client: Client): Promise<number> {
    const { status } = await client.get(pods, 'web', namespace)
    const { containerID } = status.containerStatuses.find((one: { name: string }) => one.name === 'main')
    const task = (await machine.tasks()).find(({ id }) => containerID === `containerd://${id}`)
    return task!.process.pid
  }

  test('tandem down, then up: workloads do not notice', async () => {
    const pids = [...(await containerPids()), ...emulatorPids()]
    assert.equal((await tandem.tandem('down')).code, 0)
    assert.ok(pids.every(isAlive))
    await tandem.up()
    assert.deepEqual([...(await containerPids()), ...emulatorPids()], pids)
    await withClient(tandem, async (client) => {
      assert.deepEqual(await restarts(client), [0, 0])
      assert.ok(isReady(await client.get(instances, 'db', namespace)))
    })
  })

  test('containerd: it is started again, containers run on, new ones start', async () => {
    const pids = await containerPids()
    const path = `/run/tandem-${instanceOf(tandem.stateDir)}/containerd.pid`
    const pid = Number(readFileSync(path, 'utf8'))
    process.kill(pid, 'SIGKILL')
    // The file is empty for a moment while the new number is written.
    await until('another containerd runs', () => ![pid, 0].includes(Number(readFileSync(path, 'utf8'))))
    await withClient(tandem, async (client) => {
      await client.create(pods, lastingPod('later'))
      await until('a new Pod runs', async () => isReady(await client.get(pods, 'later', namespace)))
      const still = await containerPids()
      assert.ok(pids.every((one) => still.includes(one)))
      assert.deepEqual(await restarts(client), [0, 0])
      await client.delete(pods, 'later', namespace)
      assert.equal(await tandem.kubectl('exec', 'web', '-c', 'main', '--', 'echo', 'well'), 'well\n')
    })
  })

  test('a container: it is started again as the restart policy says', async () => {
    await withClient(tandem, async (client) => {
      process.kill(await mainPid(client), 'SIGKILL')
      await until('one of the two was restarted', async () => (await restarts(client)).toSorted().join() === '0,1')
      const after = await client.get(pods, 'web', namespace)
      const main = after.status.containerStatuses.find((one: { name: string }) => one.name === 'main')
      assert.equal(main.lastState.terminated.exitCode, 137)
    })
  })

  test('what dies while Tandem does not run comes back with it', async () => {
    const [uid, pid] = await withClient(tandem, async (client) => {
      const instance = await client.get(instances, 'db', namespace)
      // One that ran for less than ten seconds would be started again only after a pause.
      const { phaseTransitionTimestamp } = instance.status.phaseTransitionTimestamps.at(-1)
      await until('the machine has run for a while', () => Date.now() - Date.parse(phaseTransitionTimestamp) > 12_000)
      return [instance.metadata.uid, await mainPid(client)]
    })
    await tandem.kill()
    for (const one of [pid, emulatorPids()[0]!]) process.kill(one, 'SIGKILL')
    await tandem.up()
    await withClient(tandem, async (client) => {
      await until('the container was restarted', async () => (await restarts(client)).toSorted().join() === '0,2')
      await until('the machine runs again', async () =>
        (await list(client)).some((instance) => instance.metadata.uid !== uid && isReady(instance)),
      )
      await until('the Pod is ready', async () => isReady(await client.get(pods, 'web', namespace)))
    })
  })

  test('a QEMU: the machine starts again with its address, after a pause when it ran only shortly', async () => {
    await withClient(tandem, async (client) => {
      const first = await client.get(instances, 'db', namespace)
      // Each time as soon as it is up: one that ran less than ten seconds counts as a failure to start.
      let killed = ''
      await until('it waits', async () => {
        const [instance] = await list(client)
        if (instance && instance.metadata.uid !== killed && isReady(instance)) {
          killed = instance.metadata.uid
          process.kill(emulatorPids()[0]!, 'SIGKILL')
        }
        const { status } = await client.get(machines, 'db', namespace)
        return status.printableStatus === 'CrashLoopBackOff' && status.startFailure.consecutiveFailCount >= 1
      })
      await until('the machine runs again', async () =>
        (await list(client)).some((one) => one.metadata.uid !== killed && isReady(one)),
      )
      const second = await client.get(instances, 'db', namespace)
      assert.equal(second.status.interfaces[0].ipAddress, first.status.interfaces[0].ipAddress)
    })
  })
})

describe('the disk is full', () => {
  let mount: string
  let tandem: TestTandem
  before(async () => {
    mount = mkdtempSync(join(tmpdir(), 'tandem-small-disk-'))
    const stateDir = join(mount, 'state')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', mount])
    mkdirSync(stateDir)
    tandem = await startTandem({ images: ['busybox'], stateDir })
  })
  after(async () => {
    rmSync(join(mount, 'filling'), { force: true })
    await tandem?.close()
    execFileSync('umount', [mount])
    rmSync(mount, { recursive: true })
  })

  const map = (name: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace },
    data: { filling: 'x'.repeat(30_000) },
  })

  test('a write is refused with a Status that says why; nothing acknowledged is lost; it goes on when there is room', async () => {
    const written: string[] = []
    const check = async (client: Client) => {
      for (const name of written)
        assert.equal((await client.get(configMaps, name, namespace)).data.filling.length, 30_000)
    }
    await withClient(tandem, async (client) => {
      await client.create(pods, {
        ...lastingPod('web'),
        spec: { ...lastingPod('web').spec, volumes: [], containers: [bare] },
      })
      await until('the Pod runs', async () => isReady(await client.get(pods, 'web', namespace)))
      const { bavail, bsize } = statfsSync(mount)
      writeFileSync(join(mount, 'filling'), Buffer.alloc(bavail * bsize - 300_000))
      const refusal = await fill(client, 'map', written)
      assert.deepEqual([refusal.reason, refusal.code], ['ServiceUnavailable', 503])
      assert.match(refusal.message, /the disk with .*store\.db is full: make room there, then try again/)
      await check(client)
    })
    await tandem.kill()
    await tandem.up()
    await withClient(tandem, async (client) => {
      await check(client)
      // What a start tidies up can be room for a few more.
      assert.match((await fill(client, 'later', written)).message, /is full: make room/)
      assert.equal(await tandem.kubectl('exec', 'web', '--', 'echo', 'well'), 'well\n')
      rmSync(join(mount, 'filling'))
      await client.create(configMaps, map('fits'))
      await check(client)
      assert.deepEqual((await client.get(pods, 'web', namespace)).status.containerStatuses[0].restartCount, 0)
    })
  })

  const bare = { name: 'main', image: 'tandem.dev/busybox:1', command: ['sleep', '1000000'] }

  /** Writes until it is refused. */
  async function fill(client: Client, what: string, written: string[]): Promise<ApiError> {
    for (let count = 0; count < 1000; count++) {
      try {
        await client.create(configMaps, map(`${what}-${count}`))
        written.push(`${what}-${count}`)
      } catch (error) {
        return error as ApiError
      }
    }
    assert.fail('the disk was never full')
  }
})
