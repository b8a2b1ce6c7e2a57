// /openapi/v2 for clients that take only its protobuf form (gnostic's openapi.v2.Document). kubectl asks for it when the
// v3 documents do not tell whether it can leave validation to the server (kinds that are only created: Binding, reviews,
// and kinds that nobody serves). It needs to learn only that v2 knows no better, so the document has no paths.

import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'

/** Asked for with '@v1.0', answered with '.v1.0': Go's parser of media types takes no '@'. */
const mediaType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

const text = (field: number, value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes])
}

const message = (field: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([(field << 3) | 2, body.length]), body])
}

/** Fields of Document: swagger = 1, info = 2 (title = 1, version = 2), paths = 8. */
const document = Buffer.concat([text(1, '2.0'), message(2, text(1, 'Kubernetes'), text(2, 'v1')), message(8)])

export function protobufOpenApi(request: ApiRequest): ApiResponse | undefined {
  if (request.path !== '/openapi/v2') return undefined
  const accepted = (request.headers.accept ?? '').split(',').map((part) => part.trim())
  if (!accepted.some((type) => type.startsWith('application/com.github.proto-openapi.spec.v2'))) return undefined
  if (accepted.some((type) => type.startsWith('application/json') || type === '*/*')) return undefined
  return { status: 200, headers: { 'content-type': mediaType }, stream: once(document) }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
