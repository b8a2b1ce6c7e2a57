// The provisioner of Tandem's own volumes, directories of this machine; the driver of their snapshots has its name.

export const localProvisioner = 'tandem.dev/local'
/** On a PersistentVolume: who made it. */
export const provisionedBy = 'pv.kubernetes.io/provisioned-by'
