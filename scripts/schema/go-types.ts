// Reads Go type declarations (types.go of the Kubernetes API packages) into plain data: fields, tags and markers.
// Comments are dropped: only "+marker=value" lines are facts.

import { readFileSync } from 'node:fs'

export interface GoField {
  /** '' for an embedded struct without a JSON name. */
  jsonName: string
  type: string
  omitEmpty: boolean
  inline: boolean
  proto?: number
  patchStrategy?: string
  patchMergeKey?: string
  markers: Record<string, string[]>
}

export interface GoType {
  name: string
  fields?: GoField[]
  /** Set for a named type that is no struct: `type PodPhase string`. */
  underlying?: string
  markers: Record<string, string[]>
}

export interface GoPackage {
  types: Map<string, GoType>
  /** Constant values by the name of their type. */
  constants: Map<string, string[]>
  /** Import alias → path. */
  imports: Map<string, string>
}

export function readGoPackage(files: string[]): GoPackage {
  const pack: GoPackage = { types: new Map(), constants: new Map(), imports: new Map() }
  for (const file of files) readFile(readFileSync(file, 'utf8').split('\n'), pack)
  return pack
}

function readFile(lines: string[], pack: GoPackage): void {
  let markers: Record<string, string[]> = {}
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    const alias = /^\t?(?:import )?(\w+)? ?"(k8s\.io\/[^"]+)"$/.exec(line)
    if (alias) pack.imports.set(alias[1] ?? alias[2]!.split('/').at(-1)!, alias[2]!)
    const constant = /^(?:\t|const )\w+\s+(\w+)\s+=\s+"([^"]*)"/.exec(line)
    if (constant) pack.constants.set(constant[1]!, [...(pack.constants.get(constant[1]!) ?? []), constant[2]!])
    if (line.startsWith('//')) addMarker(line, markers)
    else {
      const declaration = /^type (\w+) (.+)$/.exec(line)
      if (declaration) {
        const [, name, rest] = declaration as unknown as [string, string, string]
        if (rest.startsWith('struct')) {
          const end = rest.endsWith('}') ? i : lines.indexOf('}', i)
          pack.types.set(name, { name, fields: readFields(lines.slice(i + 1, end)), markers })
          i = end
        } else pack.types.set(name, { name, underlying: rest.replace(/\s*\/\/.*$/, ''), markers })
      }
      if (line !== '' || !hasMarkers(markers)) markers = {}
    }
  }
}

const hasMarkers = (markers: Record<string, string[]>) => Object.keys(markers).length > 0

function readFields(lines: string[]): GoField[] {
  const fields: GoField[] = []
  let markers: Record<string, string[]> = {}
  for (const line of lines) {
    const text = line.trim()
    if (text.startsWith('//')) {
      addMarker(text, markers)
      continue
    }
    const field = /^(?:(\w+)\s+)?([^\s`]+)\s+`([^`]*)`/.exec(text)
    if (field) fields.push(readField(field[2]!, field[3]!, markers))
    if (text !== '') markers = {}
  }
  return fields
}

function readField(type: string, tagText: string, markers: Record<string, string[]>): GoField {
  const tags = Object.fromEntries([...tagText.matchAll(/(\w+):"([^"]*)"/g)].map((tag) => [tag[1]!, tag[2]!]))
  const [jsonName = '', ...options] = (tags.json ?? '').split(',')
  const proto = tags.protobuf?.split(',')[1]
  return {
    jsonName,
    type,
    omitEmpty: options.includes('omitempty') || options.includes('omitzero'),
    inline: options.includes('inline') || (jsonName === '' && tags.json !== undefined),
    ...(proto && { proto: Number(proto) }),
    ...(tags.patchStrategy && { patchStrategy: tags.patchStrategy }),
    ...(tags.patchMergeKey && { patchMergeKey: tags.patchMergeKey }),
    markers,
  }
}

function addMarker(line: string, markers: Record<string, string[]>): void {
  if (line.includes('<gateway:experimental>')) markers.experimental = ['']
  const marker = /^\/\/\s*\+([\w:.]+?)(?::?=(.*))?$/.exec(line)
  if (marker) markers[marker[1]!] = [...(markers[marker[1]!] ?? []), (marker[2] ?? '').trim()]
}
