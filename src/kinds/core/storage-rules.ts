// What PersistentVolumes and their claims have in common (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { tryParseQuantity } from '../../api/quantity.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'

const accessModes: Record<string, string> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}

/** 'RWO,ROX', in upstream's order. */
export const accessModesText = (modes: string[] = []): string =>
  Object.keys(accessModes)
    .filter((mode) => modes.includes(mode))
    .map((mode) => accessModes[mode])
    .join(',')

export function validateAccessModes(modes: string[] = [], field: string): FieldError[] {
  if (modes.length === 0) return [requiredValue(field, 'at least 1 access mode is required')]
  const errors = modes
    .filter((mode) => !(mode in accessModes))
    .map((mode) => notSupported(field, mode, Object.keys(accessModes).sort()))
  if (modes.includes('ReadWriteOncePod') && modes.length > 1)
    errors.push(forbidden(field, 'may not use ReadWriteOncePod with other access modes'))
  return errors
}

export function validateStorageAmount(amount: unknown, field: string): FieldError[] {
  if (amount === undefined) return [requiredValue(field)]
  const quantity = tryParseQuantity(String(amount))
  return quantity && quantity.nanos <= 0n ? [invalidValue(field, String(amount), 'must be greater than zero')] : []
}

const betaClass = 'volume.beta.kubernetes.io/storage-class'

export const storageClassText = ({ metadata, spec }: ApiObject): string =>
  metadata.annotations?.[betaClass] ?? spec?.storageClassName ?? ''
