// The house's floors: a room may import only rooms below it, and siblings never import each other (ARCHITECTURE.md).

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '..')

const allowed: Record<string, string[]> = {
  'src/api': [],
  'src/base': [],
  'src/wire': [],
  'src/kinds': ['src/api'],
  'src/store': ['src/api', 'src/base'],
  'src/client': ['src/api', 'src/base'],
  'src/server': ['src/api', 'src/base', 'src/wire', 'src/kinds', 'src/store'],
  'src/controllers': ['src/api', 'src/base', 'src/kinds', 'src/client'],
  'src/host': ['src/api', 'src/base', 'src/wire', 'src/kinds', 'src/client'],
  'src/cli': ['src/api', 'src/base', 'src/kinds', 'src/client'],
}
/** Above all rooms: they build and tie them. */
const roof = ['src/main.ts', 'src/config.ts', 'src/main/']
/** Pure rooms: no Node module at all, so that they also run in a browser. */
const pure = ['src/api', 'src/kinds', 'src/client']
/** A transport over Node's own HTTPS is the one edge of the client room. */
const pureExceptions = ['src/client/https.ts']

const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)))

const isTest = (file: string) =>
  file.endsWith('.test.ts') || file.endsWith('.contract.ts') || file.endsWith('.fixture.ts')
const isRoof = (file: string) => roof.some((name) => (name.endsWith('/') ? file.startsWith(name) : file === name))
const roomOf = (file: string) => file.split('/').slice(0, 2).join('/')

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!)
}

test('every file is in a known room', () => {
  const strangers = files.filter((file) => !(roomOf(file) in allowed) && !isRoof(file))
  assert.deepEqual(strangers, [])
})

test('no import climbs or crosses to a sibling', () => {
  const wrong: string[] = []
  for (const file of files) {
    if (isRoof(file) || isTest(file)) continue
    const room = roomOf(file)
    for (const specifier of importsOf(file)) {
      if (!specifier.startsWith('.')) continue
      const target = relative(root, resolve(root, dirname(file), specifier))
      const targetRoom = roomOf(target)
      if (target === 'src/config.ts' || targetRoom === room) continue
      if (!allowed[room]?.includes(targetRoom)) wrong.push(`${file} imports ${target}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('pure rooms import no Node module', () => {
  const wrong: string[] = []
  for (const file of files) {
    if (isTest(file) || pureExceptions.includes(file) || !pure.includes(roomOf(file))) continue
    for (const specifier of importsOf(file))
      if (specifier.startsWith('node:')) wrong.push(`${file} imports ${specifier}`)
  }
  assert.deepEqual(wrong, [])
})

test('files stay small enough to read', () => {
  const large = files
    .filter((file) => !isTest(file))
    .map((file) => [file, readFileSync(join(root, file), 'utf8').split('\n').length] as const)
    .filter(([, lines]) => lines > 500)
  assert.deepEqual(large, [], 'split these files')
})
