// VirtualMachineInstancePresets are laid over an instance as it was sent: afterwards its defaults could not be told from
// what its author wants. Where there is no preset, that costs nothing.

import { ApiError } from '../../api/errors.ts'
import { applyPresets } from '../../kinds/kubevirt/presets.ts'
import type { AdmissionPlugin } from './admission.ts'
import type { ByNamespace } from './by-namespace.ts'

export const machinePresets = (presets: ByNamespace): AdmissionPlugin => ({
  name: 'VirtualMachineInstancePresets',
  resources: ['virtualmachineinstances.kubevirt.io'],
  preset({ object, namespace, warnings }) {
    const known = presets(namespace)
    if (!known.length || !object) return
    try {
      warnings.push(...applyPresets(object, known))
    } catch (error) {
      throw new ApiError('Invalid', (error as Error).message)
    }
  },
})
