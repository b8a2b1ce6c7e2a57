// The settings of CDI that Tandem honours; the others are taken with a warning, because manifests of upstream carry them.

import type { FieldError } from '../../api/errors.ts'
import { invalidValue } from '../../api/walk/rules.ts'

const honoured = ['uploadProxyURLOverride', 'preallocation']

export function validateConfig(config: any, field: string): FieldError[] {
  const url = config?.uploadProxyURLOverride
  return url && !URL.canParse(url.includes('://') ? url : `https://${url}`)
    ? [invalidValue(`${field}.uploadProxyURLOverride`, url, 'must be a URL')]
    : []
}

export const configWarnings = (config: any, field: string): string[] =>
  Object.entries(config ?? {})
    .filter(([name, value]) => !honoured.includes(name) && Object.keys(Object(value)).length > 0)
    .map(([name]) => `${field}.${name} has no effect in Tandem`)
