// Defaults and rules of Pods that a person meets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../../api/meta.ts'
import { defaultPod, imagePullPolicyFor } from './pod-defaults.ts'
import { validatePodSpec } from './pod-rules.ts'
import {
  mayRestart,
  narrowToResize,
  validateEphemeralUpdate,
  validatePodStatus,
  validatePodUpdate,
  validateResize,
} from './pod-update-rules.ts'
import { qosClassOf } from './resource-rules.ts'

const podOf = (spec: object): ApiObject => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec })
const lines = (spec: object) =>
  validatePodSpec(spec, 'spec').map(({ type, field, detail }) => `${field} ${type.slice(10)} ${detail}`.trim())

test('images without a tag or with the tag latest are always pulled', () => {
  const policies: [image: string, policy: string][] = [
    ['nginx', 'Always'],
    ['nginx:latest', 'Always'],
    ['nginx:1.27', 'IfNotPresent'],
    ['registry:5000/nginx', 'Always'],
    ['registry:5000/nginx:1', 'IfNotPresent'],
    [`nginx@sha256:${'0'.repeat(64)}`, 'IfNotPresent'],
  ]
  for (const [image, policy] of policies) assert.equal(imagePullPolicyFor(image), policy, image)
})

test('a limit without a request is a request', () => {
  const pod = podOf({
    containers: [{ name: 'a', resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } } }],
  })
  defaultPod(pod)
  assert.deepEqual(pod.spec.containers[0].resources.requests, { cpu: '500m', memory: '1Gi' })
})

test('a volume without a source is an empty directory', () => {
  const pod = podOf({ containers: [], volumes: [{ name: 'v' }, { name: 'w', secret: { secretName: 's' } }] })
  defaultPod(pod)
  assert.deepEqual(pod.spec.volumes, [
    { name: 'v', emptyDir: {} },
    { name: 'w', secret: { secretName: 's' } },
  ])
})

test('the class of service follows from requests and limits', () => {
  const classOf = (...resources: object[]) => qosClassOf({ containers: resources.map((one) => ({ resources: one })) })
  const full = { cpu: '1', memory: '1Gi' }
  assert.equal(classOf({}), 'BestEffort')
  assert.equal(classOf({ requests: { cpu: '0' } }), 'BestEffort')
  assert.equal(classOf({ requests: { cpu: '1' } }), 'Burstable')
  assert.equal(classOf({ limits: full }), 'Guaranteed')
  assert.equal(classOf({ limits: full, requests: { cpu: '1000m', memory: '1024Mi' } }), 'Guaranteed')
  assert.equal(classOf({ limits: full, requests: { cpu: '500m' } }), 'Burstable')
  assert.equal(classOf({ limits: full }, {}), 'Burstable')
})

test('what is wrong is said by field', () => {
  const container = { name: 'a', image: 'x' }
  const cases: [spec: object, problems: string[]][] = [
    [{ containers: [container] }, []],
    [{ containers: [] }, ['spec.containers Required']],
    [{ containers: [{ name: 'a' }] }, ['spec.containers[0].image Required']],
    [{ containers: [container, container] }, ['spec.containers[1].name Duplicate']],
    [
      { containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v' }] }] },
      ['spec.containers[0].volumeMounts[0].name NotFound'],
    ],
    [
      { containers: [{ ...container, resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } }] },
      ['spec.containers[0].resources.requests Invalid must be less than or equal to memory limit of 1Gi'],
    ],
    [
      { containers: [container], initContainers: [{ name: 'b', image: 'x', livenessProbe: {} }] },
      [
        'spec.initContainers[0].livenessProbe Forbidden may not be set for init containers without restartPolicy=Always',
      ],
    ],
    [
      { containers: [container], volumes: [{ name: 'v', hostPath: { path: '/a/../b' } }] },
      ["spec.volumes[0].hostPath.path Invalid must not contain '..'"],
    ],
    [
      { containers: [{ ...container, readinessProbe: { exec: { command: ['a'] }, tcpSocket: { port: 1 } } }] },
      ['spec.containers[0].readinessProbe.tcpSocket Forbidden may not specify more than 1 handler type'],
    ],
    // Without a system it is no Pod for Windows yet.
    [{ containers: [container], securityContext: { windowsOptions: { runAsUserName: 'x' } } }, []],
    [
      {
        os: { name: 'linux' },
        securityContext: { windowsOptions: {} },
        containers: [{ ...container, securityContext: { windowsOptions: {} } }],
      },
      [
        'spec.containers[0].securityContext.windowsOptions Forbidden windows options cannot be set for a linux pod',
        'spec.securityContext.windowsOptions Forbidden windows options cannot be set for a linux pod',
      ],
    ],
  ]
  for (const [spec, problems] of cases) assert.deepEqual(lines(spec), problems)
})

test('an update may change images, and little else', () => {
  const old = podOf({ containers: [{ name: 'a', image: 'x:1', imagePullPolicy: 'IfNotPresent' }], nodeName: 'n' })
  const change = (spec: object) => validatePodUpdate(podOf({ ...old.spec, ...spec }), old).map(({ field }) => field)
  assert.deepEqual(change({}), [])
  assert.deepEqual(change({ containers: [{ name: 'a', image: 'x:2', imagePullPolicy: 'IfNotPresent' }] }), [])
  assert.deepEqual(change({ tolerations: [{ key: 'k', operator: 'Exists' }] }), [])
  assert.deepEqual(change({ nodeName: 'm' }), ['spec'])
  assert.deepEqual(change({ hostNetwork: true }), ['spec'])
  assert.deepEqual(change({ containers: [] }), ['spec.containers'])
})

