// TokenRequest: POST serviceaccounts/x/token (registry/core/serviceaccount/storage/token.go, 1.36).

import { conflict, type FieldError, invalid, notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { cannotBeHandled, decode } from '../../api/walk/decode.ts'
import { isPlainObject } from '../../api/walk/plain.ts'
import { objectShape } from '../../api/walk/shape.ts'
import { schemaOf, types } from '../../kinds/types.ts'
import { admitPart } from '../admit-part.ts'
import type { TokenClaims, Tokens } from '../auth/tokens.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, methodNotAllowed, writeOptions } from '../call.ts'
import { existing } from '../verbs/get.ts'

const shortest = 600
const longest = 2 ** 32

export async function requestToken(call: Call, tokens: Tokens): Promise<ApiResponse> {
  if (call.info.verb !== 'create') throw methodNotAllowed()
  const account = existing(call).object
  const { audiences = [], expirationSeconds, boundObjectRef } = (await admitted(call)).spec ?? {}
  const seconds = expirationSeconds ?? 3600
  validate(seconds)
  const claims: TokenClaims = {
    namespace: call.info.namespace,
    account: { name: account.metadata.name, uid: account.metadata.uid },
    ...(boundObjectRef && bound(call, boundObjectRef)),
  }
  const wanted = audiences.length > 0 ? audiences : [tokens.issuer]
  const status = writeOptions(call).dryRun
    ? { token: '', expirationTimestamp: null }
    : await tokens.issue(claims, wanted, Math.min(seconds, 365 * 24 * 3600))
  return {
    status: 201,
    object: {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: {
        name: account.metadata.name,
        namespace: call.info.namespace,
        creationTimestamp: account.metadata.creationTimestamp,
      },
      spec: { audiences: wanted, expirationSeconds: seconds, boundObjectRef: boundObjectRef ?? null },
      status,
    },
  }
}

const kind = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' }

const admitted = (call: Call): Promise<ApiObject> => admitPart(call, kind, readRequest(call), writeOptions(call).dryRun)

function readRequest(call: Call): ApiObject {
  const sent = readBody(call.request, false).value ?? {}
  if (!isPlainObject(sent)) throw badRequest('the request has no TokenRequest in its body')
  const shape = objectShape({ schema: schemaOf('authentication.v1.TokenRequest'), types })
  const { object, wrong } = decode<ApiObject>(sent, shape, 'typed', 'TokenRequest')
  if (wrong) throw cannotBeHandled('TokenRequest', 'v1', wrong)
  return object
}

function validate(seconds: unknown): void {
  const errors: FieldError[] = []
  const wrong = (detail: string) =>
    errors.push({ type: 'FieldValueInvalid', field: 'spec.expirationSeconds', value: seconds, detail })
  if (typeof seconds !== 'number' || !Number.isInteger(seconds)) wrong('must be a whole number')
  else if (seconds < shortest) wrong('may not specify a duration less than 10 minutes')
  else if (seconds > longest) wrong('may not specify a duration larger than 2^32 seconds')
  if (errors.length > 0) throw invalid('TokenRequest', '', errors, 'authentication.k8s.io')
}

const bindable = new Map([
  ['Pod', 'pods'],
  ['Secret', 'secrets'],
  ['Node', 'nodes'],
])

function bound(call: Call, ref: Record<string, any>): Partial<TokenClaims> {
  const plural = bindable.get(ref.kind)
  if (!plural)
    throw badRequest(
      `cannot bind token for serviceaccount "${call.info.name}" to type ${ref.apiVersion ?? ''} ${ref.kind ?? ''}`,
    )
  const { engine, info } = call
  const resource = engine.registry.preferred('', plural)
  const found = resource && engine.objects.get(resource, info.namespace, String(ref.name))?.object
  if (!found) throw notFound(plural, ref.name)
  if (ref.uid && ref.uid !== found.metadata.uid)
    throw conflict(
      plural,
      ref.name,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    )
  if (plural === 'pods' && (found.spec?.serviceAccountName ?? 'default') !== info.name)
    throw badRequest(
      `cannot bind token for serviceaccount "${info.name}" to pod running with different serviceaccount name.`,
    )
  const target = { name: found.metadata.name, uid: found.metadata.uid }
  if (plural === 'secrets') return { secret: target }
  if (plural === 'nodes') return { node: target }
  const nodeName = found.spec?.nodeName
  const nodes = nodeName ? engine.registry.preferred('', 'nodes') : undefined
  const node = nodes && engine.objects.get(nodes, '', nodeName)?.object
  return { pod: target, ...(nodeName && { node: { name: nodeName, uid: node?.metadata.uid ?? '' } }) }
}
