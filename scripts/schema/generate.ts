// Writes src/kinds/<group>/<group>.schema.json from the facts in upstream's published sources.
//
//   node scripts/schema/generate.ts K8S_DIR KUBEVIRT_DTS
//
// K8S_DIR holds api/ and apimachinery/ of Kubernetes (Debian: golang-k8s-api-dev, golang-k8s-apimachinery-dev, unpacked
// with dpkg -x, below usr/share/gocode/src/k8s.io), and beside them apiextensions-apiserver/, kube-aggregator/, metrics/ and
// containerized-data-importer-api/ (with the operator SDK's and condition types that it embeds beside its own); KUBEVIRT_DTS is dist/kubevirt/index.d.ts of the npm package
// @kubevirt-ui-ext/kubevirt-api. external-snapshotter/ beside them is the repository of kubernetes-csi. Only names, types,
// numbers and markers are taken, never a sentence.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Schema, SchemaTypes } from '../../src/api/schema.ts'
import { constantDefaults, notRequired, sharedExceptions } from './facts.ts'
import { GoSchemas } from './go-schema.ts'
import { KubevirtSchemas } from './kubevirt-types.ts'
import { kubevirtRoots, roots } from './roots.ts'

const [kubernetes, kubevirtDeclarations] = process.argv.slice(2)
if (!kubernetes || !kubevirtDeclarations) {
  console.error('usage: node scripts/schema/generate.ts K8S_DIR KUBEVIRT_DTS')
  process.exit(2)
}

const go = new GoSchemas(kubernetes)
const kubevirt = new KubevirtSchemas(kubevirtDeclarations)
for (const root of kubevirtRoots) kubevirt.add(root)
for (const root of [...roots, ...kubevirt.foreign]) go.add(root)

const types: SchemaTypes = { ...go.types, ...kubevirt.types }
for (const [path, value] of Object.entries(constantDefaults)) fieldAt(path).default = value
for (const [path, change] of Object.entries(sharedExceptions)) Object.assign(fieldAt(path), change)
for (const path of notRequired) {
  const [owner, field] = split(path)
  types[owner]!.required = types[owner]!.required?.filter((name) => name !== field)
}
writeGroups()

function split(path: string): [string, string] {
  const dot = path.lastIndexOf('.')
  return [path.slice(0, dot), path.slice(dot + 1)]
}

function fieldAt(path: string): Schema {
  const [owner, field] = split(path)
  const schema = types[owner]?.properties?.[field]
  if (!schema) throw new Error(`facts name ${path}, which upstream does not have`)
  return schema
}

function writeGroups(): void {
  const groups = Object.groupBy(Object.keys(types).sort(), (name) => name.slice(0, name.indexOf('.')))
  for (const [group, names] of Object.entries(groups)) {
    const folder = resolve(import.meta.dirname, '../../src/kinds', group)
    mkdirSync(folder, { recursive: true })
    const lines = names!.map((name) => `${JSON.stringify(name)}:${JSON.stringify(types[name])}`)
    const text = `{\n${lines.join(',\n')}\n}\n`
    writeFileSync(join(folder, `${group}.schema.json`), text)
    console.log(`${group}: ${names!.length} types, ${text.length} bytes`)
  }
}
