// What runs while Tandem is killed: workloads that stay for the whole run, and short-lived ones. All manifests are data.

import type { ApiObject, ResourceRef } from '../../src/api/meta.ts'
import { rootDisk, smallGuest } from './guest.fixture.ts'

export const namespace = 'default'

export const pods: ResourceRef = { group: '', version: 'v1', resource: 'pods' }
const services: ResourceRef = { group: '', version: 'v1', resource: 'services' }
export const configMaps: ResourceRef = { group: '', version: 'v1', resource: 'configmaps' }
export const deployments: ResourceRef = { group: 'apps', version: 'v1', resource: 'deployments' }
export const machines: ResourceRef = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachines' }
export const instances: ResourceRef = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }

export type Manifest = ApiObject & { metadata: { name: string; namespace: string } }

const image = 'tandem.dev/busybox:1'
const forever = 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'

/** Mounts of several kinds, for there to be something to forget. */
const volumes = [
  { name: 'memory', emptyDir: { medium: 'Memory' } },
  { name: 'settings', configMap: { name: 'settings' } },
]
const volumeMounts = [
  { name: 'memory', mountPath: '/memory' },
  { name: 'settings', mountPath: '/settings' },
]

const container = (name: string, script: string) => ({ name, image, command: ['sh', '-c', script], volumeMounts })

export const lastingPod = (name: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { app: name } },
  spec: {
    terminationGracePeriodSeconds: 1,
    volumes,
    containers: [
      {
        ...container('main', forever),
        livenessProbe: { exec: { command: ['true'] }, periodSeconds: 5, timeoutSeconds: 20 },
      },
      container('beside', forever),
    ],
  },
})

/** Ends by itself. */
export const shortPod = (name: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { runs: 'once' } },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 1,
    volumes,
    initContainers: [container('first', 'true')],
    containers: [container('main', 'sleep 0.5')],
  },
})

export const virtualMachine = (name: string): Manifest => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name, namespace },
  spec: {
    runStrategy: 'Always',
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        terminationGracePeriodSeconds: 1,
        ...smallGuest(rootDisk(), { name: 'seed', cloudInitNoCloud: { userData: '#cloud-config\n' } }),
      },
    },
  },
})

const web: Manifest = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'web', runs: 'replicas' } },
    template: {
      metadata: { labels: { app: 'web', runs: 'replicas' } },
      spec: { terminationGracePeriodSeconds: 1, volumes, containers: [container('main', forever)] },
    },
  },
}

/** There from the first round to the last. Pods and machines among them are called 'keeper', and never start again. */
export const lasting: [ResourceRef, Manifest][] = [
  [
    configMaps,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace }, data: { color: 'red' } },
  ],
  [
    services,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    },
  ],
  [deployments, web],
  [pods, lastingPod('keeper')],
  [machines, virtualMachine('keeper')],
]
