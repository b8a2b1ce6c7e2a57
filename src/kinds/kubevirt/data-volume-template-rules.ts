// Rules for the DataVolumes that a VirtualMachine brings along (pkg/storage/admitters/data-volume-template.go, KubeVirt 1.9).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { dataVolumeWarnings, validateDataVolumeSpec } from '../cdi/data-volume-rules.ts'

export function validateDataVolumeTemplates(spec: any, namespace: string | undefined): FieldError[] {
  const volumes: any[] = spec.template?.spec?.volumes ?? []
  return (spec.dataVolumeTemplates ?? []).flatMap((template: any, index: number): FieldError[] => {
    const at = `spec.dataVolumeTemplate[${index}]`
    const name = template?.metadata?.name
    if (!name)
      return [requiredValue(`${at}.name`, `'name' field must not be empty for DataVolumeTemplate entry ${at}.name.`)]
    const other = template.metadata.namespace
    if (other && namespace && other !== namespace)
      return [
        invalidValue(
          `spec.dataVolumeTemplates[${index}]`,
          other,
          `Embedded DataVolume namespace ${other} differs from VM namespace ${namespace}`,
        ),
      ]
    const found = validateDataVolumeSpec(template.spec, `spec.dataVolumeTemplates[${index}].spec`)
    const isUsed = volumes.some(
      (volume) => volume?.persistentVolumeClaim?.claimName === name || volume?.dataVolume?.name === name,
    )
    if (!isUsed)
      found.push(
        requiredValue(at, `DataVolumeTemplate entry ${at} must be referenced in the VMI template's 'volumes' list`),
      )
    return found
  })
}

export const dataVolumeTemplateWarnings = (spec: any): string[] =>
  (spec?.dataVolumeTemplates ?? []).flatMap((template: any, index: number) =>
    dataVolumeWarnings(template?.spec, `spec.dataVolumeTemplates[${index}].spec`),
  )
