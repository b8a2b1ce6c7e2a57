// Every run strategy, and everything that can happen to it: a real Tandem, real QEMUs and guests that boot in a blink.
// Needs root; run it with
//   node --test --test-isolation=none test/e2e/run-strategies.test.ts

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isApiError } from '../../src/api/errors.ts'
import type { StoredObject } from '../../src/api/meta.ts'
import { openConsole } from './console.fixture.ts'
import { buildDiskImage } from './disk-image.fixture.ts'
import { guestDisk, guestKeys } from './machines-guest.ts'
import { withClient } from './restart-rounds.ts'
import { instances, machines, namespace } from './restart-workloads.ts'
import { type Happening, type Outcome, outcomes, type Strategy, strategies } from './run-strategies.outcomes.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

/** A crash sooner than this after the start is a failure to start, which waits before its next try. */
const shortestRunMs = 10_000

const nameOf = (strategy: Strategy): string => strategy.toLowerCase()
const withGuest = strategies.filter((strategy) => outcomes[strategy]['guest crash'])

interface Seen {
  machine: StoredObject
  instance: StoredObject | undefined
}

describe('run strategies', () => {
  let tandem: TestTandem
  let image: string

  const machine = (strategy: Strategy) => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: nameOf(strategy), namespace },
    spec: {
      runStrategy: strategy,
      template: {
        spec: {
          terminationGracePeriodSeconds: 30,
          domain: {
            memory: { guest: '32Mi' },
            devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }], autoattachGraphicsDevice: false },
          },
          volumes: [{ name: 'root', containerDisk: { image } }],
        },
      },
    },
  })

  const look = (strategy: Strategy): Promise<Seen> =>
    withClient(tandem, async (client) => ({
      machine: await client.get(machines, nameOf(strategy), namespace),
      instance: await client.get(instances, nameOf(strategy), namespace).catch((error) => {
        if (isApiError(error, 'NotFound')) return undefined
        throw error
      }),
    }))

  const seenAs = (before: Seen | undefined, strategy: Strategy, now: Seen, answer?: string): Outcome => {
    const { runStrategy } = now.machine.spec
    const uid = now.instance?.metadata.uid
    return {
      ...(answer && { answer }),
      status: now.machine.status?.printableStatus,
      phase: now.instance ? (now.instance.status?.phase ?? '') : 'none',
      instance: !uid ? 'none' : uid === before?.instance?.metadata.uid ? 'same' : 'new',
      ...(runStrategy !== strategy && { becomes: runStrategy }),
    }
  }

  /** Waits for what is to follow; tells what came instead. */
  async function follows(happening: Happening, strategy: Strategy, before: Seen | undefined, answer?: string) {
    const expected = outcomes[strategy][happening]
    let seen: Outcome | undefined
    const isSo = async () => {
      seen = seenAs(before, strategy, await look(strategy), answer)
      return JSON.stringify(seen) === JSON.stringify(expected)
    }
    await until(`${strategy}, ${happening}`, isSo).catch(() => {})
    assert.deepEqual(seen, expected, `${strategy}, ${happening}`)
  }

  async function put(strategy: Strategy, verb: string): Promise<string> {
    const base = '/apis/subresources.kubevirt.io/v1/namespaces'
    const path = `${base}/${namespace}/virtualmachines/${nameOf(strategy)}/${verb}`
    const { code, stderr } = await tandem.tryKubectl(['replace', '--raw', path, '-f', '-'], '{}')
    if (code === 0) return '202'
    return `409 ${/virtualmachine\.kubevirt\.io "[^"]+": (.*)/.exec(stderr)?.[1] ?? stderr}`
  }

  const pidOf = (instance: StoredObject): number =>
    JSON.parse(readFileSync(join(tandem.stateDir, 'machines', instance.metadata.uid, 'machine.json'), 'utf8')).process
      .pid

  /** It happens to all of them at once, once each has run for long enough; then what follows is looked at. */
  async function happens(happening: Happening, among: readonly Strategy[], act: (seen: Seen) => unknown) {
    const before = new Map<Strategy, Seen>()
    for (const strategy of among) {
      // An end that is no failure is none after any time.
      const seen = await (happening === 'guest poweroff' ? look(strategy) : ranWell(strategy))
      before.set(strategy, seen)
    }
    for (const seen of before.values()) await act(seen)
    for (const strategy of among) await follows(happening, strategy, before.get(strategy))
  }

  async function ranWell(strategy: Strategy): Promise<Seen> {
    let seen = await look(strategy)
    await until(`${strategy} has run for ten seconds`, async () => {
      seen = await look(strategy)
      const times: any[] = seen.instance?.status?.phaseTransitionTimestamps ?? []
      const since = times.find(({ phase }) => phase === 'Running')?.phaseTransitionTimestamp
      return since !== undefined && Date.now() - Date.parse(since) > shortestRunMs + 1_000
    })
    return seen
  }

  /** Those that stay off run again. */
  async function revive(): Promise<void> {
    await put('Manual', 'start')
    if (!(await look('RerunOnFailure')).instance) await put('RerunOnFailure', 'start')
    // An instance of Once that is taken away is the only way to another one.
    await withClient(tandem, (client) => client.delete(instances, nameOf('Once'), namespace))
    for (const strategy of withGuest)
      await until(`${strategy} runs again`, async () => {
        const { machine, instance } = await look(strategy)
        return machine.status?.printableStatus === 'Running' && !instance?.metadata.deletionTimestamp
      })
  }

  async function press({ instance }: Seen, key: string): Promise<void> {
    const console = await openConsole(tandem.kubeconfig, instance!.metadata.name)
    console.send('x')
    await console.expect(/x/, { again: 'x' })
    console.send(key)
    console.close()
  }

  before(async () => {
    tandem = await startTandem()
    image = await buildDiskImage(tandem, 'blink', (path) => writeFileSync(path, guestDisk()))
  })
  after(async () => {
    await tandem?.close()
  })

  test('create', async () => {
    await withClient(tandem, async (client) => {
      for (const strategy of strategies) await client.create(machines, machine(strategy))
    })
    for (const strategy of strategies) await follows('create', strategy, undefined)
  })

  test('stop of those that are off, start of all', async () => {
    for (const strategy of strategies) {
      if (withGuest.includes(strategy)) continue
      const before = await look(strategy)
      await follows('stop', strategy, before, await put(strategy, 'stop'))
    }
    for (const strategy of strategies) {
      // These two are wanted as they are for what comes next.
      if (strategy === 'Halted' || strategy === 'Hibernated') continue
      const before = await look(strategy)
      await follows('start', strategy, before, await put(strategy, 'start'))
    }
  })

  test('Tandem killed: nothing changes, and every QEMU is the same process', async () => {
    const before = new Map<Strategy, Seen>()
    for (const strategy of strategies) before.set(strategy, await look(strategy))
    const pids = () => withGuest.map((strategy) => pidOf(before.get(strategy)!.instance!))
    const earlier = pids()
    await tandem.kill()
    await tandem.up()
    for (const strategy of strategies) await follows('Tandem killed', strategy, before.get(strategy))
    assert.deepEqual(pids(), earlier)
  })

  test('QEMU killed', async () => {
    await happens('QEMU killed', withGuest, ({ instance }) => process.kill(pidOf(instance!), 'SIGKILL'))
    await revive()
  })

  test('the guest crashes', async () => {
    await happens('guest crash', withGuest, (seen) => press(seen, guestKeys.panic))
    await revive()
  })

  test('the guest turns itself off', async () => {
    await happens('guest poweroff', withGuest, (seen) => press(seen, guestKeys.powerOff))
    await revive()
  })

  test('stop of those that run, start of those that are off', async () => {
    const before = new Map<Strategy, { seen: Seen; answer: string }>()
    for (const strategy of withGuest) {
      const seen = await look(strategy)
      before.set(strategy, { seen, answer: await put(strategy, 'stop') })
    }
    for (const [strategy, { seen, answer }] of before) await follows('stop', strategy, seen, answer)
    for (const strategy of ['Halted', 'Hibernated'] as const)
      await follows('start', strategy, await look(strategy), await put(strategy, 'start'))
  })
})
