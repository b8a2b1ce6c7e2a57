// Names that the objects of snapshots of volumes carry (kubernetes-csi/external-snapshotter 8.6, pkg/utils/util.go).

const at = (name: string): string => `snapshot.storage.kubernetes.io/${name}`

/** Finalizers: of a content while a snapshot is bound to it, of a snapshot, and of a claim while a snapshot is taken. */
export const contentFinalizer = at('volumesnapshotcontent-bound-protection')
export const boundFinalizer = at('volumesnapshot-bound-protection')
export const asSourceFinalizer = at('volumesnapshot-as-source-protection')
export const claimFinalizer = at('pvc-as-source-protection')

/** On a VolumeSnapshotClass: for snapshots that name none, of volumes of its driver. */
export const defaultSnapshotClass = at('is-default-class')
/** On a content: its snapshot goes, so what it stands for may go, too. */
export const beingDeleted = at('volumesnapshot-being-deleted')
/** On a content: its data may become a volume of another mode. */
export const modeChangeAllowed = at('allow-volume-mode-change')
