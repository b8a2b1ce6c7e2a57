// Tokens with which one claim may be uploaded into for five minutes (upload.cdi.kubevirt.io; lifetime and issuer of CDI
// 1.65). Signed with the key of service-account tokens, but of another issuer: neither is good for the other.

import { createPublicKey, type KeyObject } from 'node:crypto'

export interface UploadRight {
  namespace: string
  claim: string
}

export interface UploadTokens {
  issue(right: UploadRight): Promise<string>
  /** undefined when it is not ours, or too old. */
  verify(token: string): Promise<UploadRight | undefined>
}

const issuer = 'cdi-apiserver'
const seconds = 5 * 60
/** Clocks differ, and an upload may begin late. */
const leeway = 10

/** Loaded with the first token. */
const jose = () => import('jose')

export function createUploadTokens(key: KeyObject, now: () => number = Date.now): UploadTokens {
  const publicKey = createPublicKey(key)
  return {
    async issue({ namespace, claim }) {
      const { SignJWT } = await jose()
      const issued = Math.floor(now() / 1000)
      return new SignJWT({ operation: 'Upload', namespace, name: claim, resource: 'persistentvolumeclaims' })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer(issuer)
        .setIssuedAt(issued)
        .setNotBefore(issued)
        .setExpirationTime(issued + seconds)
        .sign(key)
    },
    async verify(token) {
      try {
        const { jwtVerify } = await jose()
        const { payload } = await jwtVerify(token, publicKey, {
          issuer,
          algorithms: ['ES256'],
          requiredClaims: ['exp'],
          clockTolerance: leeway,
          currentDate: new Date(now()),
        })
        const { operation, namespace, name } = payload
        if (operation !== 'Upload' || typeof namespace !== 'string' || typeof name !== 'string') return undefined
        return { namespace, claim: name }
      } catch {
        return undefined
      }
    },
  }
}
