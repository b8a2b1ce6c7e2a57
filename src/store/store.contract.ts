// What every store promises. A driver's test calls this with a way to open one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Compacted, type Entry, RevisionMismatch, type Store, type StoreEvent } from './store.ts'

const text = (value: string) => (revision: number) => `${value}@${revision}`

export function storeContract(name: string, open: () => Promise<Store>): void {
  const check = (what: string, body: (store: Store) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const store = await open()
      try {
        await body(store)
      } finally {
        await store.close()
      }
    })

  const put = (store: Store, key: string, value: string, expected?: number): Promise<Entry> =>
    store.write({ key, value: text(value), ...(expected !== undefined && { expected }) })

  check('a write is visible when it resolves, with its own revision inside', async (store) => {
    const entry = await put(store, '/a/1', 'x', 0)
    assert.equal(entry.value, `x@${entry.revision}`)
    assert.deepEqual(store.get('/a/1'), entry)
    assert.equal(store.revision(), entry.revision)
    assert.equal(entry.created, entry.revision)
  })

  check('revisions rise by one a write, across keys, and keep the creation', async (store) => {
    const first = await put(store, '/a/1', 'x')
    const other = await put(store, '/b/1', 'y')
    const second = await put(store, '/a/1', 'z')
    assert.deepEqual([other.revision, second.revision], [first.revision + 1, first.revision + 2])
    assert.equal(second.created, first.created)
  })

  check('compare-and-swap', async (store) => {
    const first = await put(store, '/a/1', 'x', 0)
    await assert.rejects(put(store, '/a/1', 'y', 0), (error) => {
      return error instanceof RevisionMismatch && error.current === first.revision
    })
    const second = await put(store, '/a/1', 'y', first.revision)
    await assert.rejects(put(store, '/a/1', 'z', first.revision), RevisionMismatch)
    assert.equal(store.get('/a/1')?.revision, second.revision)
  })

  check('of many who write the same revision at once, one wins', async (store) => {
    const { revision } = await put(store, '/a/1', 'x')
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => put(store, '/a/1', `w${index}`, revision)),
    )
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
    const lost = results.find((result) => result.status === 'rejected')
    assert.ok(lost?.reason instanceof RevisionMismatch)
    assert.equal(lost.reason.current, store.get('/a/1')?.revision)
  })

  check('a delete leaves nothing; a second one says so; the key can be made again', async (store) => {
    const first = await put(store, '/a/1', 'x')
    const gone = await store.write({ key: '/a/1', value: null, last: (revision) => `last@${revision}` })
    assert.equal(gone.value, `last@${gone.revision}`)
    assert.equal(store.get('/a/1'), undefined)
    await assert.rejects(store.write({ key: '/a/1', value: null }), RevisionMismatch)
    const again = await put(store, '/a/1', 'y', 0)
    assert.ok(again.created > first.created)
  })

  check('lists a prefix in key order, in pages', async (store) => {
    for (const key of ['/a/3', '/a/1', '/b/1', '/a/2', '/a']) await put(store, key, 'x')
    const listed = (options?: { after?: string; limit?: number }) =>
      store.list('/a/', options).map((entry) => entry.key)
    assert.deepEqual(listed(), ['/a/1', '/a/2', '/a/3'])
    assert.deepEqual(listed({ limit: 2 }), ['/a/1', '/a/2'])
    assert.deepEqual(listed({ after: '/a/2' }), ['/a/3'])
    assert.deepEqual(listed({ after: '/a/2x' }), ['/a/3'])
    assert.equal(store.count('/a/'), 3)
  })

  check('keeps order and count over more keys than one chunk holds', async (store) => {
    const names = Array.from({ length: 1500 }, (_, index) => `/k/${String((index * 7919) % 1500).padStart(4, '0')}`)
    await Promise.all(names.map((key) => put(store, key, 'x')))
    assert.deepEqual(
      store.list('/k/').map((entry) => entry.key),
      [...names].sort(),
    )
    await Promise.all(names.slice(0, 1400).map((key) => store.write({ key, value: null })))
    assert.equal(store.count('/k/'), 100)
    assert.equal(store.list('/k/', { limit: 30, after: '/k/0700' }).length, 30)
  })

  check('a watch replays history, then follows, each event once and in order', async (store) => {
    const first = await put(store, '/a/1', 'x')
    await put(store, '/b/1', 'other')
    await put(store, '/a/1', 'y')
    const seen: StoreEvent[] = []
    const watch = store.watch('/a/', first.revision, (events) => seen.push(...events))
    await put(store, '/a/2', 'z')
    await store.write({ key: '/a/1', value: null })
    watch.close()
    await put(store, '/a/3', 'late')
    assert.deepEqual(
      seen.map((event) => [event.type, event.key, event.value.split('@')[0], event.previous?.value.split('@')[0]]),
      [
        ['put', '/a/1', 'y', 'x'],
        ['put', '/a/2', 'z', undefined],
        ['delete', '/a/1', 'y', 'y'],
      ],
    )
    const revisions = seen.map((event) => event.revision)
    assert.deepEqual(
      revisions,
      [...revisions].sort((a, b) => a - b),
    )
  })

  check('a list at an old revision is as it was', async (store) => {
    await put(store, '/a/1', 'x')
    const { revision } = await put(store, '/a/2', 'x')
    await put(store, '/a/1', 'new')
    await store.write({ key: '/a/2', value: null })
    await put(store, '/a/3', 'x')
    const old = await store.listAt('/a/', revision)
    assert.deepEqual(
      old.map((entry) => [entry.key, entry.value.split('@')[0]]),
      [
        ['/a/1', 'x'],
        ['/a/2', 'x'],
      ],
    )
    assert.equal((await store.listAt('/a/', revision, { after: '/a/1', limit: 1 }))[0]?.key, '/a/2')
  })

  check('compaction forgets history, never the newest state', async (store) => {
    const first = await put(store, '/a/1', 'x')
    await put(store, '/a/1', 'y')
    await put(store, '/a/2', 'gone')
    await store.write({ key: '/a/2', value: null })
    const last = await put(store, '/a/1', 'z')
    await store.compact(last.revision)
    assert.equal(store.compacted(), last.revision)
    assert.equal(store.get('/a/1')?.revision, last.revision)
    assert.throws(() => store.watch('/a/', first.revision, () => {}), Compacted)
    await assert.rejects(store.listAt('/a/', first.revision), Compacted)
    assert.deepEqual(await store.listAt('/a/', last.revision), [last])
    const seen: StoreEvent[] = []
    store.watch('/a/', last.revision, (events) => seen.push(...events))
    await put(store, '/a/1', 'after')
    assert.equal(seen[0]?.previous?.revision, last.revision)
  })
}
