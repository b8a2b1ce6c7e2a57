// PKCS#10: what a request for a certificate asks, whether its signature holds, and the certificate for it. Runs in the
// thread for certificates (pkg/apis/certificates/helpers.go and pkg/controller/certificates/authority, 1.36).

import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { algorithm, keyFromPem, type Pair, serial } from './certificates.ts'

export interface RequestFacts {
  commonName: string
  organizations: string[]
  dnsNames: string[]
  ips: string[]
  emails: string[]
  uris: string[]
}

const signatureBits: Record<string, number> = {
  'digital signature': x509.KeyUsageFlags.digitalSignature,
  signing: x509.KeyUsageFlags.digitalSignature,
  'content commitment': x509.KeyUsageFlags.nonRepudiation,
  'key encipherment': x509.KeyUsageFlags.keyEncipherment,
  'data encipherment': x509.KeyUsageFlags.dataEncipherment,
  'key agreement': x509.KeyUsageFlags.keyAgreement,
  'cert sign': x509.KeyUsageFlags.keyCertSign,
  'crl sign': x509.KeyUsageFlags.cRLSign,
  'encipher only': x509.KeyUsageFlags.encipherOnly,
  'decipher only': x509.KeyUsageFlags.decipherOnly,
}

const purposes: Record<string, string> = {
  any: '2.5.29.37.0',
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  's/mime': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
  'netscape sgc': '2.16.840.1.113730.4.1',
}

/** Never longer than this, whatever is asked (--cluster-signing-duration). */
const longest = 365 * 24 * 3600
const shortest = 600
const backdate = 300

/** @throws Error in words for the client */
function parse(base64: string): x509.Pkcs10CertificateRequest {
  const pem = Buffer.from(base64, 'base64').toString('latin1')
  const block = /-----BEGIN ([A-Z ]+)-----/.exec(pem)
  if (block?.[1] !== 'CERTIFICATE REQUEST') throw new Error('PEM block type must be CERTIFICATE REQUEST')
  try {
    return new x509.Pkcs10CertificateRequest(pem)
  } catch {
    throw new Error('the block is not a PKCS#10 certificate request')
  }
}

/** What is wrong with a request; undefined when its signature holds. */
export async function requestProblem(base64: string): Promise<string | undefined> {
  try {
    const holds = await parse(base64).verify()
    return holds ? undefined : 'the signature of the request does not fit its public key'
  } catch (error) {
    return (error as Error).message
  }
}

const textOf = (name: x509.Name, part: string): string[] => name.getField(part)

export function requestFacts(base64: string): RequestFacts {
  const request = parse(base64)
  const names = alternativeNames(request)?.names.items ?? []
  const of = (type: string) => names.filter((name) => name.type === type).map((name) => name.value)
  return {
    commonName: textOf(request.subjectName, 'CN')[0] ?? '',
    organizations: textOf(request.subjectName, 'O'),
    dnsNames: of('dns'),
    ips: of('ip'),
    emails: of('email'),
    uris: of('url'),
  }
}

const alternativeNames = (request: x509.Pkcs10CertificateRequest): x509.SubjectAlternativeNameExtension | undefined =>
  request.extensions.find((extension) => extension instanceof x509.SubjectAlternativeNameExtension)

export interface SigningOrder {
  request: string
  usages: string[]
  expirationSeconds?: number
}

/** The certificate, PEM in base64, for a request that somebody approved. */
export async function signRequest(ca: Pair, order: SigningOrder, now = Date.now()): Promise<string> {
  const request = parse(order.request)
  const authority = new x509.X509Certificate(ca.cert)
  const seconds = Math.max(shortest, Math.min(longest, order.expirationSeconds ?? longest))
  // Short ones are counted from the backdated start on, so that they live as long as asked (authority/policies.go).
  const isShort = seconds < 8 * 3600
  const notBefore = new Date(now - backdate * 1000)
  const end = now + (isShort ? seconds : seconds - backdate) * 1000
  const notAfter = new Date(Math.min(end, authority.notAfter.getTime()))
  const bits = order.usages.reduce((sum, usage) => sum | (signatureBits[usage] ?? 0), 0)
  const extended = [...new Set(order.usages.flatMap((usage) => purposes[usage] ?? []))]
  const names = alternativeNames(request)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: request.subject,
    issuer: authority.subject,
    notBefore,
    notAfter,
    publicKey: request.publicKey,
    signingKey: await keyFromPem(ca.key),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      ...(bits ? [new x509.KeyUsagesExtension(bits, true)] : []),
      ...(extended.length > 0 ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
      ...(names ? [names] : []),
    ],
  })
  return Buffer.from(`${certificate.toString('pem')}\n`).toString('base64')
}
