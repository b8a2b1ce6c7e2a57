// The messages of CRI v1 that Tandem uses, as tables (runtime.v1 api.proto of k8s.io/cri-api 1.23, which containerd 1.6
// serves; newer fields are left out where nothing here reads them).

import { message } from '../../../wire/protobuf.ts'

export const protocol = { TCP: 0, UDP: 1, SCTP: 2 } as const
export const propagation = { None: 0, HostToContainer: 1, Bidirectional: 2 } as const
export const namespaceMode = { pod: 0, container: 1, node: 2, target: 3 } as const
export const profileType = { RuntimeDefault: 0, Unconfined: 1, Localhost: 2 } as const
export const sandboxState = { ready: 0, notReady: 1 } as const
export const containerState = { created: 0, running: 1, exited: 2, unknown: 3 } as const

export const Empty = message({})
export const Int64Value = message({ value: [1, 'int64'] })
export const UInt64Value = message({ value: [1, 'uint64'] })

export const VersionRequest = message({ version: [1, 'string'] })
export const VersionResponse = message({
  version: [1, 'string'],
  runtimeName: [2, 'string'],
  runtimeVersion: [3, 'string'],
  runtimeApiVersion: [4, 'string'],
})

export const DNSConfig = message({
  servers: [1, 'string', 'list'],
  searches: [2, 'string', 'list'],
  options: [3, 'string', 'list'],
})
export const PortMapping = message({
  protocol: [1, 'int32'],
  containerPort: [2, 'int32'],
  hostPort: [3, 'int32'],
  hostIp: [4, 'string'],
})
export const Mount = message({
  containerPath: [1, 'string'],
  hostPath: [2, 'string'],
  readonly: [3, 'bool'],
  selinuxRelabel: [4, 'bool'],
  propagation: [5, 'int32'],
})
export const Device = message({ containerPath: [1, 'string'], hostPath: [2, 'string'], permissions: [3, 'string'] })
export const KeyValue = message({ key: [1, 'string'], value: [2, 'string'] })
export const NamespaceOption = message({
  network: [1, 'int32'],
  pid: [2, 'int32'],
  ipc: [3, 'int32'],
  targetId: [4, 'string'],
})
export const SELinuxOption = message({
  user: [1, 'string'],
  role: [2, 'string'],
  type: [3, 'string'],
  level: [4, 'string'],
})
export const SecurityProfile = message({ profileType: [1, 'int32'], localhostRef: [2, 'string'] })
export const HugepageLimit = message({ pageSize: [1, 'string'], limit: [2, 'uint64'] })
export const LinuxContainerResources = message({
  cpuPeriod: [1, 'int64'],
  cpuQuota: [2, 'int64'],
  cpuShares: [3, 'int64'],
  memoryLimitInBytes: [4, 'int64'],
  oomScoreAdj: [5, 'int64'],
  cpusetCpus: [6, 'string'],
  cpusetMems: [7, 'string'],
  hugepageLimits: [8, HugepageLimit, 'list'],
  unified: [9, 'string', 'map'],
  memorySwapLimitInBytes: [10, 'int64'],
})

export const LinuxSandboxSecurityContext = message({
  namespaceOptions: [1, NamespaceOption],
  selinuxOptions: [2, SELinuxOption],
  runAsUser: [3, Int64Value],
  readonlyRootfs: [4, 'bool'],
  supplementalGroups: [5, 'int64', 'list'],
  privileged: [6, 'bool'],
  runAsGroup: [8, Int64Value],
  seccomp: [9, SecurityProfile],
  apparmor: [10, SecurityProfile],
})
export const LinuxPodSandboxConfig = message({
  cgroupParent: [1, 'string'],
  securityContext: [2, LinuxSandboxSecurityContext],
  sysctls: [3, 'string', 'map'],
  overhead: [4, LinuxContainerResources],
  resources: [5, LinuxContainerResources],
})
export const PodSandboxMetadata = message({
  name: [1, 'string'],
  uid: [2, 'string'],
  namespace: [3, 'string'],
  attempt: [4, 'uint32'],
})
export const PodSandboxConfig = message({
  metadata: [1, PodSandboxMetadata],
  hostname: [2, 'string'],
  logDirectory: [3, 'string'],
  dnsConfig: [4, DNSConfig],
  portMappings: [5, PortMapping, 'list'],
  labels: [6, 'string', 'map'],
  annotations: [7, 'string', 'map'],
  linux: [8, LinuxPodSandboxConfig],
})
export const RunPodSandboxRequest = message({ config: [1, PodSandboxConfig], runtimeHandler: [2, 'string'] })
export const PodSandboxId = message({ podSandboxId: [1, 'string'] })
export const PodSandboxStatusRequest = message({ podSandboxId: [1, 'string'], verbose: [2, 'bool'] })
const PodIP = message({ ip: [1, 'string'] })
export const PodSandboxNetworkStatus = message({ ip: [1, 'string'], additionalIps: [2, PodIP, 'list'] })
export const PodSandboxStatus = message({
  id: [1, 'string'],
  metadata: [2, PodSandboxMetadata],
  state: [3, 'int32'],
  createdAt: [4, 'bigint64'],
  network: [5, PodSandboxNetworkStatus],
  labels: [7, 'string', 'map'],
  annotations: [8, 'string', 'map'],
  runtimeHandler: [9, 'string'],
})
export const PodSandboxStatusResponse = message({ status: [1, PodSandboxStatus], info: [2, 'string', 'map'] })
const PodSandboxStateValue = message({ state: [1, 'int32'] })
export const PodSandboxFilter = message({
  id: [1, 'string'],
  state: [2, PodSandboxStateValue],
  labelSelector: [3, 'string', 'map'],
})
export const ListPodSandboxRequest = message({ filter: [1, PodSandboxFilter] })
export const PodSandbox = message({
  id: [1, 'string'],
  metadata: [2, PodSandboxMetadata],
  state: [3, 'int32'],
  createdAt: [4, 'bigint64'],
  labels: [5, 'string', 'map'],
  annotations: [6, 'string', 'map'],
  runtimeHandler: [7, 'string'],
})
export const ListPodSandboxResponse = message({ items: [1, PodSandbox, 'list'] })

