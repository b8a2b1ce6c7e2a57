// Annotations of an instance that ask for something (vmi-create-admitter.go, KubeVirt 1.9).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue } from '../../api/walk/rules.ts'

const sidecars = 'hooks.kubevirt.io/hookSidecars'

/** @param metadata of an instance, or of the template of one */
export function validateAnnotations(metadata: any, field: string): FieldError[] {
  const value = metadata?.annotations?.[sidecars]
  if (!value) return []
  // The first half is what KubeVirt says as long as its gate is closed.
  const text = `sidecar feature gate is not enabled in kubevirt-config, invalid entry ${field}.annotations.${sidecars}: Tandem has no libvirt domain for a sidecar to change`
  return [invalidValue(`${field}.annotations`, value, text)]
}
