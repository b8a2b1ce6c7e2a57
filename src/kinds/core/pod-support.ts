// Fields of Pods that are refused here, or taken without effect. Written for Pods, they hold for every template as well.

import type { FieldSupport, SupportTable } from '../../api/support.ts'

const refused = (why: string, more: Partial<FieldSupport> = {}): FieldSupport => ({ has: 'refused', why, ...more })
const noEffect = (why: string, more: Partial<FieldSupport> = {}): FieldSupport => ({ has: 'no effect', why, ...more })

const table = (type: string, fields: string[], support: FieldSupport): SupportTable =>
  Object.fromEntries(fields.map((field) => [`${type}.${field}`, support]))

const foreignVolumes = [
  ...['awsElasticBlockStore', 'azureDisk', 'azureFile', 'cephfs', 'cinder', 'fc', 'flexVolume', 'flocker'],
  ...['gcePersistentDisk', 'gitRepo', 'glusterfs', 'iscsi', 'nfs', 'photonPersistentDisk', 'portworxVolume'],
  ...['quobyte', 'rbd', 'scaleIO', 'storageos', 'vsphereVolume'],
]

const hasFields = (value: any): boolean => Object.keys(value).length > 0
const noSeLinux = 'this node has no SELinux'

export const podSupport: SupportTable = {
  'core.v1.Volume.csi': noEffect('no CSI driver runs on this node, and the Pod waits until its driver is there'),
  'core.v1.PodSpec.schedulingGroup': refused('groups of Pods are not scheduled together here'),
  'core.v1.PodSpec.hostUsers': refused('user namespaces are not supported here', {
    only: (value) => value === false,
    values: 'false',
  }),
  'core.v1.PodOS.name': refused('only linux Pods run here', { only: (name) => name !== 'linux', values: 'windows' }),
  ...table(
    'core.v1.Volume',
    foreignVolumes,
    refused(
      'this node has no driver for it; use configMap, csi, downwardAPI, emptyDir, ephemeral, hostPath, image, persistentVolumeClaim, projected or secret',
    ),
  ),
  ...table(
    'core.v1.VolumeProjection',
    ['clusterTrustBundle', 'podCertificate'],
    refused('use secret, configMap, downwardAPI or serviceAccountToken'),
  ),
  'core.v1.EmptyDirVolumeSource.medium': refused('leave it out or use Memory', {
    only: (medium) => medium !== 'Memory',
    values: 'HugePages, HugePages-<size>',
  }),
  'core.v1.EnvVarSource.fileKeyRef': refused('variables from files are not read here'),
  'core.v1.SecurityContext.windowsOptions': noEffect('only linux Pods run here', { only: hasFields }),
  'core.v1.PodSecurityContext.windowsOptions': noEffect('only linux Pods run here', { only: hasFields }),
  'core.v1.PodSecurityContext.seLinuxChangePolicy': noEffect(noSeLinux),
  'core.v1.PodSecurityContext.seLinuxOptions': noEffect(noSeLinux),
  'core.v1.SecurityContext.seLinuxOptions': noEffect(noSeLinux),
  'core.v1.VolumeMount.recursiveReadOnly': noEffect(
    'the container runtime cannot do it; the mount is read-only at its top',
    {
      only: (mode) => mode === 'IfPossible',
      values: 'IfPossible; a Pod with Enabled is not started',
    },
  ),
  'core.v1.ContainerRestartRule.action': refused('use Restart', {
    only: (action) => action === 'RestartAllContainers',
    values: 'RestartAllContainers',
  }),
  'core.v1.NodeSpec.configSource': noEffect('configuration from the API was removed from Kubernetes'),
}