export const ImageSpec = message({ image: [1, 'string'], annotations: [2, 'string', 'map'] })
export const Capability = message({
  addCapabilities: [1, 'string', 'list'],
  dropCapabilities: [2, 'string', 'list'],
})
export const LinuxContainerSecurityContext = message({
  capabilities: [1, Capability],
  privileged: [2, 'bool'],
  namespaceOptions: [3, NamespaceOption],
  selinuxOptions: [4, SELinuxOption],
  runAsUser: [5, Int64Value],
  runAsUsername: [6, 'string'],
  readonlyRootfs: [7, 'bool'],
  supplementalGroups: [8, 'int64', 'list'],
  noNewPrivs: [11, 'bool'],
  runAsGroup: [12, Int64Value],
  maskedPaths: [13, 'string', 'list'],
  readonlyPaths: [14, 'string', 'list'],
  seccomp: [15, SecurityProfile],
  apparmor: [16, SecurityProfile],
})
export const LinuxContainerConfig = message({
  resources: [1, LinuxContainerResources],
  securityContext: [2, LinuxContainerSecurityContext],
})
export const ContainerMetadata = message({ name: [1, 'string'], attempt: [2, 'uint32'] })
export const ContainerConfig = message({
  metadata: [1, ContainerMetadata],
  image: [2, ImageSpec],
  command: [3, 'string', 'list'],
  args: [4, 'string', 'list'],
  workingDir: [5, 'string'],
  envs: [6, KeyValue, 'list'],
  mounts: [7, Mount, 'list'],
  devices: [8, Device, 'list'],
  labels: [9, 'string', 'map'],
  annotations: [10, 'string', 'map'],
  logPath: [11, 'string'],
  stdin: [12, 'bool'],
  stdinOnce: [13, 'bool'],
  tty: [14, 'bool'],
  linux: [15, LinuxContainerConfig],
})
export const CreateContainerRequest = message({
  podSandboxId: [1, 'string'],
  config: [2, ContainerConfig],
  sandboxConfig: [3, PodSandboxConfig],
})
export const ContainerId = message({ containerId: [1, 'string'] })
export const StopContainerRequest = message({ containerId: [1, 'string'], timeout: [2, 'int64'] })
const ContainerStateValue = message({ state: [1, 'int32'] })
export const ContainerFilter = message({
  id: [1, 'string'],
  state: [2, ContainerStateValue],
  podSandboxId: [3, 'string'],
  labelSelector: [4, 'string', 'map'],
})
export const ListContainersRequest = message({ filter: [1, ContainerFilter] })
export const Container = message({
  id: [1, 'string'],
  podSandboxId: [2, 'string'],
  metadata: [3, ContainerMetadata],
  image: [4, ImageSpec],
  imageRef: [5, 'string'],
  state: [6, 'int32'],
  createdAt: [7, 'bigint64'],
  labels: [8, 'string', 'map'],
  annotations: [9, 'string', 'map'],
})
export const ListContainersResponse = message({ containers: [1, Container, 'list'] })
export const UpdateContainerResourcesRequest = message({
  containerId: [1, 'string'],
  linux: [2, LinuxContainerResources],
})
export const ContainerStatusRequest = message({ containerId: [1, 'string'], verbose: [2, 'bool'] })
export const ContainerStatus = message({
  id: [1, 'string'],
  metadata: [2, ContainerMetadata],
  state: [3, 'int32'],
  createdAt: [4, 'bigint64'],
  startedAt: [5, 'bigint64'],
  finishedAt: [6, 'bigint64'],
  exitCode: [7, 'int32'],
  image: [8, ImageSpec],
  imageRef: [9, 'string'],
  reason: [10, 'string'],
  message: [11, 'string'],
  labels: [12, 'string', 'map'],
  annotations: [13, 'string', 'map'],
  mounts: [14, Mount, 'list'],
  logPath: [15, 'string'],
})
export const ContainerStatusResponse = message({ status: [1, ContainerStatus], info: [2, 'string', 'map'] })
export const ExecSyncRequest = message({
  containerId: [1, 'string'],
  cmd: [2, 'string', 'list'],
  timeout: [3, 'int64'],
})
export const ExecSyncResponse = message({ stdout: [1, 'bytes'], stderr: [2, 'bytes'], exitCode: [3, 'int32'] })
export const ExecRequest = message({
  containerId: [1, 'string'],
  cmd: [2, 'string', 'list'],
  tty: [3, 'bool'],
  stdin: [4, 'bool'],
  stdout: [5, 'bool'],
  stderr: [6, 'bool'],
})
export const AttachRequest = message({
  containerId: [1, 'string'],
  stdin: [2, 'bool'],
  tty: [3, 'bool'],
  stdout: [4, 'bool'],
  stderr: [5, 'bool'],
})
export const PortForwardRequest = message({ podSandboxId: [1, 'string'], port: [2, 'int32', 'list'] })
export const StreamingUrl = message({ url: [1, 'string'] })

