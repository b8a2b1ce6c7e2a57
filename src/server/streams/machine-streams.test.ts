import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { requireStream } from './machine-streams.ts'

function refusal(subresource: string, status: object, devices: object = {}): string {
  const metadata = { name: 'web' }
  try {
    requireStream(subresource, { metadata, spec: { domain: { devices } }, status } as unknown as StoredObject)
    return ''
  } catch (error) {
    assert.ok(error instanceof ApiError)
    return `${error.code} ${error.message}`
  }
}

const running = { phase: 'Running' }
const conflict = '409 Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "web":'

test('a running machine has all its streams', () => {
  for (const subresource of ['console', 'vnc', 'portforward']) assert.equal(refusal(subresource, running), '')
})

test('a client waits for a machine that does not run yet, not for one that has failed', () => {
  assert.equal(refusal('console', { phase: 'Scheduled' }), '400 VMI is not running')
  assert.equal(refusal('vnc', {}), '400 VMI is not running')
  assert.equal(refusal('console', { phase: 'Failed' }), `${conflict} VMI is in failed status`)
})

test('what the machine does not have is not waited for in silence', () => {
  const none = '400 No serial consoles are present.'
  assert.equal(refusal('console', running, { autoattachSerialConsole: false }), none)
  const noGraphics = '400 No graphics devices are present.'
  assert.equal(refusal('vnc', running, { autoattachGraphicsDevice: false }), noGraphics)
  assert.equal(refusal('usbredir', running), `${conflict} Not configured with USB Redirection`)
  assert.equal(refusal('usbredir', running, { clientPassthrough: {} }), '')
})

test('a paused machine answers on no port', () => {
  const paused = { ...running, conditions: [{ type: 'Paused', status: 'True' }] }
  assert.equal(refusal('portforward', paused), `${conflict} VMI is paused`)
  assert.equal(refusal('console', paused), '')
})
