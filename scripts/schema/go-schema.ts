// Turns Go types into the notation of src/api/schema.ts, following references from the given roots.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Schema, SchemaTypes } from '../../src/api/schema.ts'
import { type GoField, type GoPackage, type GoType, readGoPackage } from './go-types.ts'
import { isExperimental, isMarked, markedDefault, markedLimits } from './kubebuilder.ts'

/** Types that are written in JSON otherwise than their Go struct says. */
const leaves: Record<string, Schema> = {
  'meta.v1.Time': { type: 'string', format: 'date-time' },
  'meta.v1.MicroTime': { type: 'string', format: 'micro-time' },
  'meta.v1.Duration': { type: 'string', format: 'duration' },
  'meta.v1.FieldsV1': { type: 'object', preserveUnknown: true, mapType: 'atomic' },
  'resource.Quantity': { type: 'string', format: 'quantity' },
  'intstr.IntOrString': { intOrString: true, format: 'int-or-string' },
  'runtime.RawExtension': { type: 'object', preserveUnknown: true },
  'types.UID': { type: 'string' },
  'types.NodeName': { type: 'string' },
  // apiextensions.k8s.io writes these by hand: any JSON value, or one of two forms.
  'apiextensions.v1.JSON': { preserveUnknown: true },
  'apiextensions.v1.JSONSchemaPropsOrArray': { preserveUnknown: true },
  'apiextensions.v1.JSONSchemaPropsOrBool': { preserveUnknown: true },
  'apiextensions.v1.JSONSchemaPropsOrStringArray': { preserveUnknown: true },
}

/** Groups whose Go types are not in k8s.io/api. */
const elsewhere: Record<string, string> = {
  meta: 'apimachinery/pkg/apis/meta',
  apiextensions: 'apiextensions-apiserver/pkg/apis/apiextensions',
  apiregistration: 'kube-aggregator/pkg/apis/apiregistration',
  metrics: 'metrics/pkg/apis/metrics',
  cdi: 'containerized-data-importer-api/pkg/apis/core',
  gateway: 'gateway-api/apis',
  volumesnapshot: 'external-snapshotter/client/apis/volumesnapshot',
}

const scalars: Record<string, Schema> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int: { type: 'integer', format: 'int64' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  uint32: { type: 'integer', format: 'int64' },
  uint64: { type: 'integer', format: 'int64' },
  float64: { type: 'number', format: 'double' },
}

/** Structs whose zero value is not written as {}. */
const noEmptyObject = new Set(['date-time', 'micro-time', 'duration', 'quantity', 'int-or-string'])

export class GoSchemas {
  readonly types: SchemaTypes = {}
  readonly #root: string
  readonly #packages = new Map<string, GoPackage>()

  constructor(root: string) {
    this.#root = root
  }

  /** Adds "core.v1.Pod" and everything that it names. */
  add(name: string): void {
    if (name in this.types) return
    const [pack, type] = this.#find(name)
    this.types[name] = {} // placeholder: types may refer to themselves
    this.types[name] = this.#struct(name, pack, type)
  }

