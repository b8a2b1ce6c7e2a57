// The bytes of a request as an object: JSON, YAML or protobuf, with what a strict reading has to complain about.

import { ApiError } from '../api/errors.ts'
import type { ApiRequest } from '../api/exchange.ts'
import { badRequest } from './call.ts'
import { isTooDeep, isValueTooDeep, maxDepth } from './depth.ts'
import { duplicateKeys } from './duplicate-keys.ts'
import { decodeProtobuf } from './protobuf.ts'
import { yaml } from './yaml.ts'
import { repeatedYamlKeys } from './yaml-duplicates.ts'

export interface Body {
  value: any
  /** 'duplicate field "spec.replicas"' */
  problems: string[]
}

/** A body that was read already. */
export class ReadBody {
  readonly body: Body

  constructor(body: Body) {
    this.body = body
  }
}

const accepted = 'application/json, application/yaml, application/vnd.kubernetes.protobuf'

export const mediaType = (header: string | undefined): string => (header ?? '').split(';')[0]!.trim().toLowerCase()

export const unsupportedMediaType = (types: string): ApiError =>
  new ApiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${types}`,
  )

export const isBytes = (body: unknown): body is Uint8Array => body instanceof Uint8Array

/** @throws ApiError BadRequest, UnsupportedMediaType */
export function readBody(request: ApiRequest, checkDuplicates: boolean): Body {
  const { body, headers } = request
  if (body === undefined) return { value: undefined, problems: [] }
  if (body instanceof ReadBody) return body.body
  if (!isBytes(body)) return { value: body, problems: [] }
  if (body.length === 0) return { value: undefined, problems: [] }
  const type = mediaType(headers['content-type'])
  if (type === 'application/vnd.kubernetes.protobuf') return { value: decodeProtobuf(body), problems: [] }
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  if (type === 'application/yaml' || type.endsWith('+yaml')) return fromYaml(text)
  if (type === '' || type === 'application/json' || type.endsWith('+json') || type === '*/*')
    return fromJson(text, checkDuplicates)
  throw unsupportedMediaType(accepted)
}

export function fromJson(text: string, checkDuplicates: boolean): Body {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw badRequest(`the object provided is not valid JSON: ${(error as Error).message}`)
  }
  return checkedJson(value, text, checkDuplicates)
}

function checkedJson(value: unknown, text: string, checkDuplicates: boolean): Body {
  if (isTooDeep(text)) throw tooDeep()
  const problems = checkDuplicates ? duplicateKeys(text).map((path) => `duplicate field "${path}"`) : []
  return { value, problems }
}

const tooDeep = () => badRequest(`exceeded max depth: the object provided is nested more than ${maxDepth} levels deep`)

/** undefined for text that is no JSON. */
function tryJson(text: string): { value: unknown } | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** Timestamps, base-60 numbers (12:30:45) and !!binary stay the text that they are. */
function unwanted(tag: unknown): boolean {
  if (typeof tag !== 'object' || tag === null) return false
  const { tag: name = '', format } = tag as { tag?: string; format?: string }
  return /timestamp|binary/.test(name) || format === 'TIME'
}

/** JSON under the name of YAML, as kubectl sends it; undefined for what is not JSON. */
export function jsonOfYaml(text: string): Body | undefined {
  // Flow-style YAML that is not JSON goes the ordinary way.
  const json = tryJson(text)
  return json && checkedJson(json.value, text, true)
}

/** YAML as Go's sigs.k8s.io/yaml reads it: 1.1's octal numbers and booleans, but no timestamps. JSON is YAML too. */
export function fromYaml(text: string): Body {
  const json = jsonOfYaml(text)
  if (json) return json
  // What the parser would only find out after a long climb.
  if (isTooDeep(text)) throw tooDeep()
  const lineCounter = new (yaml().LineCounter)()
  try {
    const document = yaml().parseDocument(text, {
      lineCounter,
      version: '1.1',
      customTags: (tags) => tags.filter((tag) => !unwanted(tag)),
      uniqueKeys: false,
      logLevel: 'silent',
    })
    if (document.errors.length > 0) throw document.errors[0]
    const value = document.toJS({ maxAliasCount: 100 })
    if (isValueTooDeep(value)) throw tooDeep()
    return { value, problems: repeatedYamlKeys(document, lineCounter) }
  } catch (error) {
    if (error instanceof ApiError) throw error
    // A RangeError too: text nested so deep that the parser's stack ends.
    const message = (error as Error).message.replace('Maximum call stack size exceeded', 'it is nested too deeply')
    throw badRequest(`the object provided is not valid YAML: ${message}`)
  }
}
