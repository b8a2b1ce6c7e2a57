// CertificateSigningRequests: those of kubelets that may are approved, approved ones are signed, old ones go
// (pkg/controller/certificates, 1.36).

import { isApiError } from '../api/errors.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { approvals, signers } from './csr-signers.ts'
import { moment } from './moment.ts'

const certificateSigningRequests: ResourceRef = {
  group: 'certificates.k8s.io',
  version: 'v1',
  resource: 'certificatesigningrequests',
}
const subjectAccessReviews: ResourceRef = {
  group: 'authorization.k8s.io',
  version: 'v1',
  resource: 'subjectaccessreviews',
}

const hour = 3600_000

const conditionOf = (request: StoredObject, type: string) =>
  (request.status?.conditions ?? []).find((condition: { type: string }) => condition.type === type)

/** When the request is to go (ms); one that was decided sooner than one that waits. Pure. */
export function goesAt(request: StoredObject): number {
  const { status, metadata } = request
  const since = (type: string) => moment(conditionOf(request, type)?.lastUpdateTime)
  const approved = since('Approved') + (status?.certificate ? hour : 24 * hour)
  const pending = status?.conditions?.length ? Number.NaN : moment(metadata.creationTimestamp) + 24 * hour
  const times = [approved, since('Denied') + hour, since('Failed') + hour, pending]
  return Math.min(...times.filter((time) => !Number.isNaN(time)))
}

function controller(
  name: string,
  createSync: (context: ControllerContext) => (request: StoredObject) => Promise<ReconcileResult | undefined>,
): ControllerDefinition {
  return {
    name,
    start(context) {
      const requests = context.informers.informer(certificateSigningRequests)
      const sync = createSync(context)
      return reconcileOn(context, name, [{ ref: certificateSigningRequests, keys: itself }], async (key) => {
        const request = requests.get(key)
        return request && !request.metadata.deletionTimestamp ? sync(request) : undefined
      })
    },
  }
}

export const csrSigner = controller('csrsigning', ({ client, clock, settings: { certificates } }) => {
  return async (request) => {
    const { spec, status } = request
    const check = signers[spec.signerName]
    if (!certificates || !check || status?.certificate) return undefined
    if (!conditionOf(request, 'Approved') || conditionOf(request, 'Failed')) return undefined
    const problem = check(await certificates.readRequest(spec.request), spec.usages ?? [])
    if (problem) {
      const failed = {
        type: 'Failed',
        status: 'True',
        reason: 'SignerValidationFailure',
        message: problem,
        lastUpdateTime: new Date(clock.now()).toISOString(),
      }
      const conditions = [...(status?.conditions ?? []), failed]
      await client.updateStatus(certificateSigningRequests, { ...request, status: { ...status, conditions } })
      return undefined
    }
    const certificate = await certificates.signRequest({
      request: spec.request,
      usages: spec.usages ?? [],
      ...(spec.expirationSeconds !== undefined && { expirationSeconds: spec.expirationSeconds }),
    })
    await client.updateStatus(certificateSigningRequests, { ...request, status: { ...status, certificate } })
    return undefined
  }
})

const approvalText: Record<string, string> = {
  selfnodeclient: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  nodeclient: 'Auto approving kubelet client certificate after SubjectAccessReview.',
}

export const csrApprover = controller('csrapproving', ({ client, settings: { certificates } }) => {
  async function isAllowed(request: StoredObject, subresource: string): Promise<boolean> {
    const { username: user, uid, groups, extra } = request.spec
    const resourceAttributes = {
      group: 'certificates.k8s.io',
      resource: 'certificatesigningrequests',
      verb: 'create',
      subresource,
      version: '*',
    }
    const review = await client.create(subjectAccessReviews, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: { user, groups, ...(uid && { uid }), ...(extra && { extra }), resourceAttributes },
    })
    return review.status?.allowed === true
  }

  return async (request) => {
    const { spec, status } = request
    if (!certificates || status?.certificate || conditionOf(request, 'Approved') || conditionOf(request, 'Denied'))
      return undefined
    if (!spec.signerName.startsWith('kubernetes.io/')) return undefined
    const facts = await certificates.readRequest(spec.request)
    for (const subresource of approvals(spec.signerName, spec.username, facts, spec.usages ?? [])) {
      if (!(await isAllowed(request, subresource))) continue
      const message = approvalText[subresource]
      const condition = { type: 'Approved', status: 'True', reason: 'AutoApproved', message }
      const { name } = request.metadata
      const conditions = [...(status?.conditions ?? []), condition]
      const patch = { metadata: { resourceVersion: request.metadata.resourceVersion }, status: { conditions } }
      await client.patch(certificateSigningRequests, name, undefined, 'merge', patch, { subresource: 'approval' })
      return undefined
    }
    return undefined
  }
})

export const csrCleaner = controller('csrcleaner', ({ client, clock }) => {
  return async (request) => {
    const rest = goesAt(request) - clock.now()
    if (rest > 0) return Number.isFinite(rest) ? { requeueAfter: rest } : undefined
    const { name, uid } = request.metadata
    await client
      .delete(certificateSigningRequests, name, undefined, { preconditions: { uid } })
      .catch((error: unknown) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
    return undefined
  }
})
