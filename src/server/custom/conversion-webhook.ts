// Conversion of custom resources by a webhook: ConversionReview there and back
// (apiextensions pkg/apiserver/conversion/webhook_converter.go, 1.36).

import { randomUUID } from 'node:crypto'
import { fieldErrorBody } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { validateAnnotations, validateLabels } from '../../api/validate-meta.ts'
import { copyJson, isPlainObject } from '../../api/walk/plain.ts'
import { reviewVersions } from '../../kinds/apiextensions/conversion-rules.ts'
import type { AskWebhook } from '../admission/webhooks/dispatch.ts'
import type { WebhookClient } from '../admission/webhooks/hooks.ts'
import type { Convert } from './form.ts'

const group = 'apiextensions.k8s.io'
const seconds = 30

/** `config` is spec.conversion.webhook of a definition. */
export function webhookConversion(config: Record<string, any>, ask: AskWebhook): Convert {
  const client = clientOf(config.clientConfig ?? {})
  const version: string | undefined = (config.conversionReviewVersions ?? []).find((one: string) =>
    reviewVersions.includes(one),
  )
  return async (objects, apiVersion) => {
    if (!version) throw new Error('no supported conversion review versions')
    const subject = `conversion webhook for ${kindText(objects[0]!)}`
    const uid = randomUUID()
    const request = { uid, desiredAPIVersion: apiVersion, objects }
    let answers: unknown[]
    try {
      const review = { kind: 'ConversionReview', apiVersion: `${group}/${version}`, request }
      answers = answersOf(await ask(client, review, seconds), version, uid)
    } catch (error) {
      const why = (error as Error).message.replace(/^failed to call webhook: /, '')
      throw new Error(`${subject} failed: ${why}`, { cause: error })
    }
    if (answers.length !== objects.length)
      throw new Error(`${subject} returned ${answers.length} objects, expected ${objects.length}`)
    return answers.map((answer, index) => checked(answer, objects[index]!, apiVersion, subject, index))
  }
}

/** 'stable.example.com/v1, Kind=Foo' */
const kindText = ({ apiVersion, kind }: ApiObject): string => `${apiVersion}, Kind=${kind}`

function clientOf(config: Record<string, any>): WebhookClient {
  const { url, service, caBundle } = config
  const ca = caBundle ? Buffer.from(caBundle, 'base64').toString('utf8').trim() : ''
  return {
    ...(url && { url }),
    ...(service && { service: { port: 443, path: '', ...service } }),
    ...(ca && { ca }),
  }
}

function answersOf(review: unknown, version: string, uid: string): unknown[] {
  const { apiVersion = '', kind = '', response } = isPlainObject(review) ? (review as Record<string, any>) : {}
  if (version === 'v1' && (apiVersion !== `${group}/v1` || kind !== 'ConversionReview'))
    throw new Error(`expected webhook response of ${group}/v1, Kind=ConversionReview, got ${apiVersion}, Kind=${kind}`)
  if (!isPlainObject(response)) throw new Error('no response provided')
  const { uid: answered = '', result, convertedObjects } = response as Record<string, any>
  if (version === 'v1' && answered !== uid)
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(answered)}`)
  if (result?.status !== 'Success')
    throw new Error(result?.message || `response.result.status was '${result?.status ?? ''}', not 'Success'`)
  return Array.isArray(convertedObjects) ? convertedObjects : []
}

/** Only labels and annotations of metadata may change in a conversion. */
function checked(answer: unknown, original: ApiObject, apiVersion: string, subject: string, index: number): ApiObject {
  const refuse = (text: string) => new Error(`${subject} returned ${text}`)
  const at = `invalid converted object at index ${index}`
  if (!isPlainObject(answer)) throw refuse(`${at}: it is no object`)
  const object = copyJson(answer) as unknown as ApiObject
  if (object.apiVersion !== apiVersion)
    throw refuse(`${at}: invalid groupVersion (expected ${apiVersion}, received ${object.apiVersion ?? ''})`)
  if (object.kind !== original.kind)
    throw refuse(`${at}: invalid kind (expected ${original.kind}, received ${object.kind ?? ''})`)
  if (!isPlainObject(object.metadata))
    throw refuse(`invalid metadata in object at index ${index}: missing metadata in converted object`)
  for (const [field, name] of [
    ['name', 'name'],
    ['namespace', 'namespace'],
    ['uid', 'UID'],
  ] as const) {
    const [before = '', after = ''] = [original.metadata[field], object.metadata[field]]
    if (before !== after) throw refuse(`${at}: must have the same ${name}: ${before} != ${after}`)
  }
  const labels: unknown = object.metadata.labels
  const annotations: unknown = object.metadata.annotations
  const problem = metadataProblem(labels, annotations)
  if (problem) throw refuse(`invalid metadata in object at index ${index}: ${problem}`)
  const { labels: _, annotations: __, ...metadata } = original.metadata
  object.metadata = metadata
  if (labels) object.metadata.labels = labels as Record<string, string>
  if (annotations) object.metadata.annotations = annotations as Record<string, string>
  return object
}

function metadataProblem(labels: unknown, annotations: unknown): string | undefined {
  for (const [field, value] of Object.entries({ labels, annotations })) {
    if (value === undefined || value === null) continue
    if (!isPlainObject(value)) return `invalid metadata.${field} of type ${typeof value} in converted object`
    for (const [key, text] of Object.entries(value))
      if (typeof text !== 'string')
        return `metadata.${field}[${key}] must be a string, but is ${typeof text} in converted object`
  }
  const errors = [
    ...validateLabels((labels ?? {}) as Record<string, string>, 'metadata.labels'),
    ...validateAnnotations((annotations ?? {}) as Record<string, string>, 'metadata.annotations'),
  ]
  return errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`).join(', ') || undefined
}
