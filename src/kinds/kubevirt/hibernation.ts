// Suspend to disk: a machine is stopped with its memory saved and goes on later where it was. KubeVirt has no such thing;
// these names are Tandem's own.

/** spec.runStrategy: the machine has no instance, and its memory waits on disk. */
export const hibernatedStrategy = 'Hibernated'

/** On a VirtualMachine: its memory is saved. Taking the annotation away forgets what is saved, at the next start. */
export const savedAnnotation = 'tandem.dev/hibernated'

/** On a VirtualMachine: the run strategy to go back to. */
export const formerStrategyAnnotation = 'tandem.dev/run-strategy'

/** On an instance that is deleted: save its memory instead of pressing its power button. */
export const hibernateAnnotation = 'tandem.dev/hibernate'

/** On a new instance: go on from the saved memory of its VirtualMachine. */
export const resumeAnnotation = 'tandem.dev/resume'

/** How the status of an instance says that it ended by being saved. */
export const hibernatedReason = 'Hibernated'
