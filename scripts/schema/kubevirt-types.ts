// Turns the TypeScript declarations of the npm package @kubevirt-ui-ext/kubevirt-api into the notation of
// src/api/schema.ts. KubeVirt's kinds are custom resources: no protobuf, and zero values are kept as they are.

import { readFileSync } from 'node:fs'
import type { Schema, SchemaTypes } from '../../src/api/schema.ts'
import { kubevirtFields } from './kubevirt-facts.ts'

export class KubevirtSchemas {
  readonly types: SchemaTypes = {}
  /** Types of Kubernetes itself that these refer to. */
  readonly foreign = new Set<string>()
  readonly #text: string

  constructor(declarations: string) {
    this.#text = readFileSync(declarations, 'utf8')
  }

  add(name: string): void {
    const key = qualify(name)
    if (key in this.types) return
    const start = this.#text.indexOf(`\ninterface ${name} {`)
    if (start < 0) throw new Error(`no interface ${name}`)
    const body = this.#text.slice(start, this.#text.indexOf('\n}', start))
    const schema: Schema = { type: 'object', properties: {} }
    this.types[key] = schema
    const required: string[] = []
    for (const member of body.matchAll(/\/\*\*([\s\S]*?)\*\/\n {4}'?([\w-]+)'?(\??):/g)) {
      const [, comment, written, optional] = member as unknown as [string, string, string, string]
      // Words of the language have a line before them there (_default); no field of KubeVirt begins with one.
      const field = written.replace(/^_/, '')
      schema.properties![field] = this.#field(key, field, comment)
      if (!optional) required.push(field)
    }
    Object.assign(schema.properties!, kubevirtFields.added[key])
    if (required.length) schema.required = required
  }

  #field(owner: string, field: string, comment: string): Schema {
    const type = /@type \{(.*)\}/.exec(comment)![1]!
    const schema: Schema = { ...this.#type(type), keepZero: true }
    if (schema.type === 'string') {
      if (comment.includes('Quantity is a fixed-point')) schema.format = 'quantity'
      else if (/Timestamp$|^(lastTransition|lastProbe|creation|deletion)Time$/.test(field)) schema.format = 'date-time'
    }
    return { ...schema, ...kubevirtFields.changed[`${owner}.${field}`] }
  }

  #type(text: string): Schema {
    const list = /^Array<(.*)>$/.exec(text)
    if (list) return { type: 'array', items: this.#type(list[1]!) }
    const map = /^\{ \[key: string\]: (.*); \}$/.exec(text)
    if (map) return { type: 'object', additionalProperties: this.#type(map[1]!) }
    if (text === 'string') return { type: 'string' }
    if (text === 'boolean') return { type: 'boolean' }
    if (text === 'number') return { type: 'integer', format: 'int64' }
    if (text === 'object') return { type: 'object', properties: {} }
    if (text === 'Date') return { type: 'string', format: 'date-time' }
    if (text.endsWith('Enum')) return { type: 'string', enum: this.#enum(text) }
    const name = qualify(text)
    if (name.startsWith('kubevirt.')) this.add(text)
    else this.foreign.add(name)
    return { ref: name }
  }

  #enum(name: string): string[] {
    const start = this.#text.indexOf(`declare const ${name}: {`)
    const body = this.#text.slice(start, this.#text.indexOf('};', start))
    return [...body.matchAll(/: "([^"]*)"/g)].map((match) => match[1]!).sort()
  }
}

/** V1CPU → kubevirt.v1.CPU, V1beta1DataVolumeSpec → kubevirt.v1beta1.DataVolumeSpec, K8sIoApiCoreV1Toleration → core.v1.Toleration. */
function qualify(name: string): string {
  const core = /^K8sIoApi([A-Z][a-z]+)V1(\w+)$/.exec(name)
  if (core) return `${core[1]!.toLowerCase()}.v1.${core[2]}`
  const meta = /^K8sIoApimachineryPkgApisMetaV1(\w+)$/.exec(name)
  if (meta) return `meta.v1.${meta[1]}`
  const own = /^V(\d(?:(?:alpha|beta)\d)?)(\w+)$/.exec(name)
  if (!own) throw new Error(`cannot place type ${name}`)
  return `kubevirt.v${own[1]}.${own[2]}`
}
