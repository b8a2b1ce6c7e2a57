// Where the image of a disk comes from: this machine or its registry, as the pull policy has it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import type { Images } from '../images/images.ts'
import { ensureImage } from './container-image.ts'
import type { Sources } from './sources.ts'

async function outcome(image: string, imagePullPolicy: string | undefined, here: boolean, answer: boolean | string) {
  const asked: string[] = []
  const images = {
    find: async () => {
      asked.push('here')
      return here ? {} : undefined
    },
    pull: async () => {
      asked.push('registry')
      if (answer !== true) throw new Error(answer || 'no such host')
    },
  } as unknown as Images
  const sources = { pullAuths: async () => [] } as unknown as Sources
  const source = { image, ...(imagePullPolicy && { imagePullPolicy }) }
  const end = ensureImage({ images, sources }, {} as StoredObject, source, new AbortController().signal)
  const word = await end.then(
    () => 'taken',
    (error) => error.message,
  )
  return `${asked.join(', ')}: ${word}`
}

test('a tagged image is taken from here; the latest from its registry, or from here where that cannot be reached', async () => {
  assert.equal(await outcome('quay.io/team/disk:1', undefined, true, true), 'here: taken')
  assert.equal(await outcome('quay.io/team/disk:1', undefined, false, true), 'here, registry: taken')
  assert.equal(await outcome('quay.io/team/disk:latest', undefined, true, true), 'registry: taken')
  assert.equal(await outcome('quay.io/team/disk', undefined, true, false), 'registry, here: taken')
  assert.equal(await outcome('quay.io/team/disk', undefined, false, false), 'registry, here: no such host')
})

test('an image that its registry refuses is not taken from here', async () => {
  const text = 'authorization failed: no basic auth credentials'
  assert.equal(await outcome('quay.io/team/disk', undefined, true, text), `registry: ${text}`)
})

test('who says where it comes from is heard', async () => {
  assert.equal(await outcome('quay.io/team/disk:1', 'Always', true, false), 'registry: no such host')
  assert.match(await outcome('quay.io/team/disk:1', 'Never', false, true), /^here: .*pull policy is Never$/)
})
