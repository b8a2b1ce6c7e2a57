// Certificates as they are made: the CA's own, and those it signs. Runs in the thread for certificates.

import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

/** Both as PEM. */
export interface Pair {
  cert: string
  key: string
}

export const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const day = 24 * 3600 * 1000

x509.cryptoProvider.set(webcrypto as unknown as Crypto)

export const serial = (): string => `00${randomBytes(15).toString('hex')}`.slice(0, 30).replace(/^00/, '01')

/** A minute ago, so that a client whose clock is a little behind accepts it. */
const validity = (days: number) => ({
  notBefore: new Date(Date.now() - 60_000),
  notAfter: new Date(Date.now() + days * day),
})

async function pemOfKey(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key as webcrypto.CryptoKey))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString()
}

export async function keyFromPem(pem: string): Promise<CryptoKey> {
  const der = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' })
  return (await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign'])) as CryptoKey
}

const newKeys = async () =>
  (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as unknown as CryptoKeyPair

export async function makeAuthority(name = 'tandem-ca'): Promise<Pair> {
  const keys = await newKeys()
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    ...validity(3650),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: `${made.toString('pem')}\n`, key: await pemOfKey(keys.privateKey) }
}

/** Values stay values: a comma in a user name must not start a new part of the name. */
const subject = (name: string, groups: string[]): x509.Name =>
  new x509.Name([...groups.map((group) => ({ O: [group] })), { CN: [name] }])

async function leaf(
  ca: Pair,
  name: x509.Name,
  days: number,
  usage: x509.ExtendedKeyUsage,
  names: string[] = [],
): Promise<Pair> {
  const keys = await newKeys()
  const authority = new x509.X509Certificate(ca.cert)
  const alternatives = names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value }))
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: name.toString(),
    issuer: authority.subject,
    ...validity(days),
    publicKey: keys.publicKey,
    signingKey: await keyFromPem(ca.key),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
      ...(alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
    ],
  })
  return { cert: `${cert.toString('pem')}\n`, key: await pemOfKey(keys.privateKey) }
}

export const makeServing = (ca: Pair, name: string, names: string[]): Promise<Pair> =>
  leaf(ca, subject(name, []), 365, x509.ExtendedKeyUsage.serverAuth, names)

export const makeClient = (ca: Pair, name: string, groups: string[], days: number): Promise<Pair> =>
  leaf(ca, subject(name, groups), days, x509.ExtendedKeyUsage.clientAuth)
