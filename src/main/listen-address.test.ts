import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explained } from './listen-address.ts'

test('what keeps the API from listening is said with its remedy', () => {
  const say = (code: string, host = '127.0.0.1') =>
    explained(Object.assign(new Error(code), { code }), host, 6443).message
  assert.match(say('EADDRINUSE'), /^127\.0\.0\.1:6443 is in use .* --listen 127\.0\.0\.1:PORT$/)
  assert.match(say('EADDRINUSE', '::1'), /^\[::1\]:6443 is in use .* --listen \[::1\]:PORT$/)
  assert.match(say('EADDRNOTAVAIL', '192.0.2.9'), /^this machine has no address 192\.0\.2\.9 .* --listen$/)
  assert.match(say('EACCES'), /^cannot listen on 127\.0\.0\.1:6443: EACCES$/)
})
