// Disks made of other objects.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notFound } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { createSources } from './sources.ts'

const machine = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  metadata: { name: 'db', namespace: 'default', uid: 'u', labels: { b: '2', a: '1' } },
  spec: { domain: {} },
} as unknown as StoredObject

const sourcesOf = (maps: Record<string, Record<string, string>>) =>
  createSources({
    async get(_ref: object, name: string) {
      if (!maps[name]) throw notFound('configmaps', name)
      return { data: maps[name] }
    },
  } as any)

const texts = (files: { path: string; content: Uint8Array }[]) =>
  Object.fromEntries(files.map(({ path, content }) => [path, Buffer.from(content).toString()]))

test('the metadata of a machine as files', () => {
  const fields = ['name', 'labels', "labels['a']"].map((field) => ({
    path: field.replace(/\W/g, ''),
    fieldRef: { fieldPath: `metadata.${field}` },
  }))
  const { label, files } = sourcesOf({}).downward(machine, { name: 'v', downwardAPI: { fields } })
  assert.equal(label, 'cfgdata')
  assert.deepEqual(texts(files as any), { name: 'db', labels: 'a="1"\nb="2"', labelsa: '1' })
})

test('answer files of a Windows setup', async () => {
  const sources = sourcesOf({ answers: { 'Autounattend.xml': '<x/>' }, empty: { other: '' } })
  const seed = (name: string) => sources.sysprep(machine, { name: 'v', sysprep: { configMap: { name } } })
  const { label, files } = await seed('answers')
  assert.deepEqual([label, texts(files as any)], ['sysprep', { 'Autounattend.xml': '<x/>' }])
  await assert.rejects(seed('empty'), /has neither unattend.xml nor autounattend.xml/)
  await assert.rejects(seed('none'), /configmap "none" not found/)
})
