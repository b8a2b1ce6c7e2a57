// MutatingAdmissionWebhook and ValidatingAdmissionWebhook: mutating webhooks one after the other, each seeing what the
// ones before made; validating ones all at once (apiserver admission/plugin/webhook, 1.36).

import { randomUUID } from 'node:crypto'
import { isApiError, notFound } from '../../../api/errors.ts'
import type { ApiObject } from '../../../api/meta.ts'
import { applyJsonPatch } from '../../../api/patch/json.ts'
import { copyJson, equalJson } from '../../../api/walk/plain.ts'
import type { Logger } from '../../../base/log.ts'
import type { Authorizer } from '../../auth/authz.ts'
import type { Registry, Resource } from '../../registry.ts'
import type { AdmissionPlugin, AdmissionRequest, AdmissionTarget, Waiting } from '../admission.ts'
import type { Lookup } from '../lookup.ts'
import type { Webhook, WebhookClient } from './hooks.ts'
import { isExempt, versionFor } from './match.ts'
import { callingFailed, Denied, dryRunUnsupported } from './outcome.ts'
import { createReview, namespaceOf, readVerdict, type Verdict } from './review.ts'
import { convertLater } from './versions.ts'

/** Sends a review and gives the answer, as JSON. @throws Error that says why not */
export type AskWebhook = (client: WebhookClient, review: object, seconds: number) => Promise<unknown>

export interface WebhookTools {
  lookup: Lookup
  registry: Registry
  ask: AskWebhook
  /** Whom match conditions may ask. */
  authorizer: Authorizer
  /** The object in another version of its resource. */
  convert(object: ApiObject, from: Resource, to: Resource): ApiObject
  log: Logger
}

interface Match {
  hook: Webhook
  /** The version in which the webhook wants to see the object. */
  seenAs: Resource
}

interface Invocation extends Match {
  /** An object of the request in that version. */
  shown(object: ApiObject): ApiObject
}

const waitsFor = (hooks: readonly Webhook[], target: AdmissionTarget, registry: Registry): boolean =>
  hooks.length > 0 &&
  !isExempt(target.resource) &&
  hooks.some((hook) => versionFor(hook.rules, hook.equivalent, target, registry) !== undefined)

/** The binding of a Pod is shown as the Binding that was sent, not as the change of the Pod that it is here. */
const concerns = ({ resource, operation, subresource }: AdmissionRequest): boolean =>
  !isExempt(resource) && !(operation === 'UPDATE' && subresource === 'binding')

interface Rounds {
  /** The object as the webhooks left it. */
  left: ApiObject | undefined
  /** Who was asked, may be asked again, and has seen the object as it is. */
  asked: Set<string>
  /** Who has to be asked again. */
  outdated: Set<string>
}

function outdate({ asked, outdated }: Rounds): void {
  for (const id of asked) outdated.add(id)
  asked.clear()
}

export function mutatingWebhooks(hooks: () => readonly Webhook[], tools: WebhookTools): AdmissionPlugin {
  const rounds = new WeakMap<AdmissionRequest, Rounds>()

  async function run(request: AdmissionRequest, all: readonly Webhook[]): Promise<void> {
    const second = request.again === 'running'
    const seen = rounds.get(request) ?? { left: undefined, asked: new Set<string>(), outdated: new Set<string>() }
    rounds.set(request, seen)
    if (second && !equalJson(seen.left, request.object)) outdate(seen)
    for (const [index, hook] of all.entries()) {
      const match = matching(hook, request, tools)
      // The second round asks nobody for the first time.
      if (!match || (second && !seen.outdated.has(hook.id))) continue
      const invocation = await invocationOf(match, request, tools)
      if (!invocation) continue
      if (await mutate(invocation, request, tools, second ? 1 : 0, index)) {
        outdate(seen)
        if (!second) request.again = 'wanted'
      }
      if (hook.reinvocable) seen.asked.add(hook.id)
    }
    seen.left = request.object && copyJson(request.object)
  }

  return {
    name: 'MutatingAdmissionWebhook',
    waits: (target) => waitsFor(hooks(), target, tools.registry),
    admit(request): Waiting {
      const all = hooks()
      if (all.length === 0 || !concerns(request)) return
      if (!all.some((hook) => versionFor(hook.rules, hook.equivalent, request, tools.registry))) return
      return run(request, all)
    },
  }
}

export function validatingWebhooks(hooks: () => readonly Webhook[], tools: WebhookTools): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionWebhook',
    waits: (target) => waitsFor(hooks(), target, tools.registry),
    validate(request): Waiting {
      const all = hooks()
      if (all.length === 0 || !concerns(request)) return
      const matches = all.flatMap((hook) => matching(hook, request, tools) ?? [])
      if (matches.length === 0) return
      return askAll(matches, request, tools)
    },
  }
}

/** All at once; the first refusal in the order of the webhooks is the answer. */
async function askAll(matches: Match[], request: AdmissionRequest, tools: WebhookTools): Promise<void> {
  const invocations: Invocation[] = []
  for (const match of matches) {
    const invocation = await invocationOf(match, request, tools)
    if (invocation) invocations.push(invocation)
  }
  const outcomes = await Promise.allSettled(
    invocations.map((invocation, index) => {
      const key = `failed-open.validating.webhook.admission.k8s.io/round_0_index_${index}`
      return verdictOf(invocation, request, tools, false, key)
    }),
  )
  const refused = outcomes.find((outcome) => outcome.status === 'rejected')
  if (refused) throw refused.reason
}

