// Why a connection failed, in the words that Go programs use and people search for.

const texts: Record<string, string> = {
  SELF_SIGNED_CERT_IN_CHAIN: 'x509: certificate signed by unknown authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'x509: certificate signed by unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'x509: certificate signed by unknown authority',
  CERT_HAS_EXPIRED: 'x509: certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'x509: certificate has expired or is not yet valid',
}

type Failure = Error & { code?: string; reason?: string; host?: string; address?: string; port?: number }

export function tlsProblem(error: Failure): string {
  const { code = '', address, port } = error
  const known = texts[code]
  if (known) return `tls: failed to verify certificate: ${known}`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `tls: failed to verify certificate: x509: ${error.message}`
  if (code === 'ECONNREFUSED') return `dial tcp ${address}:${port}: connect: connection refused`
  if (code === 'EHOSTUNREACH') return `dial tcp ${address}:${port}: connect: no route to host`
  if (code === 'ETIMEDOUT') return `dial tcp ${address}:${port}: i/o timeout`
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${error.host ?? ''}: no such host`
  return error.message
}
