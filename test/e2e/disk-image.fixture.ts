// A container image with one file in /disk, made for a test.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestTandem } from './tandem.fixture.ts'

/** `make` writes the disk; the image is loaded as test.dev/<name>:1. */
export async function buildDiskImage(tandem: TestTandem, name: string, make: (path: string) => void): Promise<string> {
  const recipe = join(tandem.stateDir, `${name}-recipe`)
  mkdirSync(recipe)
  make(join(recipe, 'disk.img'))
  const image = `test.dev/${name}:1`
  const files = [{ path: '/disk/disk.img', source: 'disk.img' }]
  writeFileSync(join(recipe, 'recipe.yaml'), JSON.stringify({ kind: 'container', names: [image], files }))
  const built = await tandem.tandem('image', 'build', recipe, '-f', join(tandem.stateDir, `${name}.tar`))
  assert.equal(built.code, 0, built.stderr)
  return image
}