/** True when the object is no longer the same. */
async function mutate(
  invocation: Invocation,
  request: AdmissionRequest,
  tools: WebhookTools,
  round: number,
  index: number,
): Promise<boolean> {
  const { hook, seenAs } = invocation
  const place = `mutation.webhook.admission.k8s.io/round_${round}_index_${index}`
  const verdict = await verdictOf(invocation, request, tools, true, `failed-open.${place}`)
  const named = { configuration: hook.configuration, webhook: hook.name }
  if (!verdict?.patch?.length) {
    if (verdict) request.annotate?.(place, JSON.stringify({ ...named, mutated: false }))
    return false
  }
  const { object, resource, view } = request
  if (!object || !request.reshape)
    throw callingFailed(
      hook.name,
      new Error('the webhook attempted to modify the object, which is not supported for this operation'),
    )
  const shown = view ? view.of(object) : invocation.shown(object)
  let patched: ApiObject
  try {
    patched = applyJsonPatch(copyJson(shown), verdict.patch)
  } catch (error) {
    throw callingFailed(hook.name, error)
  }
  const changed = !equalJson(shown, patched)
  request.annotate?.(place, JSON.stringify({ ...named, mutated: changed }))
  request.annotate?.(
    `patch.webhook.admission.k8s.io/round_${round}_index_${index}`,
    JSON.stringify({ ...named, patch: verdict.patch, patchType: 'JSONPatch' }),
  )
  if (!changed) return false
  const own = view ? view.into(object, patched) : await convertLater(patched, seenAs, resource)
  replaceContents(object, request.reshape(own))
  return true
}

/** Everybody in this write holds the same object: it changes in place. */
function replaceContents(object: ApiObject, next: ApiObject): void {
  for (const key of Object.keys(object)) if (!(key in next)) delete object[key]
  Object.assign(object, next)
}

/** Undefined when the webhook could not be asked and that does not matter. @throws ApiError */
async function verdictOf(
  { hook, seenAs, shown }: Invocation,
  request: AdmissionRequest,
  tools: WebhookTools,
  mutating: boolean,
  failedOpenKey: string,
): Promise<Verdict | undefined> {
  if (request.dryRun && !hook.dryRun) throw dryRunUnsupported(hook.name)
  let verdict: Verdict
  try {
    const review = createReview(request, seenAs, shown, hook.reviewVersions, randomUUID())
    verdict = readVerdict(await tools.ask(hook.client, review.body, hook.seconds), review, mutating)
  } catch (error) {
    if (isApiError(error)) throw error
    const failure = callingFailed(hook.name, error)
    if (!hook.failOpen) throw failure
    tools.log.warn('webhook failed and is ignored, as it asks', { webhook: hook.name, error: failure.message })
    request.annotate?.(failedOpenKey, hook.name)
    return undefined
  }
  for (const [key, value] of Object.entries(verdict.annotations)) request.annotate?.(`${hook.name}/${key}`, value)
  request.warnings.push(...verdict.warnings)
  if (!verdict.allowed) throw new Denied(hook.name, verdict.status)
  return verdict
}

function matching(hook: Webhook, request: AdmissionRequest, tools: WebhookTools): Match | undefined {
  const seenAs = versionFor(hook.rules, hook.equivalent, request, tools.registry)
  if (!seenAs) return undefined
  return namespaceMatches(hook, request, tools.lookup) && objectMatches(hook, request) ? { hook, seenAs } : undefined
}

/** Undefined when the conditions of the webhook do not hold. */
async function invocationOf(
  { hook, seenAs }: Match,
  request: AdmissionRequest,
  tools: WebhookTools,
): Promise<Invocation | undefined> {
  const { resource, view, object, old } = request
  const seen = new Map<ApiObject, ApiObject>()
  // A view has a kind and version of its own.
  if (seenAs !== resource && !view)
    for (const one of [object, old]) if (one) seen.set(one, await convertLater(one, resource, seenAs))
  const shown = (one: ApiObject): ApiObject => seen.get(one) ?? one
  if (hook.conditions && !hook.conditions(request, seenAs, { ...tools, convert: shown })) return undefined
  return { hook, seenAs, shown }
}

/** Selectors of namespaces say nothing about what is in none. */
function namespaceMatches({ namespaces }: Webhook, request: AdmissionRequest, lookup: Lookup): boolean {
  const isNamespace = request.resource.groupResource === 'namespaces'
  const name = namespaceOf(request)
  if (namespaces.everything || (!isNamespace && name === '')) return true
  if (isNamespace && !request.subresource && request.object && request.operation !== 'DELETE')
    return namespaces.matches(request.object.metadata.labels)
  const found = lookup.get('', 'namespaces', '', name)
  if (!found) throw notFound('namespaces', name)
  return namespaces.matches(found.metadata.labels)
}

/** Before or after the change: one of both is enough. */
function objectMatches({ objects }: Webhook, { object, old, operation }: AdmissionRequest): boolean {
  if (objects.everything) return true
  if (operation === 'CONNECT') return false
  return [object, old].some((one) => one !== undefined && objects.matches(one.metadata.labels))
}
