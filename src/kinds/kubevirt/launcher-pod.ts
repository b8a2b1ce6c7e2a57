// A virtual machine instance as the Pod that tools look for: KubeVirt runs each one in a Pod virt-launcher-<name>-<suffix>.
// Here no such Pod exists; it is what the instance looks like through a Pod's eyes. Pure. Names, labels, annotations:
// KubeVirt 1.9 (pkg/virt-controller/services/template.go).

import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { levelLabel } from '../isolation/levels.ts'
import { debugContainersOf, notedStatus } from './debug-containers.ts'
import { isReceiver, shutdownAnnotation } from './instance-marks.ts'

const prefix = 'virt-launcher-'
/** As generateName has them (apimachinery/pkg/util/rand). */
const letters = 'bcdfghjklmnpqrstvwxz2456789'
const suffixLength = 5
export const launcherContainer = 'compute'

/** FNV-1a: the same uid gives the same number everywhere. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0
  return value
}

function suffixOf(uid: string): string {
  let rest = hash(uid)
  let text = ''
  while (text.length < suffixLength) {
    text += letters[rest % letters.length]
    rest = Math.floor(rest / letters.length)
  }
  return text
}

export const launcherName = (name: string, uid: string): string => `${prefix}${name}-${suffixOf(uid)}`

/** The instance that a Pod of this name would show, if there is one. */
export function instanceNameOf(podName: string): string | undefined {
  if (!podName.startsWith(prefix)) return undefined
  const name = podName.slice(prefix.length, -(suffixLength + 1))
  return name && podName.at(-(suffixLength + 1)) === '-' ? name : undefined
}

/** Not the instance's own: the two are different objects to whoever keeps them by uid. */
const launcherUid = (uid: string): string => hash(uid).toString(16).padStart(8, '0') + uid.slice(8)

const isFinal = ({ status }: StoredObject): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed'

/** Undefined where KubeVirt has no Pod: while a migration is awaited, and once a Pod that was deleted has ended. */
export function launcherPod(instance: StoredObject): StoredObject | undefined {
  if (isReceiver(instance)) return undefined
  const leavesBy = instance.metadata.annotations?.[shutdownAnnotation]
  if (isFinal(instance) && (leavesBy || instance.metadata.deletionTimestamp)) return undefined
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadataOf(instance, leavesBy),
    spec: specOf(instance),
    status: statusOf(instance),
  }
}

/** What selectors of Services and policies see: of a Pod its own labels, of an instance those of its virt-launcher Pod. */
export function workloadLabels({ kind, metadata, status }: StoredObject): Record<string, string> {
  const { name, uid, labels = {} } = metadata
  if (kind === 'Pod') return labels
  return {
    ...labels,
    [levelLabel]: 'vm',
    'kubevirt.io': 'virt-launcher',
    'kubevirt.io/created-by': uid,
    // A label's value has at most 63 characters; a longer name is not to be looked for this way.
    ...(name.length <= 63 && { 'vm.kubevirt.io/name': name, 'vmi.kubevirt.io/id': name }),
    ...(status?.nodeName && { 'kubevirt.io/nodeName': status.nodeName }),
  }
}

