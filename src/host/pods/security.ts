// securityContext of Pod and container as CRI security contexts. Mirrored from the kubelet
// (pkg/kubelet/kuberuntime/security_context.go and security_context_linux.go, 1.32).

import type { SeccompProfile, SecurityContext } from 'kubernetes-types/core/v1.js'
import type { Encodable } from '../../wire/protobuf.ts'
import { wantsMachineNetwork } from './beside/beside-machine.ts'
import {
  type LinuxContainerSecurityContext,
  type LinuxSandboxSecurityContext,
  namespaceMode,
  profileType,
} from './cri/messages.ts'
import { type AnyContainer, allContainers, ContainerProblem, type PodObject, podText } from './pod.ts'

/** Who an image says that its process is (CRI ImageStatus): a number, a name, or nobody. */
export interface ImageUser {
  uid?: number
  username?: string
}

/** Largest user id of Kubernetes' API; a larger one would wrap to another user, root among them. */
const maxId = 2 ** 31 - 1

/** containerd masks nothing by itself when CRI names no paths. */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

export const isPrivileged = (container: AnyContainer): boolean => container.securityContext?.privileged === true

function namespaces(pod: PodObject) {
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace } = pod.spec
  const ownOrPod = shareProcessNamespace ? namespaceMode.pod : namespaceMode.container
  return {
    // Of a Pod beside a machine CRI makes no network: beside/runc-beside-machine has it.
    network: hostNetwork || wantsMachineNetwork(pod) ? namespaceMode.node : namespaceMode.pod,
    ipc: hostIPC ? namespaceMode.node : namespaceMode.pod,
    pid: hostPID ? namespaceMode.node : ownOrPod,
  }
}

/** RuntimeDefault where nothing is said, as a kubelet with seccompDefault. */
function seccomp(profile: SeccompProfile | undefined) {
  switch (profile?.type) {
    case 'Unconfined':
      return { profileType: profileType.Unconfined }
    case 'Localhost':
      return {
        profileType: profileType.Localhost,
        localhostRef: `/var/lib/kubelet/seccomp/${profile.localhostProfile}`,
      }
    default:
      return { profileType: profileType.RuntimeDefault }
  }
}

const groups = (pod: PodObject): number[] => {
  const { fsGroup, supplementalGroups } = pod.spec.securityContext ?? {}
  return [...new Set([...(supplementalGroups ?? []), ...(fsGroup === undefined ? [] : [fsGroup])])]
}

const wrapped = (value: number | undefined) => (value === undefined ? undefined : { value })

export function sandboxSecurity(pod: PodObject): Encodable<typeof LinuxSandboxSecurityContext> {
  const context = pod.spec.securityContext
  return {
    namespaceOptions: namespaces(pod),
    ...(context?.seLinuxOptions && { selinuxOptions: context.seLinuxOptions }),
    runAsUser: wrapped(context?.runAsUser),
    runAsGroup: context?.runAsUser === undefined ? undefined : wrapped(context?.runAsGroup),
    supplementalGroups: groups(pod),
    privileged: allContainers(pod).some(isPrivileged),
    seccomp: { profileType: profileType.RuntimeDefault },
  }
}

/** The uid that the process will have, where it is known. @throws ContainerProblem when it must not be */
function checkedUser(pod: PodObject, container: AnyContainer, context: SecurityContext, image: ImageUser): ImageUser {
  const where = `(pod: "${podText(pod)}", container: ${container.name})`
  const problem = (message: string) => new ContainerProblem('CreateContainerConfigError', `${message} ${where}`)
  const user: ImageUser = context.runAsUser === undefined ? image : { uid: context.runAsUser }
  if (user.uid !== undefined && (user.uid < 0 || user.uid > maxId))
    throw problem(`user id ${user.uid} is out of range 0..${maxId}`)
  if (!context.runAsNonRoot) return user
  if (context.runAsUser === 0) throw problem("container's runAsUser breaks non-root policy")
  if (context.runAsUser === undefined && user.username)
    throw problem(
      `container has runAsNonRoot and image has non-numeric user (${user.username}), cannot verify user is non-root`,
    )
  if (context.runAsUser === undefined && !user.uid)
    throw problem('container has runAsNonRoot and image will run as root')
  return user
}

/** The container's own context over the Pod's, field by field. */
export function effectiveContext(pod: PodObject, container: AnyContainer): SecurityContext {
  const { seLinuxOptions, runAsUser, runAsGroup, runAsNonRoot, seccompProfile } = pod.spec.securityContext ?? {}
  const own = Object.entries(container.securityContext ?? {}).filter(
    ([, value]) => value !== undefined && value !== null,
  )
  return { seLinuxOptions, runAsUser, runAsGroup, runAsNonRoot, seccompProfile, ...Object.fromEntries(own) }
}

export interface ContainerSecurityInput {
  image: ImageUser
  /** Container id whose process namespace an ephemeral container joins. */
  targetId?: string
}

/** @throws ContainerProblem when runAsNonRoot does not hold */
export function containerSecurity(
  pod: PodObject,
  container: AnyContainer,
  { image, targetId }: ContainerSecurityInput,
): Encodable<typeof LinuxContainerSecurityContext> {
  const context = effectiveContext(pod, container)
  const user = checkedUser(pod, container, context, image)
  const privileged = context.privileged === true
  const unmasked = privileged || context.procMount === 'Unmasked'
  const namespaceOptions = namespaces(pod)
  return {
    capabilities: {
      addCapabilities: context.capabilities?.add ?? [],
      dropCapabilities: context.capabilities?.drop ?? [],
    },
    privileged,
    namespaceOptions: targetId ? { ...namespaceOptions, pid: namespaceMode.target, targetId } : namespaceOptions,
    ...(context.seLinuxOptions && { selinuxOptions: context.seLinuxOptions }),
    // The runtime takes no group without a user.
    ...(user.username
      ? { runAsUsername: user.username }
      : { runAsUser: wrapped(user.uid ?? (context.runAsGroup === undefined ? undefined : 0)) }),
    runAsGroup: wrapped(context.runAsGroup),
    readonlyRootfs: context.readOnlyRootFilesystem === true,
    supplementalGroups: groups(pod),
    noNewPrivs: context.allowPrivilegeEscalation === false,
    maskedPaths: unmasked ? [] : maskedPaths,
    readonlyPaths: unmasked ? [] : readonlyPaths,
    seccomp: seccomp(context.seccompProfile),
  }
}