test('gates only go; behind one a Pod may be told more narrowly where to go', () => {
  const old = podOf({ containers: [], schedulingGates: [{ name: 'a' }, { name: 'b' }], nodeSelector: { disk: 'fast' } })
  const change = (spec: object) => validatePodUpdate(podOf({ ...old.spec, ...spec }), old).map(({ field }) => field)
  assert.deepEqual(change({ schedulingGates: [{ name: 'b' }] }), [])
  assert.deepEqual(change({ schedulingGates: [{ name: 'c' }] }), ['spec.schedulingGates'])
  assert.deepEqual(change({ nodeSelector: { disk: 'fast', zone: 'a' } }), [])
  assert.deepEqual(change({ nodeSelector: { zone: 'a' } }), ['spec.nodeSelector'])
  const terms = (nodeSelectorTerms: object[]) => ({
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
  })
  assert.deepEqual(change(terms([{ matchExpressions: [{ key: 'k', operator: 'Exists' }] }])), [])
})

test('ephemeral containers come, and neither go nor change', () => {
  const debug = { name: 'd', image: 'x' }
  const old = podOf({ containers: [{ name: 'a', image: 'x' }], ephemeralContainers: [debug] })
  const change = (...ephemeralContainers: object[]) =>
    validateEphemeralUpdate(podOf({ ...old.spec, ephemeralContainers }), old).map(({ detail }) => detail)
  assert.deepEqual(change({ name: 'e', image: 'x' }, debug), [])
  assert.deepEqual(change(), ['existing ephemeral containers "d" may not be removed'])
  assert.deepEqual(change({ ...debug, image: 'y' }), ['existing ephemeral containers "d" may not be changed'])
  assert.deepEqual(lines({ ...old.spec, ephemeralContainers: [{ ...debug, ports: [], targetContainerName: 'z' }] }), [
    'spec.ephemeralContainers[0].targetContainerName NotFound',
    'spec.ephemeralContainers[0].ports Forbidden cannot be set for an Ephemeral Container',
  ])
})

test('a resize changes amounts, not what the Pod is', () => {
  const resources = (cpu: string, memory = '1Gi') => ({
    requests: { cpu, memory },
    limits: { cpu: '2', memory: '1Gi' },
  })
  const old = podOf({ containers: [{ name: 'a', image: 'x', resources: resources('1') }], nodeName: 'n' })
  const resize = (container: object, more: object = {}) =>
    validateResize(podOf({ ...old.spec, containers: [{ name: 'a', image: 'x', ...container }], ...more }), old).map(
      ({ detail }) => detail,
    )
  assert.deepEqual(resize({ resources: resources('1500m') }), [])
  assert.deepEqual(resize({ resources: resources('2') }), ['Pod QOS Class may not change as a result of resizing'])
  assert.deepEqual(resize({ resources: { ...resources('1'), limits: { cpu: '2' } } }), [
    'resource limits cannot be removed',
  ])
  const disk = { ...resources('1'), requests: { cpu: '1', memory: '1Gi', 'ephemeral-storage': '1Gi' } }
  assert.deepEqual(resize({ resources: disk }), ['only cpu and memory resources are mutable'])
  const sent = { ...old.spec, nodeName: 'm', containers: [{ name: 'a', image: 'y', resources: resources('500m') }] }
  assert.deepEqual(narrowToResize(sent, old.spec), {
    ...old.spec,
    containers: [{ name: 'a', image: 'x', resources: resources('500m') }],
  })
})

test('who ended for good does not run again, whatever a status says', () => {
  const running = { containerStatuses: [{ name: 'a', state: { running: {} } }] }
  const problems = (policy: object, exitCode: number) => {
    const spec = { containers: [{ name: 'a', image: 'x' }], ...policy }
    const old = { ...podOf(spec), status: { containerStatuses: [{ name: 'a', state: { terminated: { exitCode } } }] } }
    return validatePodStatus({ ...podOf(spec), status: running }, old).length
  }
  assert.equal(problems({ restartPolicy: 'Never' }, 1), 1)
  assert.equal(problems({ restartPolicy: 'OnFailure' }, 1), 0)
  assert.equal(problems({ restartPolicy: 'OnFailure' }, 0), 1)
  assert.equal(problems({ restartPolicy: 'Always' }, 0), 0)
  const ruled = {
    restartPolicy: 'Never',
    restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
  }
  assert.equal(mayRestart(ruled, { restartPolicy: 'Always' }, 42), true)
  assert.equal(mayRestart(ruled, { restartPolicy: 'Always' }, 1), false)
})

test('resources of the Pod as a whole', () => {
  const container = { name: 'a', image: 'x', resources: { requests: { cpu: '2' } } }
  assert.deepEqual(lines({ containers: [container], resources: { requests: { cpu: '1' } } }), [
    'spec.resources.requests[cpu] Invalid must be greater than or equal to aggregate container requests of 2',
  ])
  const pod = podOf({ containers: [container], resources: { limits: { cpu: '4', memory: '1Gi' } } })
  defaultPod(pod)
  assert.deepEqual(pod.spec.resources.requests, { cpu: '2', memory: '1Gi' })
  assert.equal(qosClassOf({ ...pod.spec, resources: { limits: { cpu: '4', memory: '1Gi' } } }), 'Guaranteed')
})
