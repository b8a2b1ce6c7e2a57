// The restricted standard: the best that is known of how to run a container without trust
// (pod-security-admission/policy, 1.36).

import { badSeccomp, unmaskedProc } from './baseline.ts'
import {
  type Check,
  containersOf,
  hasOwnUsers,
  isWindows,
  named,
  namesWhere,
  plural,
  quoted,
  setters,
  sorted,
} from './check.ts'

/** From this version on, Pods for Windows are left out of what Windows does not have. */
const windowsFrom = 25
const exempt = (pod: Parameters<Check['check']>[0], minor: number): boolean => minor >= windowsFrom && isWindows(pod)

const allowPrivilegeEscalation: Check = {
  id: 'allowPrivilegeEscalation',
  since: 8,
  check(pod, minor) {
    if (exempt(pod, minor)) return undefined
    const names = namesWhere(pod, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false)
    if (names.length === 0) return undefined
    return {
      reason: 'allowPrivilegeEscalation != false',
      detail: `${named(names)} must set securityContext.allowPrivilegeEscalation=false`,
    }
  },
}

const capabilities: Check = {
  id: 'capabilities_restricted',
  since: 22,
  replaces: 'capabilities_baseline',
  check(pod, minor) {
    if (exempt(pod, minor)) return undefined
    const added = ({ securityContext }: any): string[] =>
      (securityContext?.capabilities?.add ?? []).filter((one: string) => one !== 'NET_BIND_SERVICE')
    const keeping = namesWhere(pod, ({ securityContext }) => !securityContext?.capabilities?.drop?.includes('ALL'))
    const adding = namesWhere(pod, (container) => added(container).length > 0)
    const details = []
    if (keeping.length > 0) details.push(`${named(keeping)} must set securityContext.capabilities.drop=["ALL"]`)
    if (adding.length > 0) {
      const list = quoted(sorted(containersOf(pod).flatMap(added)))
      details.push(`${named(adding)} must not include ${list} in securityContext.capabilities.add`)
    }
    return details.length > 0 ? { reason: 'unrestricted capabilities', detail: details.join('; ') } : undefined
  },
}

const procMount: Check = { id: 'procMount_restricted', since: 35, replaces: 'procMount', check: unmaskedProc }

const allowedVolumes = [
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim'],
  ...['projected', 'secret'],
]
const knownVolumes = [
  ...['hostPath', 'gcePersistentDisk', 'awsElasticBlockStore', 'gitRepo', 'nfs', 'iscsi', 'glusterfs', 'rbd'],
  ...['flexVolume', 'cinder', 'cephfs', 'flocker', 'fc', 'azureFile', 'vsphereVolume', 'quobyte', 'azureDisk'],
  ...['photonPersistentDisk', 'portworxVolume', 'scaleIO', 'storageos'],
]

const volumeTypes: Check = {
  id: 'restrictedVolumes',
  since: 0,
  replaces: 'hostPathVolumes',
  check({ spec }) {
    const volumes: any[] = spec.volumes ?? []
    const bad = volumes.filter((volume) => !allowedVolumes.some((type) => volume[type]))
    if (bad.length === 0) return undefined
    const types = sorted(bad.map((volume) => knownVolumes.find((type) => volume[type]) ?? 'unknown'))
    const names = bad.map(({ name }) => name)
    const uses = plural('uses', names.length, 'use')
    return {
      reason: 'restricted volume types',
      detail: `${named(names, 'volume')} ${uses} ${plural('restricted volume type', types.length)} ${quoted(types)}`,
    }
  },
}

const runAsNonRoot: Check = {
  id: 'runAsNonRoot',
  since: 0,
  check(pod, minor) {
    if (minor >= 35 && hasOwnUsers(pod)) return undefined
    const of = ({ securityContext }: any): boolean | undefined => securityContext?.runAsNonRoot
    const who = setters(
      of(pod.spec) === false,
      namesWhere(pod, (container) => of(container) === false),
    )
    if (who !== '')
      return { reason: 'runAsNonRoot != true', detail: `${who} must not set securityContext.runAsNonRoot=false` }
    if (of(pod.spec) === true) return undefined
    const silent = namesWhere(pod, (container) => of(container) === undefined)
    if (silent.length === 0) return undefined
    return {
      reason: 'runAsNonRoot != true',
      detail: `pod or ${named(silent)} must set securityContext.runAsNonRoot=true`,
    }
  },
}

const runAsUser: Check = {
  id: 'runAsUser',
  since: 23,
  check(pod, minor) {
    if (minor >= 35 && hasOwnUsers(pod)) return undefined
    const root = ({ securityContext }: any): boolean => securityContext?.runAsUser === 0
    const who = setters(root(pod.spec), namesWhere(pod, root))
    return who === '' ? undefined : { reason: 'runAsUser=0', detail: `${who} must not set runAsUser=0` }
  },
}

const seccompProfile: Check = {
  id: 'seccompProfile_restricted',
  since: 19,
  replaces: 'seccompProfile_baseline',
  check(pod, minor) {
    if (exempt(pod, minor)) return undefined
    const bad = badSeccomp(pod, minor)
    if (bad || pod.spec.securityContext?.seccompProfile) return bad
    const silent = namesWhere(pod, ({ securityContext }) => !securityContext?.seccompProfile)
    if (silent.length === 0) return undefined
    return {
      reason: 'seccompProfile',
      detail: `pod or ${named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
    }
  },
}

/** In the order in which their violations are told. */
export const restrictedChecks: readonly Check[] = [
  allowPrivilegeEscalation,
  capabilities,
  procMount,
  volumeTypes,
  runAsNonRoot,
  runAsUser,
  seccompProfile,
]
