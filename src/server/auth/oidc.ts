// Tokens of other issuers (OpenID Connect): signature by the issuer's published keys, audience, time, and the claims that
// become user and groups. The keys are fetched with the first token and again when a token names one that is not known.

import { Agent, request } from 'node:https'
import type { JWTPayload, JWTVerifyGetKey } from 'jose'
import type { UserInfo } from '../../api/exchange.ts'
import type { Logger } from '../../base/log.ts'
import type { JwtIssuer } from './authentication-config.ts'

export interface TokenVerifier {
  verify(token: string, audiences?: string[]): Promise<{ user: UserInfo; audiences: string[] } | undefined>
}

export interface OidcOptions {
  issuers: JwtIssuer[]
  /** The issuer's discovery document and keys; default: over HTTPS. @throws Error */
  fetchJson?: (url: string, certificateAuthority: string | undefined) => Promise<any>
  now?: () => number
  log: Logger
}

const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']
const mostBytes = 1024 * 1024
const patience = 10_000
/** Somebody who sends tokens with invented keys must not make us ask the issuer each time. */
const askAgainAfter = 10_000

const jose = () => import('jose')

/** The claims as a user; undefined when one that is needed is missing. Pure. */
export function userOfClaims(issuer: JwtIssuer, claims: JWTPayload): UserInfo | undefined {
  for (const [claim, value] of Object.entries(issuer.required)) if (claims[claim] !== value) return undefined
  const name = claims[issuer.username.claim]
  if (typeof name !== 'string' || name === '') return undefined
  // An address that its owner did not prove says nothing about who they are.
  if (issuer.username.claim === 'email' && claims.email_verified !== undefined && claims.email_verified !== true)
    return undefined
  const { groups } = issuer
  const listed = groups ? [claims[groups.claim] ?? []].flat() : []
  if (!listed.every((group) => typeof group === 'string')) return undefined
  const uid = issuer.uid ? claims[issuer.uid] : undefined
  return {
    name: issuer.username.prefix + name,
    groups: [...listed.map((group) => `${groups!.prefix}${group}`), 'system:authenticated'],
    ...(typeof uid === 'string' && uid && { uid }),
  }
}

/** Who says that they issued it, read without trust: only to know whom to ask. */
function issuerOf(token: string): string | undefined {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).iss
  } catch {
    return undefined
  }
}

export function createOidc(options: OidcOptions): TokenVerifier {
  const { log, now = Date.now, fetchJson = httpsJson } = options
  const keys = new Map<string, { at: number; get: JWTVerifyGetKey }>()

  async function fetchKeys(issuer: JwtIssuer): Promise<JWTVerifyGetKey> {
    const page = issuer.discoveryUrl ?? `${issuer.url.replace(/\/$/, '')}/.well-known/openid-configuration`
    const discovery = await fetchJson(page, issuer.certificateAuthority)
    if (discovery?.issuer !== issuer.url)
      throw new Error(`the discovery document of ${issuer.url} names the issuer ${discovery?.issuer}`)
    const set = await fetchJson(String(discovery.jwks_uri), issuer.certificateAuthority)
    const get = (await jose()).createLocalJWKSet(set)
    keys.set(issuer.url, { at: now(), get })
    return get
  }

  async function check(issuer: JwtIssuer, token: string): Promise<JWTPayload | undefined> {
    const { jwtVerify } = await jose()
    const rules = { issuer: issuer.url, audience: issuer.audiences, algorithms, currentDate: new Date(now()) }
    const required = { ...rules, requiredClaims: ['exp'] }
    const held = keys.get(issuer.url)
    try {
      return (await jwtVerify(token, held?.get ?? (await fetchKeys(issuer)), required)).payload
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === undefined) log.warn('the keys of an issuer of tokens cannot be read', { issuer: issuer.url, error })
      const isUnknownKey = code === 'ERR_JWKS_NO_MATCHING_KEY'
      if (!isUnknownKey || !held || now() - held.at < askAgainAfter) return undefined
    }
    keys.delete(issuer.url)
    return check(issuer, token)
  }

  return {
    async verify(token, audiences) {
      const from = issuerOf(token)
      const issuer = options.issuers.find((one) => one.url === from)
      const claims = issuer && (await check(issuer, token))
      const user = claims && userOfClaims(issuer, claims)
      if (!user) return undefined
      const has = [claims.aud ?? []].flat()
      const shared = (audiences ?? issuer.audiences).filter((audience) => has.includes(audience))
      return shared.length > 0 ? { user, audiences: shared } : undefined
    },
  }
}

function httpsJson(url: string, certificateAuthority: string | undefined): Promise<any> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ ...(certificateAuthority && { ca: certificateAuthority }), keepAlive: false })
    const asked = request(url, { agent, timeout: patience }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > mostBytes) asked.destroy(new Error(`${url} answers with more than ${mostBytes} bytes`))
        chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`${url} answers with status ${response.statusCode}`))
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()))
        } catch {
          reject(new Error(`${url} does not answer with JSON`))
        }
      })
    })
    asked.on('timeout', () => asked.destroy(new Error(`${url} does not answer`)))
    asked.on('error', reject)
    asked.end()
  })
}
