// Pages that are about no resource: the list of paths, the version, and what others need to trust this server's tokens.

import type { ApiRequest, ApiResponse } from '../api/exchange.ts'
import type { Tokens } from './auth/tokens.ts'
import { noSuchPath } from './call.ts'
import { serverVersion } from './health.ts'
import type { Registry } from './registry.ts'

/** @throws ApiError NotFound: nothing else is here. */
export async function plainPage(request: ApiRequest, registry: Registry, tokens: Tokens): Promise<ApiResponse> {
  if (request.path === '/version' || request.path === '/version/') return { status: 200, object: serverVersion }
  return (await issuerPages(request, tokens)) ?? rootPage(request, registry)
}

async function issuerPages(request: ApiRequest, tokens: Tokens): Promise<ApiResponse | undefined> {
  const path = request.path.replace(/\/$/, '')
  const headers = { 'cache-control': 'public, max-age=3600' }
  if (path === '/openid/v1/jwks')
    return {
      status: 200,
      headers: { ...headers, 'content-type': 'application/jwk-set+json' },
      object: await tokens.keys(),
    }
  if (path !== '/.well-known/openid-configuration') return undefined
  return {
    status: 200,
    headers,
    object: {
      issuer: tokens.issuer,
      jwks_uri: `${tokens.issuer}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    },
  }
}

function rootPage(request: ApiRequest, registry: Registry): ApiResponse {
  if (request.path !== '/' || request.method !== 'GET') throw noSuchPath()
  const groups = [...registry.groups()].flatMap(([group, versions]) =>
    versions.map((version) => (group ? `/apis/${group}/${version}` : `/api/${version}`)),
  )
  const paths = ['/api', '/apis', ...groups, '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version']
  return { status: 200, object: { paths: paths.sort() } }
}
