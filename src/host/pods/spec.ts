// Pod → RunPodSandboxRequest, container → ContainerConfig. Pure: everything that has to be looked up is handed in.
// Behaviour mirrored from the kubelet (pkg/kubelet/kuberuntime, 1.32); golden files in golden/.

import { join } from 'node:path'
import type { VolumeMount } from 'kubernetes-types/core/v1.js'
import type { Encodable } from '../../wire/protobuf.ts'
import { netnsAnnotation } from './beside/beside-machine.ts'
import {
  type ContainerConfig,
  type Device,
  type Mount,
  type PodSandboxConfig,
  propagation,
  protocol,
} from './cri/messages.ts'
import type { Resolver } from './dns.ts'
import { expand } from './env.ts'
import type { NodeFacts } from './field-values.ts'
import { podDomain, podHostname } from './hosts-file.ts'
import { annotations, containerHash, labels, logDirectoryName, logPath, podLabels } from './names.ts'
import { type AnyContainer, type Container, ContainerProblem, type PodObject, type Resources } from './pod.ts'
import { boundsOf } from './resize.ts'
import { cgroupLimits, limitsOfAll, withKernel } from './resources.ts'
import { containerSecurity, type ImageUser, sandboxSecurity } from './security.ts'

export interface SandboxInput {
  attempt: number
  resolver: Resolver
  clusterDomain: string
  /** All containers' cgroups are children of this one: shares compare Pods' requests directly. */
  cgroupParent: string
  /** Directory of all Pods' logs. */
  logRoot: string
  /** The namespace of the virtual machine that it is beside. */
  netns?: string
}

/** Only a Pod with resources of its own needs a group of its own. */
export const cgroupOfPod = (pod: PodObject, parent: string): string =>
  pod.spec.resources ? `${parent}/pod${pod.metadata.uid}` : parent

export type SandboxConfig = Encodable<typeof PodSandboxConfig>

export function sandboxConfig(pod: PodObject, input: SandboxInput): SandboxConfig {
  const { metadata, spec } = pod
  const { nameservers, searches, options } = input.resolver
  const domain = podDomain(pod, input.clusterDomain)
  const name = spec.setHostnameAsFQDN && domain ? `${podHostname(pod)}.${domain}` : podHostname(pod)
  const hostname = spec.hostnameOverride ?? name
  return {
    metadata: { name: metadata.name, uid: metadata.uid, namespace: metadata.namespace ?? '', attempt: input.attempt },
    // In the machine's network a Pod has the machine's name.
    hostname: spec.hostNetwork ? '' : hostname,
    logDirectory: join(input.logRoot, logDirectoryName(pod)),
    dnsConfig: { servers: nameservers, searches, options },
    portMappings: spec.hostNetwork ? [] : portMappings(pod),
    labels: { ...metadata.labels, ...podLabels(pod) },
    annotations: annotationsOf(pod, input),
    linux: {
      // A runtime with a machine for each Pod has to know its size beforehand.
      ...(spec.runtimeClassName && { resources: limitsOfAll(pod) }),
      cgroupParent: cgroupOfPod(pod, input.cgroupParent),
      securityContext: sandboxSecurity(pod),
      sysctls: Object.fromEntries(
        (spec.securityContext?.sysctls ?? []).map(({ name, value }) => [dotted(name), value]),
      ),
    },
  }
}

function annotationsOf({ metadata }: PodObject, { netns }: SandboxInput): Record<string, string> {
  const { [netnsAnnotation]: _, ...own } = metadata.annotations ?? {}
  return { ...own, ...(netns && { [netnsAnnotation]: netns }) }
}

/** "net/ipv4/x" is "net.ipv4.x"; in a name that begins with dots, a slash stands for a dot of the name. */
export function dotted(name: string): string {
  const first = name.search(/[./]/)
  if (first < 0 || name[first] === '.') return name
  return name.replace(/[./]/g, (separator) => (separator === '/' ? '.' : '/'))
}

function portMappings(pod: PodObject) {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...sidecars, ...pod.spec.containers]
    .flatMap(({ ports }) => ports ?? [])
    .map((port) => ({
      protocol: protocol[(port.protocol ?? 'TCP') as keyof typeof protocol] ?? protocol.TCP,
      containerPort: port.containerPort,
      hostPort: port.hostPort ?? 0,
      hostIp: port.hostIP ?? '',
    }))
}

