// The URL grammar.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiRequest } from '../api/exchange.ts'
import { parseRequest } from './request.ts'

const cases: [ApiRequest['method'], string, string][] = [
  ['GET', '/api/v1/pods', 'list /v1 pods'],
  ['GET', '/api/v1/namespaces/a/pods', 'list /v1 a/pods'],
  ['GET', '/api/v1/namespaces/a/pods?watch=true', 'watch /v1 a/pods'],
  ['GET', '/api/v1/namespaces/a/pods?watch=0', 'list /v1 a/pods'],
  ['GET', '/api/v1/watch/namespaces/a/pods', 'watch /v1 a/pods'],
  ['GET', '/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dx', 'list /v1 a/pods x'],
  ['GET', '/api/v1/namespaces/a/pods/x', 'get /v1 a/pods x'],
  ['GET', '/api/v1/namespaces/a/pods/x/log', 'get /v1 a/pods x log'],
  ['POST', '/api/v1/namespaces/a/pods', 'create /v1 a/pods'],
  ['DELETE', '/api/v1/namespaces/a/pods', 'deletecollection /v1 a/pods'],
  ['DELETE', '/api/v1/namespaces/a/pods/x', 'delete /v1 a/pods x'],
  ['GET', '/api/v1/namespaces', 'list /v1 namespaces'],
  ['GET', '/api/v1/namespaces/a', 'get /v1 a/namespaces a'],
  ['PUT', '/api/v1/namespaces/a/finalize', 'update /v1 a/namespaces a finalize'],
  ['PATCH', '/apis/apps/v1/namespaces/a/deployments/x/scale', 'patch apps/v1 a/deployments x scale'],
  ['GET', '/apis/kubevirt.io/v1/virtualmachines', 'list kubevirt.io/v1 virtualmachines'],
  [
    'GET',
    '/apis/subresources.kubevirt.io/v1/namespaces/a/virtualmachines/x/portforward/22/tcp',
    'get subresources.kubevirt.io/v1 a/virtualmachines x portforward 22,tcp',
  ],
  ['GET', '/apis/apps/v1', 'get path'],
  ['GET', '/healthz', 'get path'],
  ['POST', '/version', 'post path'],
]

for (const [method, url, wanted] of cases)
  test(`${method} ${url}`, () => {
    const [path = '', query = ''] = url.split('?')
    const info = parseRequest({ method, path, query: new URLSearchParams(query) })
    const resource = info.namespace ? `${info.namespace}/${info.resource}` : info.resource
    const parts = [
      info.verb,
      `${info.group}/${info.version}`,
      resource,
      info.name,
      info.subresource,
      info.rest.join(','),
    ]
    assert.equal(info.isResource ? parts.filter(Boolean).join(' ') : `${info.verb} path`, wanted)
  })
