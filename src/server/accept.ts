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

/** For answers that are objects only, as reviews are: another form alone is refused with 406. */
export function requirePlainForm(accept: string | undefined): void {
  if (accept && !accept.split(',').some((part) => takesJson(part) && !/;\s*as=/.test(part))) throw notAcceptable('')
}

function parse(accept: string): Form {
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim())
    if (!takesJson(type)) continue
    const named = Object.fromEntries(parameters.map((parameter) => parameter.split('=', 2)))
    if (named.as === undefined) return plain
    if (named.g !== 'meta.k8s.io' || (named.v !== 'v1' && named.v !== 'v1beta1')) continue
    if (named.as === 'Table') return { as: 'Table', version: named.v }
    if (named.as === 'PartialObjectMetadata' || named.as === 'PartialObjectMetadataList')
      return { as: 'PartialObjectMetadata', version: named.v }
  }
  throw notAcceptable(
    ', application/json;as=Table;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  )
}

const takesJson = (part: string): boolean =>
  ['application/json', '*/*', 'application/*', 'application/yaml'].includes(part.split(';', 1)[0]!.trim().toLowerCase())

const notAcceptable = (more: string): ApiError =>
  new ApiError(
    'NotAcceptable',
    `only the following media types are accepted: application/json, application/yaml${more}`,
  )
