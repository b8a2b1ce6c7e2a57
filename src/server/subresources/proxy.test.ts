// Where the proxy leads, and how links in answers stay within it.

import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { notFound } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { splitAtProxy } from './proxy.ts'
import { linkRewriter, rewriteLink } from './proxy-links.ts'
import {
  type Find,
  isGlobalUnicast,
  nodeTarget,
  podTarget,
  serviceTarget,
  splitSchemeNamePort,
} from './proxy-target.ts'

const pod = (name: string, podIP: string, ports: number[] = []) => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ ports: ports.map((containerPort) => ({ containerPort })) }] },
  status: { podIP },
})
const address = (ip: string, name: string, namespace = 'default') => ({
  ip,
  targetRef: { kind: 'Pod', name, namespace },
})
const objects: Record<string, object> = {
  'pods/web': pod('web', '10.42.0.5', [8080]),
  'pods/bare': pod('bare', '10.42.0.6'),
  'pods/liar': pod('liar', '169.254.169.254'),
  'services/web': {
    spec: {
      ports: [
        { name: 'http', port: 80 },
        { name: 'tls', port: 443 },
      ],
    },
  },
  'endpoints/web': {
    subsets: [{ addresses: [address('10.42.0.5', 'web')], ports: [{ name: 'http', port: 8080 }] }],
  },
  'services/forged': { spec: { ports: [{ port: 80 }] } },
  'endpoints/forged': {
    subsets: [
      {
        addresses: [{ ip: '192.0.2.1' }, address('192.0.2.2', 'web'), address('10.42.0.5', 'web', 'other')],
        ports: [{ port: 80 }],
      },
    ],
  },
  'nodes/n1': { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.7' }] } },
}
const find: Find = (resource, _namespace, name) => {
  const found = objects[`${resource}/${name}`]
  if (!found) throw notFound(resource, name)
  return found as StoredObject
}

test('scheme, name and port', () => {
  assert.deepEqual(splitSchemeNamePort('web'), { scheme: '', name: 'web', port: '' })
  assert.deepEqual(splitSchemeNamePort('web:http'), { scheme: '', name: 'web', port: 'http' })
  assert.deepEqual(splitSchemeNamePort('https:web:'), { scheme: 'https', name: 'web', port: '' })
  for (const wrong of ['', 'ftp:web:1', 'a:b:c:d', ':80']) assert.equal(splitSchemeNamePort(wrong), undefined)
})

test('a Pod is reached at its first declared port, or the one that is asked for', () => {
  assert.deepEqual(podTarget('web', 'default', find), { protocol: 'http:', host: '10.42.0.5', port: 8080 })
  assert.deepEqual(podTarget('https:web:9443', 'default', find), { protocol: 'https:', host: '10.42.0.5', port: 9443 })
  assert.equal(podTarget('bare', 'default', find).port, 80)
  assert.throws(() => podTarget('liar', 'default', find), /address not allowed/)
  assert.throws(() => podTarget('web:70000', 'default', find), /invalid port/)
})

test('only global unicast addresses are dialled', () => {
  for (const wrong of ['127.0.0.1', '169.254.169.254', '224.0.0.1', '0.0.0.0', '255.255.255.255', '', '::1'])
    assert.equal(isGlobalUnicast(wrong), false, wrong)
  assert.equal(isGlobalUnicast('10.42.0.5'), true)
})

test('a Service is reached by the name or number of its port, at an endpoint that is a Pod', () => {
  const target = { protocol: 'http:', host: '10.42.0.5', port: 8080 }
  assert.deepEqual(serviceTarget('web:http', 'default', find), target)
  assert.deepEqual(serviceTarget('web:80', 'default', find), target)
  assert.throws(() => serviceTarget('web:tls', 'default', find), /no endpoints available for service "web"/)
  assert.throws(() => serviceTarget('web:81', 'default', find), /no service port 81 found for service "web"/)
  assert.throws(() => serviceTarget('forged', 'default', find), /no endpoints available/)
})

test('a node answers itself at the kubelet port', () => {
  assert.equal(nodeTarget('n1', find), 'kubelet')
  assert.equal(nodeTarget('n1:10250', find), 'kubelet')
  assert.deepEqual(nodeTarget('n1:9100', find), { protocol: 'http:', host: '192.0.2.7', port: 9100 })
})

test('the URL is cut behind proxy and stays encoded', () => {
  assert.deepEqual(splitAtProxy('/api/v1/namespaces/a/pods/b/proxy/x%2Fy/?q=1', true), {
    prefix: '/api/v1/namespaces/a/pods/b/proxy',
    path: '/x%2Fy/',
    search: '?q=1',
  })
  assert.deepEqual(splitAtProxy('/api/v1/nodes/n/proxy', false), {
    prefix: '/api/v1/nodes/n/proxy',
    path: '',
    search: '',
  })
})

const context = { prefix: '/p/proxy', scheme: 'https' as const, host: 'api:6443', target: '10.42.0.5:80' }

test('links to the proxied server are led through the proxy', () => {
  assert.equal(rewriteLink('/x?y#z', context), '/p/proxy/x?y#z')
  assert.equal(rewriteLink('http://10.42.0.5:80/x', context), 'https://api:6443/p/proxy/x')
  for (const kept of ['x/y', '//cdn/x', 'http://elsewhere/x', '/p/proxy/x', 'mailto:a@b', '#top'])
    assert.equal(rewriteLink(kept, context), kept)
})

test('tags are rewritten wherever the stream is cut', async () => {
  const html = `<a HREF="/a">1</a><!-- <a href="/no"> --><script src='/s.js'>"<a href='/no'>"</script><img src=/i alt="a>b"><p title="/no">`
  const wanted = `<a HREF="/p/proxy/a">1</a><!-- <a href="/no"> --><script src='/p/proxy/s.js'>"<a href='/no'>"</script><img src=/p/proxy/i alt="a>b"><p title="/no">`
  for (const size of [1, 2, 3, 7, 1000]) {
    const rewriter = linkRewriter(context)
    for (let at = 0; at < html.length; at += size) rewriter.write(html.slice(at, at + size))
    rewriter.end()
    assert.equal(await text(rewriter), wanted, `in pieces of ${size}`)
  }
})
