// What the platform adds to a new Pod: its service account and that account's token volume (ServiceAccount), the
// overhead of its runtime class (RuntimeClass), its priority (Priority) and how long it bears a sick node
// (DefaultTolerationSeconds). Names and numbers from plugin/pkg/admission, 1.36.

import { generatedName } from '../../api/names.ts'
import { limitsOfRuntime, resizeLimitOf } from '../../kinds/node/runtime-limits.ts'
import { readinessOf, reasonOf } from '../../kinds/node/runtime-readiness.ts'
import { forbiddenObject } from '../auth/authz.ts'
import { type AdmissionPlugin, type AdmissionRequest, isCore } from './admission.ts'
import type { Lookup } from './lookup.ts'

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount'
/** Odd on purpose upstream: lets a kubelet see that the token is one of these. */
const tokenSeconds = 3607

const refuse = (request: AdmissionRequest, text: string) => forbiddenObject('', 'pods', request.name, text)

const creates = (request: AdmissionRequest): boolean => request.operation === 'CREATE' && isCore(request, 'pods')

/** Mirror pods are a node's own and get nothing. */
const isMirror = (request: AdmissionRequest): boolean =>
  request.object?.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined

export const serviceAccounts = (lookup: Lookup): AdmissionPlugin => ({
  name: 'ServiceAccount',
  resources: ['pods'],
  admit(request) {
    if (!creates(request) || isMirror(request)) return
    const spec = request.object!.spec ?? {}
    if (!spec.serviceAccountName) spec.serviceAccountName = 'default'
    // The old name of the field is kept equal for clients that still read it.
    spec.serviceAccount = spec.serviceAccountName
    if (!lookup.serves('', 'serviceaccounts')) return
    const account = lookup.get('', 'serviceaccounts', request.namespace, spec.serviceAccountName)
    if (!account) {
      const name = `${request.namespace}/${spec.serviceAccountName}`
      throw refuse(
        request,
        `error looking up service account ${name}: serviceaccount "${spec.serviceAccountName}" not found`,
      )
    }
    const automount = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true
    if (automount) mountToken(spec)
    if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
      spec.imagePullSecrets = structuredClone(account.imagePullSecrets)
  },
})

function mountToken(spec: Record<string, any>): void {
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])]
  const needing = containers.filter(
    (container) =>
      !(container.volumeMounts ?? []).some((mount: { mountPath: string }) => mount.mountPath === mountPath),
  )
  if (needing.length === 0) return
  const existing = (spec.volumes ?? []).find((volume: { name: string }) => volume.name?.startsWith('kube-api-access-'))
  const name = existing?.name ?? generatedName('kube-api-access-')
  if (!existing) spec.volumes = [...(spec.volumes ?? []), accessVolume(name)]
  for (const container of needing)
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }]
}

const accessVolume = (name: string) => ({
  name,
  projected: {
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
    ],
  },
})

export const runtimeClasses = (lookup: Lookup): AdmissionPlugin => ({
  name: 'RuntimeClass',
  resources: ['pods'],
  admit(request) {
    if (!creates(request)) return
    const spec = request.object!.spec ?? {}
    const name = spec.runtimeClassName
    if (!name) return
    const found = lookup.get('node.k8s.io', 'runtimeclasses', '', name)
    if (!found) throw refuse(request, `pod rejected: RuntimeClass "${name}" not found`)
    const overhead = found.overhead?.podFixed
    if (overhead) {
      if (spec.overhead && JSON.stringify(spec.overhead) !== JSON.stringify(overhead))
        throw refuse(request, "pod rejected: Pod overhead doesn't match RuntimeClass overhead")
      spec.overhead = structuredClone(overhead)
    }
    schedulingOf(request, spec, found.scheduling)
  },
  validate(request) {
    const { operation, resource, subresource, object } = request
    const name = object?.spec?.runtimeClassName
    if (!name || resource.groupResource !== 'pods') return
    const checked = operation === 'UPDATE' && (subresource === 'ephemeralcontainers' || subresource === 'resize')
    if (operation !== 'CREATE' && !checked) return
    const found = lookup.get('node.k8s.io', 'runtimeclasses', '', name)
    if (!found) return
    const fixed = subresource === 'resize' && resizeLimitOf(found.handler ?? '')
    if (fixed) throw refuse(request, `RuntimeClass "${name}": ${fixed}`)
    if (operation === 'CREATE' && readinessOf(found) === 'False')
      throw refuse(request, `pod rejected: RuntimeClass "${name}" is not ready: ${reasonOf(found)}`)
    const [limit] = limitsOfRuntime(found.handler ?? '', object?.spec ?? {})
    if (limit) throw refuse(request, `pod rejected: RuntimeClass "${name}": ${limit}`)
  },
})

