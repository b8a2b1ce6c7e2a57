import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHistory } from './container-history.ts'
import type { ContainerRecord } from './records.ts'

const exited = (): ContainerRecord =>
  ({ id: 'a', name: 'main', sandboxId: 's', restartCount: 0, state: 'exited', exitCode: 42, message: '' }) as never

function history() {
  const view = { pod: { metadata: { uid: 'u' } }, containers: new Map<string, ContainerRecord[]>() }
  const { put } = createHistory(view as never, {
    shared: { containerd: {} } as never,
    files: { readTerminationMessage: async () => 'over' } as never,
    probing: { forget() {}, watch() {} } as never,
    spec: () => undefined,
    background: () => {},
  })
  return { put, records: () => view.containers.get('main') ?? [] }
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