const RuntimeCondition = message({
  type: [1, 'string'],
  status: [2, 'bool'],
  reason: [3, 'string'],
  message: [4, 'string'],
})
const RuntimeStatus = message({ conditions: [1, RuntimeCondition, 'list'] })
export const StatusRequest = message({ verbose: [1, 'bool'] })
export const StatusResponse = message({ status: [1, RuntimeStatus], info: [2, 'string', 'map'] })

const ContainerAttributes = message({
  id: [1, 'string'],
  metadata: [2, ContainerMetadata],
  labels: [3, 'string', 'map'],
  annotations: [4, 'string', 'map'],
})
const CpuUsage = message({
  timestamp: [1, 'bigint64'],
  usageCoreNanoSeconds: [2, UInt64Value],
  usageNanoCores: [3, UInt64Value],
})
const MemoryUsage = message({
  timestamp: [1, 'bigint64'],
  workingSetBytes: [2, UInt64Value],
  availableBytes: [3, UInt64Value],
  usageBytes: [4, UInt64Value],
  rssBytes: [5, UInt64Value],
})
const FilesystemIdentifier = message({ mountpoint: [1, 'string'] })
const FilesystemUsage = message({
  timestamp: [1, 'bigint64'],
  fsId: [2, FilesystemIdentifier],
  usedBytes: [3, UInt64Value],
  inodesUsed: [4, UInt64Value],
})
export const ContainerStats = message({
  attributes: [1, ContainerAttributes],
  cpu: [2, CpuUsage],
  memory: [3, MemoryUsage],
  writableLayer: [4, FilesystemUsage],
})
const ContainerStatsFilter = message({
  id: [1, 'string'],
  podSandboxId: [2, 'string'],
  labelSelector: [3, 'string', 'map'],
})
export const ListContainerStatsRequest = message({ filter: [1, ContainerStatsFilter] })
export const ListContainerStatsResponse = message({ stats: [1, ContainerStats, 'list'] })

export const Image = message({
  id: [1, 'string'],
  repoTags: [2, 'string', 'list'],
  repoDigests: [3, 'string', 'list'],
  size: [4, 'uint64'],
  uid: [5, Int64Value],
  username: [6, 'string'],
  spec: [7, ImageSpec],
  pinned: [8, 'bool'],
})
const ImageFilter = message({ image: [1, ImageSpec] })
export const ListImagesRequest = message({ filter: [1, ImageFilter] })
export const ListImagesResponse = message({ images: [1, Image, 'list'] })
export const ImageStatusRequest = message({ image: [1, ImageSpec], verbose: [2, 'bool'] })
export const ImageStatusResponse = message({ image: [1, Image], info: [2, 'string', 'map'] })
export const AuthConfig = message({
  username: [1, 'string'],
  password: [2, 'string'],
  auth: [3, 'string'],
  serverAddress: [4, 'string'],
  identityToken: [5, 'string'],
  registryToken: [6, 'string'],
})
export const PullImageRequest = message({
  image: [1, ImageSpec],
  auth: [2, AuthConfig],
  sandboxConfig: [3, PodSandboxConfig],
})
export const PullImageResponse = message({ imageRef: [1, 'string'] })
export const RemoveImageRequest = message({ image: [1, ImageSpec] })
export const ImageFsInfoResponse = message({ imageFilesystems: [1, FilesystemUsage, 'list'] })
