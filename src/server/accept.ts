// In which form the client wants its answer: the objects themselves, a Table, or only their metadata (Accept header).

import { ApiError } from '../api/errors.ts'

export type Form =
  | { as: 'object' }
  | { as: 'Table'; version: string }
  | { as: 'PartialObjectMetadata'; version: string }

const plain: Form = { as: 'object' }
const cache = new Map<string, Form>()

export function formOf(accept: string | undefined): Form {
  if (!accept) return plain
  const known = cache.get(accept)
  if (known) return known
  const form = parse(accept)
  if (cache.size < 200) cache.set(accept, form)
  return form
}

function parse(accept: string): Form {
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim())
    if (!['application/json', '*/*', 'application/*', 'application/yaml'].includes(type.toLowerCase())) continue
    const named = Object.fromEntries(parameters.map((parameter) => parameter.split('=', 2)))
    if (named.as === undefined) return plain
    if (named.g !== 'meta.k8s.io' || (named.v !== 'v1' && named.v !== 'v1beta1')) continue
    if (named.as === 'Table') return { as: 'Table', version: named.v }
    if (named.as === 'PartialObjectMetadata' || named.as === 'PartialObjectMetadataList')
      return { as: 'PartialObjectMetadata', version: named.v }
  }
  throw new ApiError(
    'NotAcceptable',
    'only the following media types are accepted: application/json, application/yaml, application/json;as=Table;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  )
}
