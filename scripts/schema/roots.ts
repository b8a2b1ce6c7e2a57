// The types that the generator starts from. A new kind: add its name, run the generator, write its file in src/kinds.

export const roots = [
  ...['DeleteOptions', 'ListMeta', 'ObjectMeta', 'Status', 'LabelSelector', 'Condition'].map(
    (name) => `meta.v1.${name}`,
  ),
  ...[
    'Binding',
    'ConfigMap',
    'Endpoints',
    'Event',
    'Namespace',
    'Node',
    'PersistentVolume',
    'PersistentVolumeClaim',
    'Pod',
    'Secret',
    'Service',
    'ServiceAccount',
  ].map((name) => `core.v1.${name}`),
  'apps.v1.Deployment',
  'apps.v1.ReplicaSet',
  'authentication.v1.SelfSubjectReview',
  'authentication.v1.TokenRequest',
  'authentication.v1.TokenReview',
  'authorization.v1.LocalSubjectAccessReview',
  'authorization.v1.SelfSubjectAccessReview',
  'authorization.v1.SelfSubjectRulesReview',
  'authorization.v1.SubjectAccessReview',
  'autoscaling.v1.Scale',
  'batch.v1.Job',
  'coordination.v1.Lease',
  'discovery.v1.EndpointSlice',
  'node.v1.RuntimeClass',
  'policy.v1.Eviction',
  'rbac.v1.ClusterRole',
  'rbac.v1.ClusterRoleBinding',
  'rbac.v1.Role',
  'rbac.v1.RoleBinding',
  'scheduling.v1.PriorityClass',
  'storage.v1.StorageClass',
]

export const kubevirtRoots = ['V1VirtualMachine', 'V1VirtualMachineInstance']
