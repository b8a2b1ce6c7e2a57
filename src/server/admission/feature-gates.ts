// What reaches into this machine is refused as long as its administrator has not opened the gate for it: nobody is to
// wait for a guest that never starts. A machine that does not need a gate costs nothing here.

import { invalid } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { gatesNeeded, featureGates as gatesOf } from '../../kinds/kubevirt/feature-gates.ts'
import type { AdmissionPlugin } from './admission.ts'
import type { Lookup } from './lookup.ts'

const ofTemplate = 'spec.template.spec'
/** Where the spec of an instance stands. */
const places: Record<string, string> = {
  'virtualmachineinstances.kubevirt.io': 'spec',
  'virtualmachines.kubevirt.io': ofTemplate,
  'virtualmachineinstancereplicasets.kubevirt.io': ofTemplate,
  'virtualmachinepools.pool.kubevirt.io': `spec.virtualMachineTemplate.${ofTemplate}`,
}

export const featureGates = (lookup: Lookup): AdmissionPlugin => ({
  name: 'FeatureGates',
  resources: Object.keys(places),
  validate({ operation, subresource, resource, object, old, name }) {
    if ((operation !== 'CREATE' && operation !== 'UPDATE') || subresource || !object) return
    const field = places[resource.groupResource]!
    const neededBy = (one: ApiObject) => gatesNeeded(at(one, field), field)
    const needed = neededBy(object)
    if (!needed.length) return
    // Who has it already may still be changed and stopped when the gate was closed meanwhile.
    const had = old ? neededBy(old).map(({ gate }) => gate) : []
    const open = [...gatesOf(lookup.list('kubevirt.io', 'kubevirts')[0]), ...had]
    const errors = needed.flatMap(({ gate, error }) => (open.includes(gate) ? [] : error))
    if (errors.length) throw invalid(resource.kind.kind, name, errors, resource.group)
  },
})

const at = (object: ApiObject, path: string): any => path.split('.').reduce<any>((value, name) => value?.[name], object)
