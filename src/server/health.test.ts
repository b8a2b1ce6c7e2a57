// The health pages.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from './server.fixture.ts'

test('a server that waits is alive and not ready', async () => {
  let waitsFor: string | undefined = 'the node is still starting'
  const { call, server } = await startServer({ checks: { node: () => waitsFor } })
  const page = async (url: string) => {
    const { status, text } = await call('GET', url)
    return [status, text]
  }
  assert.deepEqual(await page('/livez'), [200, 'ok'])
  assert.deepEqual(await page('/readyz'), [
    500,
    '[+]ping ok\n[-]node failed: the node is still starting\n[+]shutdown ok\nreadyz check failed\n',
  ])
  assert.deepEqual(await page('/readyz?exclude=node'), [200, 'ok'])
  assert.deepEqual(await page('/readyz/node'), [500, 'internal server error: readyz: the node is still starting\n'])
  waitsFor = undefined
  assert.deepEqual(await page('/readyz?verbose&exclude=other'), [
    200,
    '[+]ping ok\n[+]node ok\n[+]shutdown ok\nwarn: some health checks cannot be excluded: no matches for "other"\nreadyz check passed\n',
  ])
  assert.deepEqual(await page('/livez/node'), [404, '404 page not found\n'])
  server.stop()
  assert.equal((await page('/readyz'))[0], 500)
  assert.equal((await page('/healthz'))[0], 200)
})
