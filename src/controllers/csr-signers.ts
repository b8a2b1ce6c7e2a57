// Certificates for the requests that somebody approved: what each of the built-in signers checks
// (pkg/controller/certificates/signer and pkg/apis/certificates/helpers.go, 1.36). Pure.

export interface RequestFacts {
  commonName: string
  organizations: string[]
  dnsNames: string[]
  ips: string[]
  emails: string[]
  uris: string[]
}

export const clientSigner = 'kubernetes.io/kube-apiserver-client'
export const kubeletClientSigner = 'kubernetes.io/kube-apiserver-client-kubelet'
export const kubeletServingSigner = 'kubernetes.io/kubelet-serving'
export const legacySigner = 'kubernetes.io/legacy-unknown'

const sameUsages = (usages: string[], ...allowed: string[][]): boolean =>
  allowed.some((list) => list.length === usages.length && list.every((usage) => usages.includes(usage)))

function checkClient(_: RequestFacts, usages: string[]): string | undefined {
  const other = usages.find((usage) => !['digital signature', 'key encipherment', 'client auth'].includes(usage))
  if (other) return `invalid usage for client certificate: ${other}`
  return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth'
}

function checkNode(facts: RequestFacts): string | undefined {
  if (facts.organizations.join('\n') !== 'system:nodes') return 'subject organization is not system:nodes'
  return facts.commonName.startsWith('system:node:')
    ? undefined
    : 'subject common name does not begin with system:node:'
}

function checkUsages(usages: string[], purpose: string): string | undefined {
  const wanted = ['digital signature', 'key encipherment', purpose]
  if (sameUsages(usages, wanted, ['digital signature', purpose])) return undefined
  return `usages did not match [${wanted.sort().join(' ')}]`
}

function checkKubeletClient(facts: RequestFacts, usages: string[]): string | undefined {
  if (facts.dnsNames.length > 0) return 'DNS subjectAltNames are not allowed'
  if (facts.emails.length > 0) return 'Email subjectAltNames are not allowed'
  if (facts.ips.length > 0) return 'IP subjectAltNames are not allowed'
  if (facts.uris.length > 0) return 'URI subjectAltNames are not allowed'
  return checkNode(facts) ?? checkUsages(usages, 'client auth')
}

function checkKubeletServing(facts: RequestFacts, usages: string[]): string | undefined {
  if (facts.dnsNames.length === 0 && facts.ips.length === 0) return 'DNS or IP subjectAltName is required'
  if (facts.emails.length > 0) return 'Email subjectAltNames are not allowed'
  if (facts.uris.length > 0) return 'URI subjectAltNames are not allowed'
  return checkNode(facts) ?? checkUsages(usages, 'server auth')
}

/** By signer: why a request is not signed; undefined when it is. */
export const signers: Record<string, (facts: RequestFacts, usages: string[]) => string | undefined> = {
  [clientSigner]: checkClient,
  [kubeletClientSigner]: checkKubeletClient,
  [kubeletServingSigner]: checkKubeletServing,
  [legacySigner]: () => undefined,
}

/** Which permissions a request of a kubelet for its client certificate may be approved by, the narrower first. */
export function approvals(signer: string, user: string, facts: RequestFacts, usages: string[]): string[] {
  if (signer !== kubeletClientSigner || checkKubeletClient(facts, usages)) return []
  return facts.commonName === user ? ['selfnodeclient', 'nodeclient'] : ['nodeclient']
}
