// The documents hang together and say what kubectl looks for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isApiError } from '../../api/errors.ts'
import type { ApiRequest } from '../../api/exchange.ts'
import { kinds } from '../../kinds/index.ts'
import { createRegistry } from '../registry.ts'
import { createOpenApi } from './openapi.ts'

const registry = createRegistry(kinds)
const openapi = createOpenApi()

function ask(url: string, headers: Record<string, string> = {}) {
  const { pathname, searchParams } = new URL(url, 'http://x')
  const request: ApiRequest = { method: 'GET', path: pathname, query: searchParams, headers }
  return openapi(request, registry)
}

const json = (url: string): any => JSON.parse(ask(url)!.text!)

test('the index leads to a document for each group version', () => {
  const { paths } = json('/openapi/v3')
  const versions = new Set(
    registry.all().map(({ apiVersion }) => (apiVersion === 'v1' ? 'api/v1' : `apis/${apiVersion}`)),
  )
  assert.deepEqual(Object.keys(paths), [...versions].sort())
  for (const { serverRelativeURL } of Object.values<any>(paths)) {
    const answer = ask(serverRelativeURL)!
    assert.equal(answer.status, 200)
    assert.match(answer.headers!['cache-control']!, /immutable/)
  }
})

test('every reference leads somewhere', () => {
  for (const path of [...Object.keys(json('/openapi/v3').paths).map((path) => `v3/${path}`), 'v2']) {
    const document = json(`/openapi/${path}`)
    const models = document.definitions ?? document.components.schemas
    const text = JSON.stringify(document)
    for (const [, model] of text.matchAll(/"\$ref":"#\/(?:components\/schemas|definitions)\/([^"]+)"/g))
      assert.ok(model! in models, `${path}: ${model}`)
  }
})

test('what is empty is left out, as Go leaves it out: documents read and written again are the same', () => {
  for (const path of Object.keys(json('/openapi/v3').paths)) {
    const text = JSON.stringify(json(`/openapi/v3/${path}`))
    assert.equal(text.match(/"(parameters|properties|required|tags)":(\[\]|\{\})/), null, path)
  }
})

test('each kind has its model, its paths, and a patch that knows field validation', () => {
  for (const { kind, group, version, apiVersion, namespaced, plural, verbs } of registry.all()) {
    const base = apiVersion === 'v1' ? 'api/v1' : `apis/${apiVersion}`
    const { paths, components } = json(`/openapi/v3/${base}`)
    const gvk = { group, kind: kind.kind, version }
    const models = Object.values<any>(components.schemas).filter((model) =>
      model['x-kubernetes-group-version-kind']?.some((other: any) => JSON.stringify(other) === JSON.stringify(gvk)),
    )
    assert.equal(models.length, 1, kind.kind)
    assert.ok(models[0].properties.metadata, kind.kind)
    if (!verbs.has('create')) continue
    const collection = paths[`/${base}${namespaced ? '/namespaces/{namespace}' : ''}/${plural}`]
    assert.deepEqual(collection.post['x-kubernetes-group-version-kind'], gvk)
    if (kind.virtual) continue
    const { patch } = paths[`/${base}${namespaced ? '/namespaces/{namespace}' : ''}/${plural}/{name}`]
    assert.deepEqual(patch['x-kubernetes-group-version-kind'], gvk)
    assert.ok(
      patch.parameters.some((parameter: any) => parameter.name === 'fieldValidation' && parameter.in === 'query'),
    )
    // By this kubectl decides between a strategic merge patch and a merge patch.
    const strategic = 'application/strategic-merge-patch+json' in patch.requestBody.content
    assert.equal(strategic, kind.protobuf !== false, kind.kind)
  }
})

test('merge keys and list types are told', () => {
  const { containers } = json('/openapi/v3/api/v1').components.schemas['io.k8s.api.core.v1.PodSpec'].properties
  assert.equal(containers['x-kubernetes-patch-merge-key'], 'name')
  assert.equal(containers['x-kubernetes-patch-strategy'], 'merge')
  assert.equal(containers['x-kubernetes-list-type'], 'map')
  assert.deepEqual(containers['x-kubernetes-list-map-keys'], ['name'])
})

test('a document that the client has is not sent again', () => {
  const { headers } = ask('/openapi/v3')!
  assert.equal(ask('/openapi/v3', { 'if-none-match': headers!.etag! })!.status, 304)
})

test('unknown documents and forms', () => {
  assert.equal(ask('/openapi/v3/apis/nothing/v1'), undefined)
  assert.equal(ask('/openapi/v1'), undefined)
  const protobuf = { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' }
  assert.throws(
    () => ask('/openapi/v2', protobuf),
    (error) => isApiError(error, 'NotAcceptable'),
  )
})

test('a kind that comes later is in the documents', () => {
  const growing = createRegistry(kinds.slice(0, 1))
  const serve = createOpenApi()
  const request: ApiRequest = { method: 'GET', path: '/openapi/v3', query: new URLSearchParams(), headers: {} }
  const before = serve(request, growing)!.text!
  growing.add({
    ...kinds[0]!,
    group: 'example.com',
    version: 'v1',
    kind: 'Widget',
    plural: 'widgets',
    schema: { type: 'object', properties: { spec: { type: 'object', properties: { size: { type: 'integer' } } } } },
    types: {
      'meta.v1.ObjectMeta': { type: 'object', properties: {} },
      'meta.v1.ListMeta': { type: 'object', properties: {} },
    },
    protobuf: false,
  })
  const after = JSON.parse(serve(request, growing)!.text!)
  assert.ok(!before.includes('example.com'))
  const document = JSON.parse(serve({ ...request, path: '/openapi/v3/apis/example.com/v1' }, growing)!.text!)
  assert.ok('apis/example.com/v1' in after.paths)
  assert.ok('com.example.v1.Widget' in document.components.schemas)
})
