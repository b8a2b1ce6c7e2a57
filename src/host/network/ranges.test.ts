import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseRanges } from './ranges.ts'

test('the first Tandem gets the usual ranges', () => {
  assert.deepEqual(chooseRanges(['192.0.2.0/24', '127.0.0.0/8']), {
    podCidr: '10.42.0.0/16',
    serviceCidr: '10.43.0.0/16',
  })
})

test('a second one gets the next ranges, whatever part is taken', () => {
  assert.equal(chooseRanges(['10.42.0.17', '10.43.0.1']).podCidr, '10.44.0.0/16')
  assert.deepEqual(chooseRanges(['10.43.0.1']), { podCidr: '10.44.0.0/16', serviceCidr: '10.45.0.0/16' })
})

test('a machine inside 10/8 moves to other private space', () => {
  assert.deepEqual(chooseRanges(['10.0.0.0/8']), { podCidr: '172.16.0.0/16', serviceCidr: '172.17.0.0/16' })
  assert.deepEqual(chooseRanges(['10.0.0.0/8', '172.16.0.0/12']), {
    podCidr: '192.168.0.0/20',
    serviceCidr: '192.168.16.0/20',
  })
})

test('default routes and IPv6 do not count', () => {
  assert.equal(chooseRanges(['0.0.0.0/0', 'default', 'fe80::/64']).podCidr, '10.42.0.0/16')
})

test('what the person says is kept, and the other range keeps away from it', () => {
  assert.deepEqual(chooseRanges([], { podCidr: '10.42.0.0/15' }), {
    podCidr: '10.42.0.0/15',
    serviceCidr: '10.45.0.0/16',
  })
  assert.deepEqual(chooseRanges(['10.0.0.0/8'], { podCidr: '10.1.0.0/16', serviceCidr: '10.2.0.0/16' }), {
    podCidr: '10.1.0.0/16',
    serviceCidr: '10.2.0.0/16',
  })
})

test('nothing free is an error that says what to do', () => {
  const all = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10']
  assert.throws(() => chooseRanges(all), /TANDEM_POD_CIDR/)
})
