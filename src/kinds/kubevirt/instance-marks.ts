// Annotations on an instance that tell the host what to do with it other than run it.

/** It waits for a migration to bring its guest instead of starting one (KubeVirt api/core/v1, CreateMigrationTarget). */
export const receiverAnnotation = 'kubevirt.io/create-migration-target'

/**
 * Its Pod was deleted: the guest is shut down and the instance stays with what became of it, for its run strategy to
 * judge. The value is when the guest must be off. Tandem's own name; KubeVirt has a Pod there that goes away.
 */
export const shutdownAnnotation = 'tandem.dev/shutdown-by'

export const isReceiver = (instance: { metadata: { annotations?: Record<string, string> } }): boolean =>
  instance.metadata.annotations?.[receiverAnnotation] === 'true'