function metadataOf(instance: StoredObject, leavesBy: string | undefined): StoredObject['metadata'] {
  const { metadata, spec } = instance
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = metadata
  const deletion = deletionTimestamp ?? leavesBy
  return {
    name: launcherName(name, uid),
    generateName: `${prefix}${name}-`,
    ...(namespace && { namespace }),
    uid: launcherUid(uid),
    resourceVersion,
    creationTimestamp,
    ...(deletion && { deletionTimestamp: deletion, deletionGracePeriodSeconds: graceOf(spec) }),
    labels: workloadLabels(instance),
    annotations: {
      'kubevirt.io/domain': name,
      'kubectl.kubernetes.io/default-container': launcherContainer,
    },
    ownerReferences: [
      {
        apiVersion: 'kubevirt.io/v1',
        kind: 'VirtualMachineInstance',
        name,
        uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  }
}

const graceOf = (spec: any): number => spec.terminationGracePeriodSeconds ?? 30

/** Of its volumes only the claims: who uses a claim is looked up in Pods. */
function specOf(instance: StoredObject): ApiObject['spec'] {
  const { metadata, spec, status } = instance
  const ephemeral = debugContainersOf(instance).map(({ container }) => container)
  const volumes: any[] = spec.volumes ?? []
  const claims = volumes.flatMap(({ name, persistentVolumeClaim, dataVolume, ephemeral }) => {
    const claimName =
      persistentVolumeClaim?.claimName ?? dataVolume?.name ?? ephemeral?.persistentVolumeClaim?.claimName
    return claimName ? [{ name, persistentVolumeClaim: { claimName } }] : []
  })
  const scheduling = [
    'nodeSelector',
    'affinity',
    'tolerations',
    'priorityClassName',
    'dnsPolicy',
    'dnsConfig',
    'subdomain',
  ]
  return {
    ...Object.fromEntries(scheduling.flatMap((name) => (spec[name] === undefined ? [] : [[name, spec[name]]]))),
    hostname: spec.hostname ?? metadata.name.split('.')[0]!.slice(0, 63),
    schedulerName: spec.schedulerName ?? 'default-scheduler',
    restartPolicy: 'Never',
    enableServiceLinks: false,
    terminationGracePeriodSeconds: graceOf(spec),
    ...(status?.nodeName && { nodeName: status.nodeName }),
    containers: [
      {
        name: launcherContainer,
        image: imageOf(volumes),
        imagePullPolicy: 'IfNotPresent',
        resources: resourcesOf(spec.domain),
        ...portsOf(spec.domain),
      },
    ],
    ...(ephemeral.length && { ephemeralContainers: ephemeral }),
    volumes: claims,
    readinessGates: [{ conditionType: unpaused }],
  }
}

const unpaused = 'kubevirt.io/virtual-machine-unpaused'

/** What it boots from, where that is an image. */
const imageOf = (volumes: any[]): string =>
  volumes.find(({ containerDisk }) => containerDisk)?.containerDisk.image ?? 'none'

/** A tenth of its processors, where it does not say more (KubeVirt's cpuAllocationRatio). */
export function cpuRequest({ cpu, resources }: any = {}): string {
  const cpus = (cpu?.cores ?? 1) * (cpu?.sockets ?? 1) * (cpu?.threads ?? 1)
  return `${resources?.requests?.cpu ?? `${cpus * 100}m`}`
}

/** What the machine counts for on its node. */
function resourcesOf(domain: any): object {
  const { resources = {}, memory } = domain ?? {}
  const requests = { cpu: cpuRequest(domain), ...(memory?.guest && { memory: memory.guest }), ...resources.requests }
  return { requests, ...(resources.limits && { limits: resources.limits }) }
}

function portsOf(domain: any): object {
  const interfaces: any[] = domain?.devices?.interfaces ?? []
  const ports = interfaces.flatMap(({ ports = [] }) =>
    ports.map(({ name, port, protocol = 'TCP' }: any) => ({ ...(name && { name }), containerPort: port, protocol })),
  )
  return ports.length ? { ports } : {}
}

const phases: Record<string, string> = {
  Running: 'Running',
  Succeeded: 'Succeeded',
  Failed: 'Failed',
  Unknown: 'Unknown',
}

function statusOf(instance: StoredObject): ApiObject['status'] {
  const { status = {}, metadata } = instance
  const conditions: any[] = status.conditions ?? []
  const of = (type: string) => conditions.find((one) => one.type === type)
  const addresses: string[] = status.interfaces?.[0]?.ipAddresses ?? []
  const phase = phases[status.phase] ?? 'Pending'
  const since = (name: string) =>
    status.phaseTransitionTimestamps?.find((one: any) => one.phase === name)?.phaseTransitionTimestamp
  const started = since('Running')
  const isReady = of('Ready')?.status === 'True'
  const condition = (type: string, holds: boolean, more: object = {}) => ({
    type,
    status: holds ? 'True' : 'False',
    lastProbeTime: null,
    lastTransitionTime: of('Ready')?.lastTransitionTime ?? metadata.creationTimestamp,
    ...more,
  })
  const ephemeral = debugContainersOf(instance).map(notedStatus)
  const unschedulable = of('PodScheduled')?.status === 'False' ? of('PodScheduled') : undefined
  return {
    phase,
    conditions: [
      condition(unpaused, phase === 'Running' && of('Paused')?.status !== 'True'),
      condition('Initialized', !unschedulable),
      condition('Ready', isReady, reasonOf(of('Ready'))),
      condition('ContainersReady', isReady, reasonOf(of('Ready'))),
      unschedulable ? condition('PodScheduled', false, reasonOf(unschedulable)) : condition('PodScheduled', true),
    ],
    ...(addresses[0] && { podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) }),
    startTime: metadata.creationTimestamp,
    ...(status.qosClass && { qosClass: status.qosClass }),
    ...(ephemeral.length && { ephemeralContainerStatuses: ephemeral }),
    containerStatuses: [
      {
        name: launcherContainer,
        image: imageOf(instance.spec.volumes ?? []),
        imageID: '',
        containerID: phase === 'Pending' ? '' : `qemu://${metadata.uid}`,
        ready: isReady,
        started: phase === 'Running',
        restartCount: 0,
        lastState: {},
        state: stateOf(phase, started, since(phase), of('Synchronized')),
      },
    ],
  }
}

const reasonOf = (condition: any): object =>
  condition?.status === 'False' && condition.reason ? { reason: condition.reason, message: condition.message } : {}

function stateOf(phase: string, startedAt: string | undefined, finishedAt: string | undefined, problem: any): object {
  if (phase === 'Running') return { running: { startedAt: startedAt ?? null } }
  if (phase !== 'Succeeded' && phase !== 'Failed') {
    const { reason = 'ContainerCreating', message } = problem?.status === 'False' ? problem : {}
    return { waiting: { reason, ...(message && { message }) } }
  }
  const [exitCode, reason] = phase === 'Succeeded' ? [0, 'Completed'] : [1, 'Error']
  return { terminated: { exitCode, reason, startedAt: startedAt ?? null, finishedAt: finishedAt ?? null } }
}