export interface ContainerInput {
  restartCount: number
  /** Image id. */
  image: string
  imageUser: ImageUser
  env: Map<string, string>
  /** Host path and mode of each volume of the Pod, by name. */
  volumes: Map<string, { path: string; readOnly: boolean }>
  /** Host path for each volumeMount with a subPath, by its index. */
  subPaths: Map<number, string>
  /** Files that Tandem keeps for the container. */
  hostsFile: string
  terminationMessageFile: string
  node: NodeFacts
  /** For an ephemeral container with a target. */
  targetId?: string
  /** RuntimeClass.handler of its sandbox. */
  handler?: string
}

export const defaultTerminationMessagePath = '/dev/termination-log'

/** @throws ContainerProblem for what the kubelet calls CreateContainerConfigError */
export function containerConfig(
  pod: PodObject,
  container: AnyContainer,
  input: ContainerInput,
): Encodable<typeof ContainerConfig> {
  const lookup = (name: string) => input.env.get(name)
  const expanded = (texts: string[] = []) => texts.map((text) => expand(text, lookup))
  return {
    metadata: { name: container.name, attempt: input.restartCount },
    image: { image: input.image },
    command: expanded(container.command),
    args: expanded(container.args),
    workingDir: container.workingDir ?? '',
    envs: [...input.env].map(([key, value]) => ({ key, value })),
    mounts: mounts(container, input),
    devices: devices(container, input),
    labels: { [labels.containerName]: container.name, ...podLabels(pod) },
    annotations: containerAnnotations(pod, container, input.restartCount),
    logPath: logPath(container.name, input.restartCount),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    linux: {
      resources: withKernel(input.handler ?? '', pod, cgroupLimits(pod, container, input.node.memoryBytes)),
      securityContext: containerSecurity(pod, container, { image: input.imageUser, targetId: input.targetId }),
    },
  }
}

function containerAnnotations(pod: PodObject, container: AnyContainer, restartCount: number): Record<string, string> {
  const grace = pod.spec.terminationGracePeriodSeconds
  return {
    [annotations.hash]: containerHash(container),
    [annotations.resources]: JSON.stringify({
      ...container.resources,
      bounds: boundsOf(container.resources as Resources | undefined, pod.spec.resources),
    }),
    [annotations.restartCount]: `${restartCount}`,
    [annotations.terminationMessagePath]: container.terminationMessagePath ?? defaultTerminationMessagePath,
    [annotations.terminationMessagePolicy]: container.terminationMessagePolicy ?? 'File',
    ...(grace !== undefined && { [annotations.gracePeriod]: `${grace}` }),
  }
}

function mounts(container: AnyContainer, input: ContainerInput): Encodable<typeof Mount>[] {
  const list = (container.volumeMounts ?? []).map((mount, index) => volumeMount(container, mount, index, input))
  const has = (path: string) => list.some(({ containerPath }) => containerPath === path)
  if (!has('/etc/hosts'))
    list.push({
      containerPath: '/etc/hosts',
      hostPath: input.hostsFile,
      readonly: (container as Container).securityContext?.readOnlyRootFilesystem === true,
    })
  const messagePath = container.terminationMessagePath ?? defaultTerminationMessagePath
  if (messagePath && !has(messagePath))
    list.push({ containerPath: messagePath, hostPath: input.terminationMessageFile })
  return list
}

function devices({ name, ...container }: AnyContainer, { volumes }: ContainerInput): Encodable<typeof Device>[] {
  return (container.volumeDevices ?? []).map((device) => {
    const volume = volumes.get(device.name)
    if (!volume)
      throw new ContainerProblem(
        'CreateContainerConfigError',
        `container ${name} uses volume "${device.name}", which the Pod does not have`,
      )
    return { containerPath: device.devicePath, hostPath: volume.path, permissions: volume.readOnly ? 'mr' : 'mrw' }
  })
}

function volumeMount(
  container: AnyContainer,
  mount: VolumeMount,
  index: number,
  input: ContainerInput,
): Encodable<typeof Mount> {
  const volume = input.volumes.get(mount.name)
  if (!volume)
    throw new ContainerProblem(
      'CreateContainerConfigError',
      `container ${container.name} mounts volume "${mount.name}", which the Pod does not have`,
    )
  if ((mount as { recursiveReadOnly?: string }).recursiveReadOnly === 'Enabled')
    throw new ContainerProblem(
      'CreateContainerConfigError',
      `volume "${mount.name}" requested recursive read-only mode, but it is not supported by the runtime`,
    )
  const mode = propagation[(mount.mountPropagation ?? 'None') as keyof typeof propagation]
  return {
    containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
    hostPath: input.subPaths.get(index) ?? volume.path,
    readonly: mount.readOnly === true || volume.readOnly,
    propagation: mode,
  }
}
