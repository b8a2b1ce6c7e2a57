// The router between runtimes: who is asked for what, and what comes together.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cri, isNotFound, notFound, type TaskEvent } from './client.ts'
import { routed, type SandboxRuntime } from './route.ts'

function runtime(name: string): { asked: string[]; send: (event: TaskEvent) => void; cri: Cri & SandboxRuntime } {
  const asked: string[] = []
  const listeners = new Set<(event: TaskEvent) => void>()
  const answers: Record<string, unknown> = {
    listPodSandbox: { items: [{ id: `${name}-pod` }] },
    listContainers: { containers: [{ id: `${name}-container` }] },
    listContainerStats: { stats: [{ attributes: { id: `${name}-container` } }] },
    containerIds: new Set([`${name}-container`]),
  }
  const own = {
    handlers: [name],
    owns: (id: string) => id.startsWith(`${name}-`),
    subscribe(listener: (event: TaskEvent) => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const cri = new Proxy(own as unknown as Cri & SandboxRuntime, {
    get: (target, key: string) =>
      Reflect.get(target, key) ??
      ((input: unknown) => {
        asked.push(`${key} ${JSON.stringify(input)}`)
        return Promise.resolve(answers[key] ?? {})
      }),
    ownKeys: () => ['imageStatus', 'version', 'containerIds'],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  })
  const send = (event: TaskEvent) => {
    for (const listener of listeners) listener(event)
  }
  return { asked, send, cri }
}

test('containerd alone is asked directly', () => {
  const { cri } = runtime('containerd')
  assert.equal(routed(cri, []), cri)
})

test('a sandbox goes where its handler says, and everything about it stays there', async () => {
  const [first, second] = [runtime('containerd'), runtime('vm')]
  const cri = routed(first.cri, [second.cri])
  await cri.runPodSandbox({ runtimeHandler: '' })
  await cri.runPodSandbox({ runtimeHandler: 'runsc' })
  await cri.runPodSandbox({ runtimeHandler: 'vm' })
  await cri.createContainer({ podSandboxId: 'vm-pod' })
  await cri.stopContainer({ containerId: 'vm-container', timeout: 3 })
  await cri.containerStatus({ containerId: 'abc' })
  await cri.imageStatus({ image: { image: 'x' } })
  await cri.openPort('vm-pod', 80)
  await cri.openExec({ containerId: 'abc', cmd: ['id'], stdin: false, stdout: true, stderr: true, tty: false })
  const names = (asked: string[]) => asked.map((line) => line.split(' ')[0])
  assert.deepEqual(names(first.asked), ['runPodSandbox', 'runPodSandbox', 'containerStatus', 'imageStatus', 'openExec'])
  assert.deepEqual(names(second.asked), ['runPodSandbox', 'createContainer', 'stopContainer', 'openPort'])
  assert.equal(second.asked[2], 'stopContainer {"containerId":"vm-container","timeout":3}')
})

test('lists and events of all come together', async () => {
  const [first, second] = [runtime('containerd'), runtime('vm')]
  const cri = routed(first.cri, [second.cri])
  const filter = { labelSelector: { app: 'web' } }
  const { items } = await cri.listPodSandbox({ filter })
  assert.deepEqual(
    items.map(({ id }) => id),
    ['containerd-pod', 'vm-pod'],
  )
  assert.deepEqual(second.asked, [`listPodSandbox ${JSON.stringify({ filter })}`])
  const { containers } = await cri.listContainers({})
  assert.deepEqual(
    containers.map(({ id }) => id),
    ['containerd-container', 'vm-container'],
  )
  assert.equal((await cri.listContainerStats({})).stats.length, 2)
  const seen: string[] = []
  const end = cri.subscribe(
    ({ containerId }) => seen.push(containerId),
    () => {},
  )
  first.send({ topic: '/tasks/exit', containerId: 'a' })
  second.send({ topic: '/tasks/exit', containerId: 'b' })
  end()
  second.send({ topic: '/tasks/exit', containerId: 'c' })
  assert.deepEqual(seen, ['a', 'b'])
})

test('what a runtime in this process does not know is not found', () => {
  assert.ok(isNotFound(notFound('container "vm-1" not found')))
})
