// Templates of micro-VMs: which one is whose, which go, and what QEMU is told to save one and to go on from it.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { goOnArgv, machineArgv, templateArgv } from './machine-argv.ts'
import { findTemplate, keyOf, mostTemplates, templateFolder, templatesToRemove } from './templates.ts'

const mebi = 2 ** 20
const hardware = { memoryBytes: 512 * mebi, cpus: 2, accelerator: 'tcg' as const }
const shape = { ...hardware, podMac: '02:00:00:00:00:09' }

/** What `goOnArgv` hands over: the two lists of commands and the two QEMUs. */
function parted(): string[][] {
  const parts: string[][] = [[]]
  for (const word of goOnArgv(shape).slice(4))
    if (word === '--') parts.push([])
    else parts.at(-1)!.push(word)
  return parts
}

/** Options of QEMU with their values, without those that say where a file is or what waits for whom. */
function hardwareOf(argv: string[]): string[] {
  const text = argv.slice(1).join(' ')
  const options = text.split(/ (?=-[a-z])/)
  const own = /^-(netdev|chardev socket|chardev stdio|qmp|mon|S$|incoming|kernel|initrd|device (vhost|virtio-net))/
  return options
    .filter((option) => !own.test(option))
    .map((option) => option.replace(/^-object \S+?,id=/, '-object id='))
}

test('a copy has the hardware of its template; what is the Pod’s comes after the state', () => {
  const [load, goOn, copy, boot] = parted()
  assert.deepEqual(boot, machineArgv(shape))
  assert.deepEqual(hardwareOf(copy!), hardwareOf(templateArgv(hardware)))
  assert.ok(!copy!.join(' ').includes('vhost-user-fs'), 'it could not be loaded with it')
  assert.deepEqual(
    load!.map((line) => JSON.parse(line).execute),
    ['qmp_capabilities', 'migrate-set-capabilities', 'migrate-incoming'],
  )
  const told = goOn!.map((line) => JSON.parse(line))
  assert.deepEqual(
    told.map(({ execute }) => execute),
    ['chardev-add', 'device_add', 'device_add', 'device_add', 'cont'],
  )
  assert.equal(told[3].arguments.mac, shape.podMac)
})

test('a template has neither network nor files of anybody', () => {
  const argv = templateArgv(hardware).join(' ')
  assert.doesNotMatch(argv, /-netdev|vhost|\/vm\//)
})

test('each size, accelerator and set of programs has a template of its own', () => {
  const key = (programs: string, more: object = {}) => keyOf({ programs, hardware: { ...hardware, ...more } })
  const keys = [
    key('a'),
    key('b'),
    key('a', { memoryBytes: 513 * mebi }),
    key('a', { cpus: 1 }),
    key('a', { accelerator: 'kvm' }),
  ]
  assert.equal(new Set(keys).size, keys.length)
  assert.equal(key('a'), key('a'))
})

test('those of other programs go, and the longest unused of too many', () => {
  const known = Array.from({ length: mostTemplates + 2 }, (_, index) => ({ key: `new-${index}`, used: index }))
  assert.deepEqual(templatesToRemove([...known, { key: 'old-1', used: 99 }], 'new'), ['old-1', 'new-1', 'new-0'])
  assert.deepEqual(templatesToRemove(known.slice(0, mostTemplates), 'new'), [])
})

test('only what is whole is a template', () => {
  const home = mkdtempSync(join(tmpdir(), 'templates-'))
  try {
    const folder = templateFolder(home, 'k')
    assert.equal(findTemplate(home, 'k'), undefined)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'memory'), 'abcd')
    writeFileSync(join(folder, 'devices'), 'ab')
    assert.equal(findTemplate(home, 'k'), undefined)
    writeFileSync(join(folder, 'template.json'), JSON.stringify({ memory: 4, devices: 2 }))
    assert.equal(findTemplate(home, 'k'), folder)
    truncateSync(join(folder, 'memory'), 3)
    assert.equal(findTemplate(home, 'k'), undefined)
  } finally {
    rmSync(home, { recursive: true })
  }
})
