// Defaults and rules of Pods that a person meets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../../api/meta.ts'
import { defaultPod, imagePullPolicyFor } from './pod-defaults.ts'
import { validatePodSpec, validatePodUpdate } from './pod-rules.ts'
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
