// Requests, hostnames, filters: what Gateway API says of each.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changedPath, changeHeaders, locationOf, weightedChoice } from './filters.ts'
import { covers, intersection, mostSpecific, sharedHostnames } from './hostnames.ts'
import { type Asked, byPrecedence, type Entry, findEntry } from './match.ts'
import type { RouteMatch } from './specs.ts'

const request = (path: string, more: Partial<Asked> = {}): Asked => ({
  host: 'shop.example.com',
  path,
  query: new URLSearchParams(),
  method: 'GET',
  headers: {},
  ...more,
})

function finder(...matches: [name: string, match: RouteMatch, more?: Partial<Entry<string>>][]) {
  const entries = matches.map(([rule, match, more]) => ({ hostname: '', age: '', rule, match, ...more }))
  entries.sort(byPrecedence)
  return (asked: Asked) => findEntry(entries, asked)?.rule
}

const prefix = (value: string): RouteMatch => ({ path: { type: 'PathPrefix', value } })

test('paths: exact before expressions before the longest prefix, by elements', () => {
  const find = finder(
    ['root', prefix('/')],
    ['v2', prefix('/v2')],
    ['slash', prefix('/v3/')],
    ['exact', { path: { type: 'Exact', value: '/v2/one' } }],
    ['number', { path: { type: 'RegularExpression', value: '/v2/[0-9]+' } }],
  )
  for (const [path, rule] of [
    ['/', 'root'],
    ['/v2', 'v2'],
    ['/v2/', 'v2'],
    ['/v23', 'root'],
    ['/v2/one', 'exact'],
    ['/v2/one/', 'v2'],
    ['/v2/17', 'number'],
    ['/v2/17/x', 'v2'],
    ['/v3', 'slash'],
    ['/v3/x', 'slash'],
  ] as const)
    assert.equal(find(request(path)), rule, path)
})

test('of alike paths: the method, then more headers, then more parameters, then the older route, then its order', () => {
  const header = (name: string) => ({ name, value: 'v' })
  const find = finder(
    ['young', {}, { age: '2026-02' }],
    ['old', {}, { age: '2026-01' }],
    ['second', {}, { age: '2026-01' }],
    ['query', { queryParams: [header('q')] }],
    ['one header', { headers: [header('A')] }],
    ['two headers', { headers: [header('A'), header('B')] }],
    ['method', { method: 'POST' }],
  )
  const headers = { a: 'v', b: 'v' }
  const query = new URLSearchParams('q=v')
  assert.equal(find(request('/', { method: 'POST', headers, query })), 'method')
  assert.equal(find(request('/', { headers, query })), 'two headers')
  assert.equal(find(request('/', { headers: { a: 'v', b: 'w' }, query })), 'one header')
  assert.equal(find(request('/', { query })), 'query')
  assert.equal(find(request('/')), 'old')
})

test('headers and parameters by whole values; the first of a name counts', () => {
  const find = finder([
    'fits',
    {
      headers: [
        { name: 'X-Color', value: 'red|blue', type: 'RegularExpression' },
        { name: 'x-color', value: 'never' },
      ],
      queryParams: [{ name: 'n', value: '1' }],
    },
  ])
  const query = new URLSearchParams('n=1&n=2')
  assert.equal(find(request('/', { headers: { 'x-color': 'blue' }, query })), 'fits')
  assert.equal(find(request('/', { headers: { 'x-color': 'dark blue' }, query })), undefined)
  assert.equal(find(request('/', { headers: { 'x-color': 'blue' } })), undefined)
})

test('a more specific hostname goes before a longer path', () => {
  const find = finder(
    ['wild', prefix('/long/path'), { hostname: '*.example.com' }],
    ['exact', prefix('/long'), { hostname: 'shop.example.com' }],
  )
  assert.equal(find(request('/long/path')), 'exact')
  assert.equal(find(request('/long/path', { host: 'other.example.com' })), 'wild')
  assert.equal(find(request('/elsewhere')), undefined)
})

test('hostnames', () => {
  assert.ok(covers('*.example.com', 'a.b.example.com'))
  assert.ok(!covers('*.example.com', 'example.com'))
  assert.ok(!covers('*.example.com', ''))
  assert.ok(!covers('a.example.com', '*.example.com'))
  assert.equal(intersection('*.example.com', 'a.example.com'), 'a.example.com')
  assert.equal(intersection('a.b.example.com', '*.example.com'), 'a.b.example.com')
  assert.equal(intersection('*.b.example.com', '*.example.com'), '*.b.example.com')
  assert.equal(intersection('', 'a.example.com'), 'a.example.com')
  assert.equal(intersection('a.example.com', 'b.example.com'), undefined)
  assert.deepEqual(sharedHostnames('*.example.com', ['A.example.com', 'a.example.org']), ['a.example.com'])
  assert.deepEqual(sharedHostnames('a.example.com'), ['a.example.com'])
  const names = ['', '*.example.com', '*.shop.example.com', 'a.shop.example.com']
  assert.equal(mostSpecific(names, 'a.shop.example.com'), 'a.shop.example.com')
  assert.equal(mostSpecific(names, 'b.shop.example.com'), '*.shop.example.com')
  assert.equal(mostSpecific(names, 'example.com'), '')
  assert.equal(mostSpecific(names.slice(1), 'example.com'), undefined)
})

test('a prefix is replaced as upstream lists it', () => {
  for (const [path, met, by, result] of [
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo', '/foo', '/', '/'],
  ] as const)
    assert.equal(changedPath(path, met, { type: 'ReplacePrefixMatch', replacePrefixMatch: by }), result, path + by)
})

test('where a redirect leads', () => {
  const asked = { host: 'a.example.com', port: 8080, scheme: 'http', path: '/p', search: '?q', prefix: '/' } as const
  assert.equal(locationOf({}, asked), 'http://a.example.com:8080/p?q')
  assert.equal(locationOf({ scheme: 'https' }, asked), 'https://a.example.com/p?q')
  assert.equal(locationOf({ scheme: 'https', port: 8443 }, asked), 'https://a.example.com:8443/p?q')
  assert.equal(locationOf({ hostname: 'b.example.com', port: 80 }, asked), 'http://b.example.com/p?q')
})

test('headers are taken away, set and added', () => {
  const headers: Record<string, string | string[]> = { gone: '1', kept: 'a', more: 'x' }
  changeHeaders(headers, {
    remove: ['Gone'],
    set: [{ name: 'Kept', value: 'b' }],
    add: [
      { name: 'more', value: 'y' },
      { name: 'new', value: 'z' },
    ],
  })
  assert.deepEqual(headers, { kept: 'b', more: ['x', 'y'], new: 'z' })
})

test('weights', () => {
  const list = [
    { name: 'a', weight: 1 },
    { name: 'none', weight: 0 },
    { name: 'b', weight: 3 },
  ]
  const at = (chance: number) => weightedChoice(list, chance)?.name
  assert.deepEqual([at(0), at(0.24), at(0.25), at(0.99)], ['a', 'a', 'b', 'b'])
  assert.equal(weightedChoice([{ weight: 0 }], 0), undefined)
  assert.equal(weightedChoice([], 0.5), undefined)
})
