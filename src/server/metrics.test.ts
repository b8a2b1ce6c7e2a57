// The metrics page.

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import { test } from 'node:test'
import { configMap, maps, startServer, userNamed } from './server.fixture.ts'

test('requests are counted by what they ask and how they end', async () => {
  const { ok, call, refused } = await startServer()
  await ok('POST', maps, configMap('a'))
  await ok('GET', `${maps}/a`)
  await refused(404, 'GET', `${maps}/b`)
  await refused(404, 'GET', '/no/such/page"\n')
  await refused(404, 'GET', '/apis/made.up/v1/namespaces/default/nothings/a')
  await refused(404, 'GET', `${maps}/a/made-up`)
  const { stream, headers } = await call('GET', '/metrics')
  const text = await textOf(Readable.from(stream!))
  assert.match(headers!['content-type']!, /^text\/plain; version=0.0.4/)
  const labels = (code: number, verb: string, scope: string, count = 1) =>
    `apiserver_request_total{code="${code}",component="apiserver",dry_run="",group="",resource="configmaps",scope="${scope}",subresource="",verb="${verb}",version="v1"} ${count}\n`
  assert.ok(text.includes(labels(201, 'POST', 'namespace')))
  assert.ok(text.includes(labels(200, 'GET', 'resource')))
  assert.ok(text.includes(labels(404, 'GET', 'resource', 2)))
  assert.match(text, /apiserver_request_duration_seconds_bucket{[^}]*resource="configmaps"[^}]*le="\+Inf"} 1\n/)
  assert.match(text, /apiserver_flowcontrol_nominal_limit_seats{priority_level="workload-low"} \d+\n/)
  assert.match(text, /apiserver_resource_objects{group="",resource="configmaps"} 1\n/)
  // A name that a client has made up is counted, and not kept.
  assert.doesNotMatch(text, /made\.up|made-up|nothings/)
  assert.match(
    text,
    /apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="",[^}]*} 1\n/,
  )
  // Every line is a comment or a sample: nothing that a client sends breaks the page.
  for (const line of text.trimEnd().split('\n')) assert.match(line, /^(# (HELP|TYPE) |\w+({.*})? [\d.e+-]+$)/)
})

test('the page needs a permission', async () => {
  const { refused, call } = await startServer()
  await refused(403, 'GET', '/metrics', undefined, { user: userNamed('eve') })
  const seen = await call('GET', '/metrics', undefined, { user: userNamed('eve', 'system:monitoring') })
  assert.equal(seen.status, 200)
})
