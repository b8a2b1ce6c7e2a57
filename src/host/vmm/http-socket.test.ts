// The way over a unix socket, against a real server on one: what comes through, and what is said when it does not.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { VmmAbsent, VmmRefused } from './driver.ts'
import { askVmm, faultText, type VmmRequest } from './http-socket.ts'

const title = 'The VMM'
const pause: VmmRequest = { method: 'PUT', path: '/api/v1/vm.pause' }

async function served(answer: RequestListener, work: (path: string, server: Server) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-'))
  const path = join(folder, 'api.sock')
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    await work(path, server)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true })
  }
}

test('method, path and body arrive, and the answer comes back', async () => {
  const seen: string[] = []
  const listener: RequestListener = (request, response) => {
    let body = ''
    request.on('data', (part) => {
      body += part
    })
    request.on('end', () => {
      seen.push(`${request.method} ${request.url} ${request.headers['content-length'] ?? '-'} ${body}`)
      if (request.method === 'GET') response.end('{"state":"Running"}')
      else response.writeHead(204).end()
    })
  }
  await served(listener, async (path) => {
    const asked = { method: 'PUT', path: '/api/v1/vm.snapshot', body: { destination_url: 'file://ü' } } as const
    assert.equal(await askVmm({ title, path }, asked), undefined)
    assert.deepEqual(await askVmm({ title, path }, { method: 'GET', path: '/api/v1/vm.info' }), { state: 'Running' })
  })
  const body = '{"destination_url":"file://ü"}'
  assert.deepEqual(seen, [`PUT /api/v1/vm.snapshot ${Buffer.byteLength(body)} ${body}`, 'GET /api/v1/vm.info - '])
})

test('a refusal says what was refused, and why', async () => {
  const listener: RequestListener = (_, response) => {
    response.writeHead(500).end('["Error from API","The VM could not be paused","VM is not\\nrunning"]')
  }
  await served(listener, (path) =>
    assert.rejects(askVmm({ title, path }, pause), (error) => {
      assert.ok(error instanceof VmmRefused)
      const why = 'Error from API: The VM could not be paused: VM is not running'
      assert.equal(error.message, `The VMM refused vm.pause: ${why}`)
      return true
    }),
  )
  assert.equal(faultText(404, ''), 'status 404, without a reason')
  assert.equal(faultText(400, 'plain words'), 'plain words')
  assert.equal(faultText(400, 'x'.repeat(10_000)).length, 500)
})

test('where nobody listens, nobody answers', async () => {
  const path = join(tmpdir(), `no-vmm-${process.pid}.sock`)
  await assert.rejects(askVmm({ title, path }, pause), VmmAbsent)
})

test('one that ends before it answers does not answer', async () => {
  await served(
    (request) => request.socket.destroy(),
    (path) => assert.rejects(askVmm({ title, path }, pause), VmmAbsent),
  )
})

test('one that hangs is not waited for without end, and one that talks is not listened to without end', async () => {
  await served(
    () => {},
    (path) => assert.rejects(askVmm({ title, path, timeoutMs: 20 }, pause), /did not answer vm.pause in 20 ms/),
  )
  const long: RequestListener = (_, response) => {
    response.on('error', () => {})
    response.end('x'.repeat(2 * 1024 * 1024))
  }
  await served(long, (path) => assert.rejects(askVmm({ title, path }, pause), /with more than 1048576 bytes/))
  await served(
    (_, response) => response.end('<html>'),
    (path) => assert.rejects(askVmm({ title, path }, pause), /something that is not JSON/),
  )
})