function schedulingOf(
  request: AdmissionRequest,
  spec: Record<string, any>,
  scheduling: Record<string, any> | undefined,
): void {
  for (const [key, value] of Object.entries(scheduling?.nodeSelector ?? {})) {
    const own = spec.nodeSelector?.[key]
    if (own !== undefined && own !== value)
      throw refuse(
        request,
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
      )
    spec.nodeSelector = { ...spec.nodeSelector, [key]: value }
  }
  if (scheduling?.tolerations)
    spec.tolerations = mergeTolerations(spec.tolerations ?? [], structuredClone(scheduling.tolerations))
}

type Toleration = { key?: string; operator?: string; value?: string; effect?: string; tolerationSeconds?: number }

/** Those that another one includes are left out (pkg/util/tolerations). */
function mergeTolerations(own: Toleration[], more: Toleration[]): Toleration[] {
  const all = [...own, ...more]
  return all.filter(
    (one, index) =>
      !all.some((other, at) => at !== index && includes(other, one) && (at < index || !includes(one, other))),
  )
}

function includes(wide: Toleration, narrow: Toleration): boolean {
  if (JSON.stringify(wide) === JSON.stringify(narrow)) return true
  if (wide.key !== narrow.key && (wide.key || wide.operator !== 'Exists')) return false
  if (wide.effect && wide.effect !== narrow.effect) return false
  if (wide.effect === 'NoExecute' && wide.tolerationSeconds !== undefined) {
    if (narrow.tolerationSeconds === undefined || narrow.tolerationSeconds > wide.tolerationSeconds) return false
  }
  if (wide.operator === 'Exists') return true
  return (narrow.operator ?? 'Equal') === 'Equal' && (wide.value ?? '') === (narrow.value ?? '')
}

const systemClasses = new Map([
  ['system-cluster-critical', 2_000_000_000],
  ['system-node-critical', 2_000_001_000],
])

const findDefault = (lookup: Lookup) =>
  lookup
    .list('scheduling.k8s.io', 'priorityclasses')
    .filter((one) => one.globalDefault === true)
    .sort((a, b) => a.value - b.value)[0]

export const priorities = (lookup: Lookup): AdmissionPlugin => ({
  name: 'Priority',
  resources: ['pods', 'priorityclasses.scheduling.k8s.io'],
  validate({ operation, resource, object, name }) {
    if (resource.groupResource !== 'priorityclasses.scheduling.k8s.io' || !object?.globalDefault) return
    if (operation !== 'CREATE' && operation !== 'UPDATE') return
    const known = findDefault(lookup)
    if (known && known.metadata.name !== name)
      throw forbiddenObject(
        resource.group,
        resource.plural,
        name,
        `PriorityClass ${known.metadata.name} is already marked as default. Only one default can exist`,
      )
  },
  admit(request) {
    if (!creates(request)) return
    const spec = request.object!.spec ?? {}
    let value = 0
    let policy = 'PreemptLowerPriority'
    const name = spec.priorityClassName
    if (name) {
      const found = lookup.get('scheduling.k8s.io', 'priorityclasses', '', name)
      if (!found && !systemClasses.has(name)) throw refuse(request, `no PriorityClass with name ${name} was found`)
      value = found?.value ?? systemClasses.get(name)
      policy = found?.preemptionPolicy ?? policy
    } else {
      const preset = findDefault(lookup)
      if (preset) {
        spec.priorityClassName = preset.metadata.name
        value = preset.value
        policy = preset.preemptionPolicy ?? policy
      }
    }
    if (spec.priority !== undefined && spec.priority !== value)
      throw refuse(
        request,
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
      )
    if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy)
      throw refuse(
        request,
        `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
      )
    spec.priority = value
    spec.preemptionPolicy = policy
  },
})

const sick = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']

export const defaultTolerations: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  resources: ['pods'],
  admit(request) {
    // Also of an update: who sends a list of their own does not lose these.
    if (!isCore(request, 'pods') || request.operation === 'DELETE') return
    const spec = request.object!.spec ?? {}
    for (const key of sick) {
      const borne = (spec.tolerations ?? []).some(
        (one: { key?: string; effect?: string }) =>
          (!one.key || one.key === key) && (!one.effect || one.effect === 'NoExecute'),
      )
      if (borne) continue
      const toleration = { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }
      spec.tolerations = [...(spec.tolerations ?? []), toleration]
    }
  },
}
