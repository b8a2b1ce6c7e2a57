// Keys and certificates of one Tandem, in one directory: its CA, the serving certificate, the administrator's client
// certificate and the key that signs service-account tokens. Made at first start; the serving certificate again when
// an address is missing in it or it comes near its end.

import 'reflect-metadata'
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'

export interface PkiOptions {
  directory: string
  /** Addresses and names that clients use beside the usual ones. */
  names?: string[]
  clusterDomain?: string
}

export interface Pki {
  caCert: string
  servingCert: string
  servingKey: string
  adminCert: string
  adminKey: string
  /** ES256, for service-account tokens. */
  accountKey: KeyObject
  accountPublicKey: KeyObject
  /** Issues a client certificate signed by the CA (node agents, fleet members, people). */
  issueClient(name: string, groups: string[], days?: number): Promise<{ cert: string; key: string }>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const day = 24 * 3600 * 1000

x509.cryptoProvider.set(webcrypto as unknown as Crypto)

type Pair = { cert: x509.X509Certificate; key: CryptoKey }

const serial = () => `00${randomBytes(15).toString('hex')}`.slice(0, 30).replace(/^00/, '01')

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

async function keyFromPem(pem: string): Promise<CryptoKey> {
  const der = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' })
  return (await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign'])) as CryptoKey
}

const newKeys = async () =>
  (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as unknown as CryptoKeyPair

async function write(file: string, text: string, mode: number): Promise<void> {
  // Renamed into place: a crash leaves the old file or the new one, never half of one.
  const temporary = `${file}.new`
  await writeFile(temporary, text, { mode })
  await chmod(temporary, mode)
  await rename(temporary, file)
}

const readIfThere = (file: string) =>
  readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })

async function authority(directory: string): Promise<Pair> {
  const [certFile, keyFile] = [join(directory, 'ca.crt'), join(directory, 'ca.key')]
  const [cert, key] = await Promise.all([readIfThere(certFile), readIfThere(keyFile)])
  if (cert && key) return { cert: new x509.X509Certificate(cert), key: await keyFromPem(key) }
  const keys = await newKeys()
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=tandem-ca',
    ...validity(3650),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  await write(keyFile, await pemOfKey(keys.privateKey), 0o600)
  await write(certFile, `${made.toString('pem')}\n`, 0o644)
  return { cert: made, key: keys.privateKey }
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
): Promise<{ cert: string; key: string }> {
  const keys = await newKeys()
  const alternatives = names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value }))
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: name.toString(),
    issuer: ca.cert.subject,
    ...validity(days),
    publicKey: keys.publicKey,
    signingKey: ca.key,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(ca.cert),
      ...(alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
    ],
  })
  return { cert: `${cert.toString('pem')}\n`, key: await pemOfKey(keys.privateKey) }
}

/** Good for another month, issued by this CA, and with every name in it. */
function stillGood(pem: string, caPem: string, names: string[]): boolean {
  const cert = new X509Certificate(pem)
  if (Date.parse(cert.validTo) < Date.now() + 30 * day) return false
  if (!cert.verify(new X509Certificate(caPem).publicKey)) return false
  return names.every((name) => (isIP(name) ? cert.checkIP(name) : cert.checkHost(name)) !== undefined)
}

export function servingNames(options: PkiOptions): string[] {
  const domain = options.clusterDomain ?? 'cluster.local'
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${domain}`]
  return [...new Set(['localhost', '127.0.0.1', '::1', ...service, ...(options.names ?? [])])]
}

export async function openPki(options: PkiOptions): Promise<Pki> {
  const { directory } = options
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const ca = await authority(directory)
  const caCert = `${ca.cert.toString('pem')}\n`
  const keep = async (name: string, names: string[], make: () => Promise<{ cert: string; key: string }>) => {
    const [certFile, keyFile] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
    const [cert, key] = await Promise.all([readIfThere(certFile), readIfThere(keyFile)])
    if (cert && key && stillGood(cert, caCert, names)) return { cert, key }
    const made = await make()
    await write(keyFile, made.key, 0o600)
    await write(certFile, made.cert, 0o644)
    return made
  }
  const names = servingNames(options)
  const serving = await keep('apiserver', names, () =>
    leaf(ca, subject('kube-apiserver', []), 365, x509.ExtendedKeyUsage.serverAuth, names),
  )
  const issueClient = (name: string, groups: string[], days = 365) =>
    leaf(ca, subject(name, groups), days, x509.ExtendedKeyUsage.clientAuth)
  const admin = await keep('admin', [], () => issueClient('kubernetes-admin', ['system:masters'], 3650))
  const accountKey = await accountSigningKey(directory)
  return {
    caCert,
    servingCert: serving.cert,
    servingKey: serving.key,
    adminCert: admin.cert,
    adminKey: admin.key,
    accountKey,
    accountPublicKey: createPublicKey(accountKey),
    issueClient,
  }
}

async function accountSigningKey(directory: string): Promise<KeyObject> {
  const file = join(directory, 'sa.key')
  let pem = await readIfThere(file)
  if (!pem) {
    pem = await pemOfKey((await newKeys()).privateKey)
    await write(file, pem, 0o600)
  }
  return createPrivateKey(pem)
}

/** The text of a kubeconfig file with one cluster, one user, one context. */
export function kubeconfig(options: {
  server: string
  caCert: string
  clientCert?: string
  clientKey?: string
  token?: string
  name?: string
}): string {
  const { name = 'tandem' } = options
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const user = options.token
    ? [`    token: ${options.token}`]
    : [
        `    client-certificate-data: ${base64(options.clientCert ?? '')}`,
        `    client-key-data: ${base64(options.clientKey ?? '')}`,
      ]
  return [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    `- name: ${name}`,
    '  cluster:',
    `    server: ${options.server}`,
    `    certificate-authority-data: ${base64(options.caCert)}`,
    'users:',
    `- name: ${name}-admin`,
    '  user:',
    ...user,
    'contexts:',
    `- name: ${name}`,
    '  context:',
    `    cluster: ${name}`,
    `    user: ${name}-admin`,
    `current-context: ${name}`,
    '',
  ].join('\n')
}
