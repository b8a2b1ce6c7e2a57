// The processor as QEMU's -cpu: its model, its features, and what Hyper-V would offer a Windows guest. Names on the left:
// KubeVirt 1.9; on the right: QEMU 7.2 (docs/system/i386/hyperv.rst).

import { Inexpressible, type OptionValues, option, word } from './option.ts'
import type { MachinePlan } from './plan.ts'
import type { Domain, FeatureState } from './vmi.ts'

/** host-model and host-passthrough mean "what this machine has": everything that the accelerator can do. */
export function cpuOption(plan: MachinePlan): string {
  const { domain } = plan.spec
  const { model, features = [] } = domain.cpu ?? {}
  const host = !model || model === 'host-model' || model === 'host-passthrough'
  const name = host ? (plan.accelerator === 'kvm' ? 'host' : 'max') : word(model, 'spec.domain.cpu.model')
  const flags: Record<string, boolean> = {}
  for (const feature of features)
    flags[word(feature.name, 'spec.domain.cpu.features')] = !['disable', 'forbid'].includes(feature.policy ?? 'require')
  return option(name, {
    migratable: plan.accelerator === 'kvm' && host ? true : undefined,
    // Only KVM has them; without it they would say nothing.
    ...(plan.accelerator === 'kvm' && paravirtual(domain)),
    ...flags,
  })
}

const plainFeatures: Record<string, string> = {
  relaxed: 'hv-relaxed',
  vapic: 'hv-vapic',
  vpindex: 'hv-vpindex',
  runtime: 'hv-runtime',
  synic: 'hv-synic',
  reset: 'hv-reset',
  frequencies: 'hv-frequencies',
  reenlightenment: 'hv-reenlightenment',
  ipi: 'hv-ipi',
  evmcs: 'hv-evmcs',
}

const defaultRetries = 4096
const leastRetries = 4096
const longestVendor = 12

export const isOn = (state: FeatureState | undefined): boolean => state !== undefined && state.enabled !== false

function paravirtual({ features = {}, clock }: Domain): OptionValues {
  const { hyperv = {}, kvm, pvspinlock, hypervPassthrough } = features
  const values: OptionValues = {
    kvm: kvm?.hidden ? false : undefined,
    'kvm-pv-unhalt': pvspinlock && isOn(pvspinlock),
    'hv-time': clock?.timer?.hyperv && clock.timer.hyperv.present !== false ? true : undefined,
    'hv-passthrough': hypervPassthrough && isOn(hypervPassthrough) ? true : undefined,
  }
  for (const [field, flag] of Object.entries(plainFeatures)) if (isOn(hyperv[field])) values[flag] = true
  const { spinlocks, synictimer, tlbflush, vendorid } = hyperv
  if (spinlocks && isOn(spinlocks)) {
    const retries = spinlocks.spinlocks ?? defaultRetries
    if (retries < leastRetries)
      throw new Inexpressible(`spec.domain.features.hyperv.spinlocks.spinlocks must be at least ${leastRetries}`)
    values['hv-spinlocks'] = retries
  }
  if (isOn(synictimer)) values['hv-stimer'] = true
  if (isOn(synictimer) && isOn(synictimer?.direct)) values['hv-stimer-direct'] = true
  if (isOn(tlbflush)) {
    values['hv-tlbflush'] = true
    if (isOn(tlbflush?.direct)) values['hv-tlbflush-direct'] = true
    if (isOn(tlbflush?.extended)) values['hv-tlbflush-ext'] = true
  }
  if (vendorid && isOn(vendorid)) values['hv-vendor-id'] = vendor(vendorid.vendorid)
  return values
}

function vendor(name = ''): string {
  if (name.length >= 1 && name.length <= longestVendor) return name
  throw new Inexpressible(`spec.domain.features.hyperv.vendorid: a name of 1 to ${longestVendor} letters is needed`)
}
