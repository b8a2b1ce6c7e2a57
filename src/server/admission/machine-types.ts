// A VirtualMachine must fit its instance type and preference, and both must be there (pkg/instancetype/webhooks/vm,
// KubeVirt 1.9). A machine without them costs nothing here.

import { invalid } from '../../api/errors.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { expand } from '../../kinds/instancetype/expand.ts'
import { hasMatcher } from '../../kinds/instancetype/matcher.ts'
import { validateInstanceSpec } from '../../kinds/kubevirt/instance-rules.ts'
import { findTypes } from '../subresources/kubevirt-types.ts'
import type { AdmissionPlugin } from './admission.ts'
import type { Lookup } from './lookup.ts'

export const machineTypes = (lookup: Lookup): AdmissionPlugin => ({
  name: 'VirtualMachineTypes',
  resources: ['virtualmachines.kubevirt.io'],
  validate({ operation, subresource, object, old, namespace, name }) {
    if (operation === 'DELETE' || operation === 'CONNECT' || subresource || !object || !hasMatcher(object)) return
    if (object.metadata.deletionTimestamp || (old && equalJson(object.spec, old.spec))) return
    const { types, errors, pending } = findTypes(lookup.get, object, namespace)
    if (!errors.length && !pending) {
      const expanded = expand(object, types)
      errors.push(...expanded.errors)
      if (!errors.length)
        errors.push(...validateInstanceSpec(expanded.machine.spec.template.spec, 'spec.template.spec'))
    }
    if (errors.length) throw invalid('VirtualMachine', name, errors, 'kubevirt.io')
  },
})
