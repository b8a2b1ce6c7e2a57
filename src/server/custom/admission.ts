// What only the whole server knows when definitions and their objects are written: a definition that goes away takes no
// new objects, and one of something built in changes nothing.

import { ApiError } from '../../api/errors.ts'
import type { AdmissionPlugin } from '../admission/admission.ts'
import type { Registry } from '../registry.ts'

export const customResources = (registry: Registry): AdmissionPlugin => ({
  name: 'CustomResourceDefinitions',
  admit({ resource, operation, name, object, warnings }) {
    if (operation !== 'CREATE') return
    if (resource.form?.terminating)
      throw new ApiError(
        'Forbidden',
        `${resource.groupResource} "${name}" is forbidden: create not allowed while custom resource definition is terminating`,
        { name, group: resource.group, kind: resource.plural },
      )
    if (resource.plural !== 'customresourcedefinitions' || resource.group !== 'apiextensions.k8s.io') return
    const { group, names } = object?.spec ?? {}
    const existing = registry.preferred(group ?? '', names?.plural ?? '')
    if (existing && !existing.form)
      warnings.push(
        `${existing.kind.kind} of ${group} is built into Tandem: this definition is kept, but the built-in one stays in effect`,
      )
  },
})
