import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { parseRecipe } from './recipe.ts'

const good = { kind: 'container', names: ['tandem.dev/x:1'], files: [{ path: '/a', content: 'x' }] }
const disk = { ...good, kind: 'containerDisk', disk: { size: '64Mi' } }

test('defaults', () => {
  const recipe = parseRecipe(disk, 'x.yaml')
  assert.equal(recipe.disk!.sizeBytes, 64 * 2 ** 20)
  assert.equal(recipe.disk!.format, 'qcow2')
  assert.equal(recipe.suite, 'bookworm')
  assert.deepEqual(recipe.files[0]!.owner, { uid: 0, gid: 0 })
})

const bad: [what: string, document: unknown, message: RegExp][] = [
  ['a list', [], /the document: must be a map/],
  ['nothing', null, /must be a map/],
  ['an unknown field', { ...good, pakcages: [] }, /pakcages: is not known here/],
  ['an unknown field inside', { ...good, files: [{ path: '/a', content: '', mod: '0644' }] }, /files\[0\].mod: is not/],
  ['no kind', { ...good, kind: undefined }, /kind: must be one of container, containerDisk/],
  ['no name', { ...good, names: [] }, /names: needs at least one/],
  ['a name without tag', { ...good, names: ['tandem.dev/x'] }, /names\[0\].*registry\/name:tag/],
  ['nothing in it', { ...good, files: [] }, /needs a system or files/],
  ['two sources', { ...good, files: [{ path: '/a', content: '', symlink: 'b' }] }, /exactly one of/],
  ['a path that climbs', { ...good, files: [{ path: '/a/../../b', content: '' }] }, /files\[0\].path/],
  ['a source that climbs', { ...good, files: [{ path: '/a', source: '../secret' }] }, /below the recipe/],
  ['a mode as a number', { ...good, files: [{ path: '/a', content: '', mode: 755 }] }, /mode: must be a string/],
  ['an owner by name', { ...good, files: [{ path: '/a', content: '', owner: 'root' }] }, /numbers/],
  ['a package that is an option', { ...good, system: { packages: ['--force'] } }, /packages\[0\]/],
  ['run without a system', { ...good, run: ['true'] }, /needs a system to run in/],
  ['a disk of a container', { ...good, disk: { size: '1Gi' } }, /belongs to kind containerDisk/],
  ['a containerDisk without disk', { ...disk, disk: undefined }, /disk: is required/],
  ['a size in GB', { ...disk, disk: { size: '2GB' } }, /like 512Mi or 2Gi/],
  [
    'kernel arguments with a new line',
    { ...disk, disk: { size: '1Gi', kernelArguments: 'a\nboot' } },
    /kernelArguments/,
  ],
  ['__proto__', JSON.parse('{"__proto__": {"kind": "container"}}'), /__proto__: is not known/],
]
for (const [what, document, message] of bad)
  test(`refused: ${what}`, () => assert.throws(() => parseRecipe(document, 'x.yaml'), message))

test('all problems are told at once', () => {
  assert.throws(
    () => parseRecipe({ kind: 'x', names: 1, foo: 2 }, 'x.yaml'),
    (error: any) => error.problems.length >= 4,
  )
})

test('the recipes of this repository are valid', () => {
  const folder = resolve(import.meta.dirname, '../../../../images')
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  assert.ok(names.length >= 6)
  for (const { name } of names) {
    const file = join(folder, name, 'recipe.yaml')
    parseRecipe(parse(readFileSync(file, 'utf8')), file)
  }
})
