import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHistory } from './container-history.ts'
import type { ContainerRecord } from './records.ts'

const exited = (): ContainerRecord =>
  ({ id: 'a', name: 'main', sandboxId: 's', restartCount: 0, state: 'exited', exitCode: 42, message: '' }) as never

/** @param containerStatus what the runtime answers when it is asked for one */
function history(containerStatus = async (): Promise<object> => ({})) {
  const view = { pod: { metadata: { uid: 'u' } }, containers: new Map<string, ContainerRecord[]>() }
  const cri = { containerStatus, removeContainer: async () => ({}) }
  const { put, refresh, discard } = createHistory(view as never, {
    shared: { containerd: { cri }, clock: { now: () => 0 } } as never,
    files: { readTerminationMessage: async () => 'over', removeLogs: async () => {} } as never,
    probing: { forget() {}, watch() {} } as never,
    spec: () => undefined,
    background: () => {},
  })
  return { put, refresh, discard, records: () => view.containers.get('main') ?? [] }
}

test('last words stay when the end is told again', async () => {
  const { put, records } = history()
  await put({ ...exited(), state: 'running' })
  await put(exited())
  await put(exited())
  assert.deepEqual(
    records().map(({ message }) => message),
    ['over'],
  )
})

test('an end that is told twice at once is one container', async () => {
  const { put, records } = history()
  await Promise.all([put(exited()), put(exited())])
  assert.deepEqual(
    records().map(({ message }) => message),
    ['over'],
  )
})

test('a container that is discarded while the runtime is asked about it has not ended', async () => {
  let answer = (_: object) => {}
  const { put, refresh, discard, records } = history(
    () =>
      new Promise((resolve) => {
        answer = resolve
      }),
  )
  const half: ContainerRecord = { ...exited(), state: 'created' }
  await put(half)
  const [early, late] = [refresh(half), discard(half)]
  answer({})
  await Promise.all([early, late])
  assert.deepEqual(records(), [])
  await put(half)
  const refreshed = refresh(half)
  answer({})
  await refreshed
  assert.deepEqual(records(), [half], 'gone from the runtime, and not yet from here')
  const again = refresh(half)
  await discard(half)
  answer({})
  await again
  assert.deepEqual(records(), [])
})

test('the end of a container that is discarded meanwhile does not bring it back', async () => {
  const { put, discard, records } = history()
  const running: ContainerRecord = { ...exited(), state: 'running' }
  await put(running)
  await Promise.all([put(exited()), discard(running)])
  assert.deepEqual(records(), [])
})

test('a start that comes to nothing, of a container that was found half-made, is no end of it', async () => {
  const { put, records } = history()
  await put({ ...exited(), state: 'created' })
  await put({ ...exited(), exitCode: 128, reason: 'StartError' })
  assert.deepEqual(
    records().map(({ state }) => state),
    ['created'],
  )
})
