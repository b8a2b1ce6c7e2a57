// Machines that start from a machine that has booted already: a VirtualMachineSnapshot with memory is the template, and
// every start resumes a copy of it. KubeVirt has no such thing; these names are Tandem's own.

/**
 * On a VirtualMachine (or in the metadata of a pool's virtualMachineTemplate), and from there on its instances: the
 * VirtualMachineSnapshot with memory, in the same namespace, that each start is a copy of.
 */
export const startFromAnnotation = 'tandem.dev/start-from'

/**
 * "true" on a VirtualMachine: it is booted once, saved with its memory as the VirtualMachineSnapshot of its own name when
 * it is ready, and stopped.
 */
export const templateAnnotation = 'tandem.dev/template'
