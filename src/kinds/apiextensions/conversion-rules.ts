// How objects of one version become objects of another: the rules of spec.conversion. Upstream names the fields of its
// inner form in errors (apiextensions pkg/apis/apiextensions/validation/validation.go, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dns1035LabelProblems } from '../../api/names.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { validateWebhookService, validateWebhookUrl } from '../admissionregistration/webhook-client.ts'

type Conversion = Record<string, any> | undefined

/** ConversionReviews that Tandem can speak, the newest first. */
export const reviewVersions: readonly string[] = ['v1', 'v1beta1']

const path = 'spec.conversion'

/** `served`: the definition is established already, and a bundle that was good must stay good. */
export function conversionProblems(conversion: Conversion, old: Conversion, served: boolean): FieldError[] {
  if (!conversion) return []
  const { strategy, webhook } = conversion
  const errors: FieldError[] = []
  if (!strategy) errors.push(requiredValue(`${path}.strategy`))
  else if (strategy !== 'None' && strategy !== 'Webhook')
    errors.push(notSupported(`${path}.strategy`, strategy, ['None', 'Webhook']))
  if (strategy === 'Webhook') {
    errors.push(...clientProblems(webhook?.clientConfig, `${path}.webhookClientConfig`))
    const before = old?.webhook?.clientConfig?.caBundle
    if (served && (!before || isBundle(before))) errors.push(...bundleProblems(webhook?.clientConfig?.caBundle))
    errors.push(...reviewVersionProblems(webhook?.conversionReviewVersions ?? [], old))
    return errors
  }
  const text = 'should not be set when strategy is not set to Webhook'
  if (webhook?.clientConfig) errors.push(forbidden(`${path}.webhookClientConfig`, text))
  if (webhook?.conversionReviewVersions?.length) errors.push(forbidden(`${path}.conversionReviewVersions`, text))
  return errors
}

const isBundle = (bundle: string): boolean => atob(bundle).includes('-----BEGIN CERTIFICATE-----')

const bundleProblems = (bundle: string | undefined): FieldError[] =>
  bundle && !isBundle(bundle)
    ? [
        invalidValue(
          `${path}.webhookClientConfig.caBundle`,
          bundle,
          'unable to load root certificates: unable to parse bytes as PEM block',
        ),
      ]
    : []

function clientProblems(config: Record<string, any> | undefined, where: string): FieldError[] {
  if (!config) return [requiredValue(where, 'required when strategy is set to Webhook')]
  if ((config.url === undefined) === (config.service === undefined))
    return [requiredValue(where, 'exactly one of url or service is required')]
  if (config.url !== undefined) return validateWebhookUrl(config.url, `${where}.url`)
  return validateWebhookService(config.service, `${where}.service`)
}

function reviewVersionProblems(versions: string[], old: Conversion): FieldError[] {
  const where = `${path}.conversionReviewVersions`
  if (versions.length === 0) return [requiredValue(where)]
  const errors: FieldError[] = []
  for (const [index, version] of versions.entries()) {
    if (versions.indexOf(version) < index) {
      errors.push(invalidValue(`${where}[${index}]`, version, 'duplicate version'))
      continue
    }
    for (const problem of dns1035LabelProblems(version))
      errors.push(invalidValue(`${where}[${index}]`, version, problem))
  }
  const known = (list: string[]) => list.some((version) => reviewVersions.includes(version))
  const before: string[] = old?.webhook?.conversionReviewVersions ?? []
  if (!known(versions) && (before.length === 0 || known(before)))
    errors.push(invalidValue(where, versions, `must include at least one of ${reviewVersions.join(', ')}`))
  return errors
}
