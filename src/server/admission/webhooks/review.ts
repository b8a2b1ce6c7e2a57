// AdmissionReview: the question to a webhook and the reading of its answer (admission.k8s.io v1 and v1beta1,
// apiserver admission/plugin/webhook/request, 1.36). Pure.

import type { ApiObject } from '../../../api/meta.ts'
import { isPlainObject } from '../../../api/walk/plain.ts'
import type { Resource } from '../../registry.ts'
import type { AdmissionRequest } from '../admission.ts'

export interface Review {
  uid: string
  version: 'v1' | 'v1beta1'
  body: object
}

export interface Verdict {
  allowed: boolean
  /** JSON Patch; only of mutating webhooks. */
  patch: unknown[] | undefined
  status: Record<string, any> | undefined
  warnings: string[]
  annotations: Record<string, string>
}

/** A failure to understand each other, in upstream's words. */
export class BadReview extends Error {}

const known = ['v1', 'v1beta1']

const resourceName = ({ group, version, plural }: Resource) => ({ group, version, resource: plural })

export function createReview(
  request: AdmissionRequest,
  seenAs: Resource,
  convert: (object: ApiObject) => ApiObject,
  accepted: readonly string[],
  uid: string,
): Review {
  const version = accepted.find((one) => known.includes(one)) as Review['version'] | undefined
  if (!version)
    throw new BadReview(
      'could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)',
    )
  const { user, resource, subresource, view } = request
  const kindIn = ({ kind }: Resource) => view?.kind ?? { group: kind.group, version: kind.version, kind: kind.kind }
  const shown = (object: ApiObject | undefined) => (object ? convert(view ? view.of(object) : object) : null)
  return {
    uid,
    version,
    body: {
      kind: 'AdmissionReview',
      apiVersion: `admission.k8s.io/${version}`,
      request: {
        uid,
        kind: kindIn(seenAs),
        resource: resourceName(seenAs),
        ...(subresource && { subResource: subresource }),
        requestKind: kindIn(resource),
        requestResource: resourceName(resource),
        ...(subresource && { requestSubResource: subresource }),
        ...(request.name && { name: request.name }),
        ...(namespaceOf(request) && { namespace: namespaceOf(request) }),
        operation: request.operation,
        userInfo: {
          username: user.name,
          ...(user.uid && { uid: user.uid }),
          groups: user.groups,
          ...(user.extra && { extra: user.extra }),
        },
        object: shown(request.object),
        oldObject: shown(request.old),
        dryRun: request.dryRun,
        options: request.operation === 'CONNECT' ? null : request.options(),
      },
    },
  }
}

/** A namespace is in itself. */
export const namespaceOf = ({ resource, namespace, name }: AdmissionRequest): string =>
  resource.groupResource === 'namespaces' ? name : namespace

const gvk = (kind: unknown, apiVersion: unknown): string => {
  const [group, version] = String(apiVersion ?? '').includes('/') ? String(apiVersion).split('/') : ['', apiVersion]
  return `${group}/${version ?? ''}, Kind=${kind ?? ''}`
}

/** @throws BadReview */
export function readVerdict(answer: unknown, review: Review, mutating: boolean): Verdict {
  if (!isPlainObject(answer)) throw invalidResponse('the answer is not a JSON object')
  const { kind, apiVersion, response } = answer as Record<string, any>
  if (!isPlainObject(response)) throw invalidResponse('webhook response was absent')
  const { uid, patch, patchType, status } = response as Record<string, any>
  if (review.version === 'v1') {
    if (uid !== review.uid)
      throw invalidResponse(`expected response.uid=${JSON.stringify(review.uid)}, got ${JSON.stringify(uid ?? '')}`)
    const wanted = gvk('AdmissionReview', 'admission.k8s.io/v1')
    if (gvk(kind, apiVersion) !== wanted)
      throw invalidResponse(`expected webhook response of ${wanted}, got ${gvk(kind, apiVersion)}`)
    checkPatch(patch, patchType, mutating)
  }
  return {
    allowed: response.allowed === true,
    patch: mutating && patch ? readPatch(patch, review.version === 'v1' ? patchType : 'JSONPatch') : undefined,
    status: isPlainObject(status) ? (status as Record<string, any>) : undefined,
    warnings: Array.isArray(response.warnings) ? response.warnings.map(String) : [],
    annotations: isPlainObject(response.auditAnnotations) ? (response.auditAnnotations as Record<string, string>) : {},
  }
}

const invalidResponse = (text: string) => new BadReview(`received invalid webhook response: ${text}`)

function checkPatch(patch: unknown, patchType: unknown, mutating: boolean): void {
  if (!mutating) {
    if (patch) throw invalidResponse('validating webhook may not return response.patch')
    if (patchType !== undefined && patchType !== null)
      throw invalidResponse('validating webhook may not return response.patchType')
    return
  }
  const typed = patchType !== undefined && patchType !== null
  if (patch && !typed) throw invalidResponse('webhook returned response.patch but not response.patchType')
  if (!patch && typed) throw invalidResponse('webhook returned response.patchType but not response.patch')
  if (patchType === '') throw invalidResponse('webhook returned invalid response.patchType of ""')
}

function readPatch(patch: unknown, patchType: unknown): unknown[] {
  if (patchType !== 'JSONPatch') throw new BadReview(`unsupported patch type ${JSON.stringify(patchType)}`)
  try {
    const operations: unknown = JSON.parse(Buffer.from(String(patch), 'base64').toString('utf8'))
    if (Array.isArray(operations)) return operations
    throw new Error('it is not a list')
  } catch (error) {
    throw new BadReview(`received undecodable patch in webhook response: ${(error as Error).message}`)
  }
}
