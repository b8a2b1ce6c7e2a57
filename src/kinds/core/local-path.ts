// A path below a volume's root that cannot climb out of it (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'

export function validateLocalPath(path: unknown, field: string): FieldError[] {
  if (typeof path !== 'string' || path === '') return [requiredValue(field)]
  if (path.startsWith('/')) return [invalidValue(field, path, 'must be a relative path')]
  if (path.split('/').includes('..')) return [invalidValue(field, path, "must not contain '..'")]
  return []
}
