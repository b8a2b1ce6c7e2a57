// Writers of ConfigMaps that keep a book of what the server has acknowledged, and the check of the book against what the
// server has after it was killed.

import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { isApiError } from '../../src/api/errors.ts'
import type { StoredObject } from '../../src/api/meta.ts'
import type { Client } from '../../src/client/client.ts'
import { configMaps, namespace } from './restart-workloads.ts'

/** What is known of one name. */
interface Page {
  /** As acknowledged last; undefined when it is deleted or was never made. */
  object?: { uid: string; resourceVersion: string; data: Record<string, string> }
  /** Sent, and not answered when the connection broke: it may have happened or not. `null` is a delete. */
  unanswered?: Record<string, string> | null
}

export interface Ledger {
  /** Writes with all writers until the server is gone; resolves with how many writes were acknowledged. */
  write(client: Client, random: () => number): Promise<number>
  /** @throws AssertionError when something acknowledged is lost, changed or came back. */
  check(client: Client): Promise<void>
}

/** True for the failure of a request whose connection broke, or that never reached a server. */
export const isCut = (error: unknown): boolean =>
  isApiError(error, 'ServiceUnavailable')
    ? /cannot reach the API server/.test((error as Error).message)
    : ['ECONNRESET', 'ABORT_ERR'].includes((error as NodeJS.ErrnoException).code ?? '')

const inShort = (object: Page['object']): string =>
  object ? `${object.data.value} at revision ${object.resourceVersion} of ${object.uid}` : 'nothing'

const writers = 4
const namesPerWriter = 6

export function createLedger(): Ledger {
  const pages = new Map<string, Page>()
  /** Acknowledged since the last check, in the order of their revisions. */
  let acknowledged: number[] = []
  /** Where the history of the next check begins, and the newest revision that anybody was told of. */
  let checkedUpTo = '0'
  let newest = 0
  let counter = 0

  function saw(resourceVersion: string): void {
    const revision = Number(resourceVersion)
    acknowledged.push(revision)
    newest = Math.max(newest, revision)
  }

  async function writeOne(client: Client, name: string, draw: number): Promise<void> {
    const page = pages.get(name) ?? {}
    pages.set(name, page)
    const { object } = page
    if (object && draw < 0.2) {
      page.unanswered = null
      await client.delete(configMaps, name, namespace, { preconditions: { uid: object.uid } })
      page.object = undefined
    } else {
      const data = { value: `${++counter}`, filling: 'x'.repeat(Math.floor(draw * 3000)) }
      page.unanswered = data
      const metadata = { name, namespace }
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }
      let stored: StoredObject
      if (!object) stored = await client.create(configMaps, body)
      else if (draw < 0.6)
        stored = await client.update(configMaps, {
          ...body,
          metadata: { ...metadata, resourceVersion: object.resourceVersion },
        })
      else stored = await client.patch(configMaps, name, namespace, 'merge', { data })
      const { uid, resourceVersion } = stored.metadata
      saw(resourceVersion)
      page.object = { uid, resourceVersion, data }
    }
    page.unanswered = undefined
  }

  async function writer(client: Client, number: number, random: () => number): Promise<number> {
    for (let writes = 0; ; writes++) {
      try {
        await writeOne(client, `writer-${number}-${Math.floor(random() * namesPerWriter)}`, random())
      } catch (error) {
        if (isCut(error)) return writes
        throw error
      }
    }
  }

  async function checkObjects(client: Client): Promise<void> {
    const { items, metadata } = await client.list(configMaps, { namespace })
    assert.ok(Number(metadata.resourceVersion) >= newest, `revisions went back to ${metadata.resourceVersion}`)
    checkedUpTo = metadata.resourceVersion!
    const found = new Map(items.map((item) => [item.metadata.name, item]))
    for (const [name, page] of pages) {
      const { unanswered } = page
      const object = found.get(name)
      page.unanswered = undefined
      if (unanswered === null && !object) page.object = undefined
      else if (unanswered && object && object.data.value === unanswered.value) {
        assert.deepEqual(object.data, unanswered, name)
        assert.ok(Number(object.metadata.resourceVersion) > Number(page.object?.resourceVersion ?? 0), name)
        if (page.object) assert.equal(object.metadata.uid, page.object.uid, name)
        const { uid, resourceVersion } = object.metadata
        page.object = { uid, resourceVersion, data: unanswered }
      } else {
        const stored = object && {
          uid: object.metadata.uid,
          resourceVersion: object.metadata.resourceVersion,
          data: object.data,
        }
        const texts = [stored, page.object].map(inShort)
        assert.ok(isDeepStrictEqual(stored, page.object), `${name}: stored ${texts[0]}, acknowledged ${texts[1]}`)
      }
    }
    for (const [name] of found) assert.ok(/^writer-/.test(name) === pages.has(name), `${name} was never written`)
  }

  /** Every acknowledged put is an event of the watch that goes on from before. */
  async function checkHistory(client: Client, from: string): Promise<void> {
    if (from === '0') return
    const missing = new Set(acknowledged.filter((revision) => revision > Number(from)))
    if (missing.size === 0) return
    let last = Number(from)
    for await (const { object } of client.watch(configMaps, {
      namespace,
      resourceVersion: from,
      timeoutSeconds: 120,
    })) {
      const revision = Number(object.metadata.resourceVersion)
      assert.ok(revision > last, `the watch told of ${revision} after ${last}`)
      last = revision
      missing.delete(revision)
      if (missing.size === 0) break
    }
    assert.deepEqual([...missing], [], 'acknowledged, but not in the history')
  }

  return {
    async write(client, random) {
      const counts = await Promise.all(Array.from({ length: writers }, (_, number) => writer(client, number, random)))
      return counts.reduce((sum, count) => sum + count, 0)
    },
    async check(client) {
      const from = checkedUpTo
      await checkObjects(client)
      await checkHistory(client, from)
      acknowledged = []
    },
  }
}
