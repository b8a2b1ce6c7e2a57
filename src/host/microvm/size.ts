// How large a Pod's machine is: what its containers may use, and what a kernel needs beside them.

const mebi = 2 ** 20
/** Of a Pod without limits. */
const defaultMemory = 512 * mebi
const leastMemory = 64 * mebi
/** Containers without requests have next to none; a kernel that gets no time cannot even be asked how it is. */
const leastShares = 256
/** Kernel and first programs of the guest. */
const guestOverhead = 64 * mebi

export interface Size {
  memoryBytes: number
  cpus: number
  cpuShares: number
}

/** `annotation`: what containerd notes of the sandbox's resources. */
export function sizeOf(annotation: (name: string) => string | undefined, processors: number): Size {
  const number = (name: string) => Number(annotation(name) ?? 0)
  const memory = number('sandbox-memory')
  const [quota, period] = [number('sandbox-cpu-quota'), number('sandbox-cpu-period')]
  const wanted = quota > 0 && period > 0 ? Math.ceil(quota / period) : 1
  return {
    memoryBytes: memory > 0 ? Math.max(memory, leastMemory) + guestOverhead : defaultMemory,
    cpus: Math.max(1, Math.min(wanted, processors)),
    cpuShares: Math.max(number('sandbox-cpu-shares'), leastShares),
  }
}
