// Keys and certificates of one Tandem, in one directory: its CA, the serving certificate, the administrator's client
// certificate and the key that signs service-account tokens. Made at first start; the serving certificate again when
// an address is missing in it or it comes near its end.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { certificateThread } from './certificate-thread.ts'
import type { Pair } from './certificates.ts'
import type { RequestFacts, SigningOrder } from './signing-requests.ts'

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
  /** Signs only the certificate below: servers behind this one believe what its owner says of who asks. */
  proxyCaCert: string
  proxy: Pair
  /** ES256, for service-account tokens. */
  accountKey: KeyObject
  accountPublicKey: KeyObject
  /** Issues a client certificate signed by the CA (node agents, fleet members, people). */
  issueClient(name: string, groups: string[], days?: number): Promise<Pair>
  /** Issues a serving certificate for names that are not this server's own, signed by the CA. */
  issueServing(names: string[]): Promise<Pair>
  /** What a CertificateSigningRequest asks for. */
  readRequest(request: string): Promise<RequestFacts>
  /** The certificate for one, PEM in base64. */
  signRequest(order: SigningOrder): Promise<string>
}

const day = 24 * 3600 * 1000

const { call } = certificateThread

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

async function authority(directory: string, file = 'ca', name = 'tandem-ca'): Promise<Pair> {
  const [certFile, keyFile] = [join(directory, `${file}.crt`), join(directory, `${file}.key`)]
  const [cert, key] = await Promise.all([readIfThere(certFile), readIfThere(keyFile)])
  if (cert && key) return { cert, key }
  const made = await call('makeAuthority', name)
  await write(keyFile, made.key, 0o600)
  await write(certFile, made.cert, 0o644)
  return made
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
  const caCert = ca.cert
  const proxyCa = await authority(directory, 'front-proxy-ca', 'front-proxy-ca')
  const keep = async (name: string, names: string[], make: () => Promise<Pair>, issuer = caCert) => {
    const [certFile, keyFile] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
    const [cert, key] = await Promise.all([readIfThere(certFile), readIfThere(keyFile)])
    if (cert && key && stillGood(cert, issuer, names)) return { cert, key }
    const made = await make()
    await write(keyFile, made.key, 0o600)
    await write(certFile, made.cert, 0o644)
    return made
  }
  const names = servingNames(options)
  const serving = await keep('apiserver', names, () => call('makeServing', ca, 'kube-apiserver', names))
  const issueClient = (name: string, groups: string[], days = 365) => call('makeClient', ca, name, groups, days)
  const admin = await keep('admin', [], () => issueClient('kubernetes-admin', ['system:masters'], 3650))
  const makeProxy = () => call('makeClient', proxyCa, 'front-proxy-client', [], 365)
  const proxy = await keep('front-proxy-client', [], makeProxy, proxyCa.cert)
  const accountKey = await accountSigningKey(directory)
  return {
    caCert,
    servingCert: serving.cert,
    servingKey: serving.key,
    adminCert: admin.cert,
    adminKey: admin.key,
    proxyCaCert: proxyCa.cert,
    proxy,
    accountKey,
    accountPublicKey: createPublicKey(accountKey),
    issueClient,
    issueServing: (names) => call('makeServing', ca, names[0]!, names),
    readRequest: (request) => call('requestFacts', request),
    signRequest: (order) => call('signRequest', ca, order),
  }
}

async function accountSigningKey(directory: string): Promise<KeyObject> {
  const file = join(directory, 'sa.key')
  let pem = await readIfThere(file)
  if (!pem) {
    pem = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { format: 'pem', type: 'spki' },
      privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
    }).privateKey
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
