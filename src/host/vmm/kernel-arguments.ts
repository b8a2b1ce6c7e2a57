// What the kernel of a micro-VM is told, by accelerator (pure).

const always = [
  ...['console=ttyS0', 'quiet', 'loglevel=3', 'panic=1', 'nokaslr', 'random.trust_cpu=on', 'cryptomgr.notests'],
]

/**
 * Emulated: time comes from a counter whose speed need not be measured, for what is measured on a busy machine is wrong;
 * nothing of this processor can be seen through one that is computed. In KVM the clock is KVM's own.
 */
const byAccelerator = {
  tcg: ['mitigations=off', 'clocksource=hpet', 'no_timer_check', 'tsc=unstable'],
  kvm: ['no_timer_check'],
}

export const kernelArguments = (accelerator: 'kvm' | 'tcg'): string =>
  [...always, ...byAccelerator[accelerator]].join(' ')