  #find(name: string): [GoPackage, GoType] {
    const [group, version, typeName] = name.split('.') as [string, string, string]
    const pack = this.#package(group, version)
    const type = pack.types.get(typeName)
    if (!type) throw new Error(`no Go type ${name}`)
    return [pack, type]
  }

  #package(group: string, version: string): GoPackage {
    const key = `${group}.${version}`
    const known = this.#packages.get(key)
    if (known) return known
    const folder = join(this.#root, elsewhere[group] ?? `api/${group}`, version)
    if (!existsSync(folder)) throw new Error(`no folder ${folder}`)
    const files = readdirSync(folder).filter(
      (file) => /^types.*\.go$|_types\.go$/.test(file) && !/_(test|generated)/.test(file),
    )
    const pack = readGoPackage(files.map((file) => join(folder, file)))
    this.#packages.set(key, pack)
    return pack
  }

  #struct(name: string, pack: GoPackage, type: GoType): Schema {
    const scope = name.slice(0, name.lastIndexOf('.'))
    const schema: Schema = { type: 'object', properties: {} }
    if (type.markers.structType?.[0] === 'atomic') schema.mapType = 'atomic'
    const required: string[] = []
    for (const field of type.fields ?? []) {
      if (field.jsonName === '-' || isExperimental(field)) continue
      if (field.inline) this.#inline(schema, required, field, scope)
      else {
        schema.properties![field.jsonName] = this.#field(field, pack, scope)
        if (!field.omitEmpty && !field.type.startsWith('*') && !field.markers.optional) required.push(field.jsonName)
        else if (isMarked(scope) && field.markers.required) required.push(field.jsonName)
      }
    }
    if (required.length) schema.required = required
    return schema
  }

  #inline(schema: Schema, required: string[], field: GoField, scope: string): void {
    if (field.type.endsWith('TypeMeta')) {
      schema.properties!.apiVersion = { type: 'string' }
      schema.properties!.kind = { type: 'string' }
      return
    }
    const name = this.#qualify(field.type, scope)
    this.add(name)
    const inner = this.types[name]!
    for (const [key, value] of Object.entries(inner.properties ?? {})) {
      const { proto, ...rest } = value
      schema.properties![key] = field.proto === undefined ? value : rest
    }
    required.push(...(inner.required ?? []))
    if (field.proto !== undefined) schema.protoInline = { ...schema.protoInline, [field.proto]: name }
  }

  #field(field: GoField, pack: GoPackage, scope: string): Schema {
    const { markers } = field
    const schema = { ...this.#type(field.type, scope) }
    if (field.proto !== undefined) schema.proto = field.proto
    const pointer = field.type.startsWith('*')
    const isStruct = this.#isStruct(schema)
    if (pointer || !field.omitEmpty || isStruct) schema.keepZero = true
    if (markers.listType) schema.listType = markers.listType[0] as 'map'
    if (markers.listMapKey) schema.listMapKeys = markers.listMapKey
    if (markers.mapType?.[0] === 'atomic' || markers.structType?.[0] === 'atomic') schema.mapType = 'atomic'
    if (field.patchStrategy) schema.patchStrategy = field.patchStrategy
    if (field.patchMergeKey) schema.patchMergeKey = field.patchMergeKey
    this.#mergeRelation(schema)
    const value = isMarked(scope) ? markedDefault(markers) : this.#default(field, schema, pack)
    if (isMarked(scope)) Object.assign(schema, markedLimits(markers, schema), { keepZero: true })
    if (value !== undefined) schema.default = value
    return schema
  }

  /** kube-openapi's rule: a list that strategic merge patch merges is associative for apply as well. */
  #mergeRelation(schema: Schema): void {
    if (schema.type !== 'array' || schema.listType || !schema.patchStrategy?.split(',').includes('merge')) return
    schema.listType = schema.patchMergeKey ? 'map' : 'set'
    if (schema.patchMergeKey) schema.listMapKeys = [schema.patchMergeKey]
  }

  #isStruct(schema: Schema): boolean {
    if (noEmptyObject.has(schema.format ?? '')) return false
    return schema.ref !== undefined && this.types[schema.ref]?.type !== 'array'
  }

  #default(field: GoField, schema: Schema, pack: GoPackage): unknown {
    const marker = field.markers.default?.[0]
    if (marker?.startsWith('ref(')) return undefined
    // A zero that JSON leaves out is no default that anybody sees.
    const isHidden = field.omitEmpty && !field.type.startsWith('*') && (marker === '""' || marker === '0')
    if (marker !== undefined && !isHidden && !(marker === '""' && field.omitEmpty)) return JSON.parse(marker)
    if (field.type.startsWith('*') || pack === undefined) return undefined
    if (this.#isStruct(schema)) return field.type.endsWith('Meta') && field.jsonName !== 'metadata' ? undefined : {}
    if (field.omitEmpty) return undefined
    if (schema.format && noEmptyObject.has(schema.format)) return undefined
    return { string: '', boolean: false, integer: 0, number: 0 }[schema.type as string]
  }

  #qualify(type: string, scope: string): string {
    const dot = type.indexOf('.')
    if (dot < 0) return `${scope}.${type}`
    const [group, version] = scope.split('.') as [string, string]
    const path = this.#package(group, version).imports.get(type.slice(0, dot))
    const typeName = type.slice(dot + 1)
    const leaf = `${path?.split('/').at(-1)}.${typeName}`
    if (leaf in leaves) return leaf
    if (path?.endsWith('/meta/v1')) return `meta.v1.${typeName}`
    const match = /^k8s\.io\/api\/(\w+)\/(\w+)$/.exec(path ?? '')
    if (!match) throw new Error(`cannot place ${type} in ${scope} (${path})`)
    return `${match[1]}.${match[2]}.${typeName}`
  }

  #type(text: string, scope: string): Schema {
    if (text.startsWith('*')) return this.#type(text.slice(1), scope)
    if (text === '[]byte') return { type: 'string', format: 'byte' }
    if (text.startsWith('[]')) return { type: 'array', items: this.#type(text.slice(2), scope) }
    const map = /^map\[[\w.]+\](.+)$/.exec(text)
    if (map) return { type: 'object', additionalProperties: this.#type(map[1]!, scope) }
    if (text in scalars) return scalars[text]!
    const name = this.#qualify(text, scope)
    if (name in leaves) return leaves[name]!
    const [pack, type] = this.#find(name)
    if (type.fields) {
      this.add(name)
      return { ref: name }
    }
    return this.#named(name, pack, type)
  }

  #named(name: string, pack: GoPackage, type: GoType): Schema {
    const underlying = type.underlying!.replace(/^=\s*/, '')
    const scope = name.slice(0, name.lastIndexOf('.'))
    const schema = { ...this.#type(underlying, scope) }
    if (isMarked(scope)) Object.assign(schema, markedLimits(type.markers, schema))
    const values = pack.constants.get(type.name)
    if ('enum' in type.markers && values) schema.enum = [...new Set(values)].sort()
    // A named list is a message of its own in protobuf, with the items as field 1.
    if (schema.type === 'array' && underlying.startsWith('[]')) schema.protoWrapped = true
    return schema
  }
}
