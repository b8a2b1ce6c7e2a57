// Requests for certificates: who asks is written down by the server, the request is signed with its own key, and only
// those who may approve or sign for a signer do so (CertificateApproval, CertificateSigning,
// CertificateSubjectRestriction, 1.36).

import { X509Certificate } from 'node:crypto'
import { type FieldError, invalid } from '../../api/errors.ts'
import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { type Authorizer, forbiddenObject } from '../auth/authz.ts'
import { certificateThread } from '../auth/certificate-thread.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'

const group = 'certificates.k8s.io'
const resource = 'certificatesigningrequests'
const clientSigner = 'kubernetes.io/kube-apiserver-client'

export const certificateRequests = (authorizer: Authorizer, now: () => number = Date.now): AdmissionPlugin => ({
  name: 'CertificateApproval',
  resources: ['certificatesigningrequests.certificates.k8s.io'],
  admit(request) {
    if (!isOurs(request)) return
    const object = request.object!
    if (request.operation === 'CREATE') signBy(object, request.user)
    else if (request.subresource !== '') stampConditions(object, request.old!, formatTime(now()))
  },
  validate(request) {
    if (!isOurs(request)) return
    if (request.operation === 'CREATE') return checkRequest(request)
    const { old, subresource } = request
    const object = request.object!
    const signer: string = old!.spec?.signerName ?? ''
    const may = (verb: string) => maySign(authorizer, request.user, verb, signer)
    if (subresource === 'approval' && !may('approve'))
      throw refusal(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`)
    if (subresource !== 'status') return
    const isSame = (field: string) => equalJson(object.status?.[field] ?? null, old!.status?.[field] ?? null)
    if (isSame('certificate') && isSame('conditions')) return
    if (!may('sign'))
      throw refusal(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`)
    if (!isSame('certificate')) checkCertificate(object)
  },
})

const isOurs = ({ resource: { group: from, plural }, operation }: AdmissionRequest): boolean =>
  plural === resource && from === group && (operation === 'CREATE' || operation === 'UPDATE')

const refusal = (request: AdmissionRequest, text: string) => forbiddenObject(group, resource, request.name, text)

function signBy(object: ApiObject, user: UserInfo): void {
  object.spec ??= {}
  const { uid: _uid, extra: _extra, ...spec } = object.spec
  object.spec = {
    ...spec,
    username: user.name,
    groups: user.groups,
    ...(user.uid && { uid: user.uid }),
    ...(user.extra && { extra: user.extra }),
  }
}

function stampConditions(object: ApiObject, old: ApiObject, time: string): void {
  for (const condition of object.status?.conditions ?? []) {
    condition.lastUpdateTime ??= time
    if (condition.lastTransitionTime) continue
    const before = (old.status?.conditions ?? []).find(
      (one: typeof condition) => one.type === condition.type && one.status === condition.status,
    )
    condition.lastTransitionTime = before?.lastTransitionTime ?? time
  }
}

async function checkRequest(request: AdmissionRequest): Promise<void> {
  const { spec } = request.object!
  const problem = await certificateThread.call('requestProblem', spec.request)
  const field = 'spec.request'
  if (problem) throw wrong(request.name, { type: 'FieldValueInvalid', field, value: spec.request, detail: problem })
  if (spec.signerName !== clientSigner) return
  const { organizations } = await certificateThread.call('requestFacts', spec.request)
  if (organizations.includes('system:masters'))
    throw refusal(request, `use of ${clientSigner} signer with system:masters group is not allowed`)
}

const wrong = (name: string, error: FieldError) => invalid('CertificateSigningRequest', name, [error], group)

/** Only certificates, as PEM without headers. */
function checkCertificate(object: ApiObject): void {
  const text = Buffer.from(object.status?.certificate ?? '', 'base64').toString('latin1')
  if (text === '') return
  const say = (detail: string) =>
    wrong(object.metadata.name ?? '', {
      type: 'FieldValueInvalid',
      field: 'status.certificate',
      value: '<certificate data>',
      detail,
    })
  const blocks = [...text.matchAll(/-----BEGIN ([^-]+)-----([^-]*)-----END [^-]+-----/g)]
  if (blocks.length === 0) throw say('must contain at least one CERTIFICATE PEM block')
  for (const [block, type, body] of blocks) {
    if (type !== 'CERTIFICATE') throw say(`only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`)
    if (body!.includes(':')) throw say('no PEM block headers are permitted')
    try {
      new X509Certificate(block)
    } catch {
      throw say('x509: malformed certificate')
    }
  }
}

/** Permission is for one signer, or for all of a domain. */
function maySign(authorizer: Authorizer, user: UserInfo, verb: string, signer: string): boolean {
  const names = [signer, `${signer.split('/')[0]}/*`]
  return names.some(
    (name) =>
      authorizer.decide(user, {
        verb,
        isResource: true,
        path: '',
        group,
        version: '*',
        resource: 'signers',
        subresource: '',
        namespace: '',
        name,
      }).allowed,
  )
}
