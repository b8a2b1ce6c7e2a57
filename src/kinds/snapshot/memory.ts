// What Tandem adds to KubeVirt's snapshots: the memory of a running machine, and how a restored claim is filled. These
// names are Tandem's own.

/**
 * "true" on a VirtualMachineSnapshot: the memory and every disk of the running machine are kept too; the guest stands still
 * meanwhile. "true" on a VirtualMachineRestore of such a snapshot: the machine goes on where it was at its next start.
 */
export const memoryAnnotation = 'tandem.dev/memory'

/**
 * On a claim: the snapshot content and the volume that fill it, as "<content>/<volume>". On a PersistentVolume: the handle of
 * the VolumeSnapshotContent that does, or "volume/<name>" of the PersistentVolume that it is to be a copy of.
 */
export const filledFromAnnotation = 'tandem.dev/filled-from'

/** On such a claim or volume: it is filled and may be used. */
export const filledAnnotation = 'tandem.dev/filled'

export const wantsMemory = (object: { metadata: { annotations?: Record<string, string> } }): boolean =>
  object.metadata.annotations?.[memoryAnnotation] === 'true'

/** A claim or a volume that is to be filled from a snapshot or another volume, and is not yet. */
export const isBeingFilled = ({
  metadata: { annotations = {} },
}: {
  metadata: { annotations?: Record<string, string> }
}): boolean => annotations[filledFromAnnotation] !== undefined && annotations[filledAnnotation] !== 'true'
