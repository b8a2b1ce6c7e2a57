// The webhooks that are registered, ready to be matched: read again only when a configuration changed, in the order in
// which they are asked (by name of the configuration, then as written).

import { type LabelMatcher, selectorMatcher } from '../../../api/selector.ts'
import type { Objects } from '../../objects.ts'
import type { Registry } from '../../registry.ts'
import { type ConditionMatcher, compileConditions } from './conditions.ts'
import type { Rule } from './match.ts'

export interface WebhookClient {
  url?: string
  service?: { namespace: string; name: string; port: number; path: string }
  /** PEM; undefined: the roots of the system. */
  ca?: string
}

export interface Webhook {
  /** Of this webhook among all: what a second round asks again is remembered by it. */
  id: string
  configuration: string
  name: string
  rules: Rule[]
  /** Other versions of a resource count too. */
  equivalent: boolean
  namespaces: LabelMatcher
  objects: LabelMatcher
  conditions: ConditionMatcher | undefined
  failOpen: boolean
  seconds: number
  /** May be asked a second time when others changed the object after it. */
  reinvocable: boolean
  /** Asked about dry runs. */
  dryRun: boolean
  reviewVersions: string[]
  client: WebhookClient
}

export type WebhookKind = 'mutatingwebhookconfigurations' | 'validatingwebhookconfigurations'

/** The function that gives the hooks as they are now. */
export function createWebhookSource(objects: Objects, registry: Registry, kind: WebhookKind): () => readonly Webhook[] {
  const resource = registry.preferred('admissionregistration.k8s.io', kind)
  if (!resource) return () => []
  let hooks: readonly Webhook[] | undefined
  objects.watch(resource, '', objects.store.revision(), () => {
    hooks = undefined
  })
  return () => {
    hooks ??= objects.list(resource, '').flatMap(({ object }) => readWebhooks(object.metadata.name, object.webhooks))
    return hooks
  }
}

export function readWebhooks(configuration: string, webhooks: Record<string, any>[] = []): Webhook[] {
  return webhooks.map((hook, index) => ({
    id: `${configuration}/${hook.name}/${index}`,
    configuration,
    name: hook.name,
    rules: hook.rules ?? [],
    equivalent: hook.matchPolicy !== 'Exact',
    namespaces: selectorMatcher(hook.namespaceSelector ?? {}),
    objects: selectorMatcher(hook.objectSelector ?? {}),
    conditions: hook.matchConditions?.length
      ? compileConditions(hook.matchConditions, hook.failurePolicy === 'Ignore')
      : undefined,
    failOpen: hook.failurePolicy === 'Ignore',
    seconds: hook.timeoutSeconds ?? 10,
    reinvocable: hook.reinvocationPolicy === 'IfNeeded',
    dryRun: hook.sideEffects === 'None' || hook.sideEffects === 'NoneOnDryRun',
    reviewVersions: hook.admissionReviewVersions ?? [],
    client: readClient(hook.clientConfig ?? {}),
  }))
}

function readClient({ url, service, caBundle }: Record<string, any>): WebhookClient {
  return {
    ...(url && { url }),
    ...(service && {
      service: {
        namespace: service.namespace,
        name: service.name,
        port: service.port ?? 443,
        path: service.path ?? '',
      },
    }),
    ...(caBundle && { ca: Buffer.from(caBundle, 'base64').toString('utf8') }),
  }
}
