// The Pod Security Standards, alone and as a client meets them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchType, startServer } from '../../server.fixture.ts'
import type { PodLike } from './check.ts'
import { detailsOf, policyOf, type Standard, violationsOf } from './policy.ts'

const baseline: Standard = { level: 'baseline', version: 'latest' }
const restricted: Standard = { level: 'restricted', version: 'latest' }

const pod = (spec: object, annotations: Record<string, string> = {}): PodLike => ({ metadata: { annotations }, spec })
const told = (spec: object, standard = baseline, annotations?: Record<string, string>) =>
  detailsOf(violationsOf(pod(spec, annotations), standard))

const safe = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [{ name: 'c', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }],
}

test('baseline, check by check', () => {
  const cases: [object, string][] = [
    [
      { hostNetwork: true, hostPID: true, hostIPC: true },
      'host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)',
    ],
    [
      {
        containers: [
          { name: 'a', ports: [{ hostPort: 80 }] },
          { name: 'b', ports: [{ hostPort: 443 }] },
        ],
      },
      'hostPort (containers "a", "b" use hostPorts 443, 80)',
    ],
    [
      { initContainers: [{ name: 'i', securityContext: { privileged: true } }] },
      'privileged (container "i" must not set securityContext.privileged=true)',
    ],
    [
      { containers: [{ name: 'a', securityContext: { capabilities: { add: ['NET_ADMIN', 'CHOWN'] } } }] },
      'non-default capabilities (container "a" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      {
        volumes: [
          { name: 'h', hostPath: {} },
          { name: 'e', emptyDir: {} },
        ],
      },
      'hostPath volumes (volume "h")',
    ],
    [
      { securityContext: { seccompProfile: { type: 'Unconfined' } } },
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      {
        securityContext: { seLinuxOptions: { type: 'foo', user: 'u' } },
        containers: [{ name: 'a', securityContext: { seLinuxOptions: { role: 'r' } } }],
      },
      'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: type "foo"; user may not be set; role may not be set)',
    ],
    [
      { securityContext: { sysctls: [{ name: 'kernel.msgmax' }, { name: 'net.ipv4.tcp_rmem' }] } },
      'forbidden sysctls (kernel.msgmax)',
    ],
    [
      { containers: [{ name: 'a', securityContext: { procMount: 'Unmasked' } }] },
      'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
    ],
    [
      { containers: [{ name: 'a', livenessProbe: { httpGet: { host: '8.8.8.8' } } }] },
      'probe or lifecycle host (container "a" uses probe or lifecycle host "8.8.8.8")',
    ],
    [
      { securityContext: { windowsOptions: { hostProcess: true } } },
      'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)',
    ],
    [
      { containers: [{ name: 'a', securityContext: { appArmorProfile: { type: 'Unconfined' } } }] },
      'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")',
    ],
  ]
  for (const [spec, text] of cases) assert.equal(told(spec), text)
  assert.equal(told(safe), '')
})

test('restricted, check by check', () => {
  assert.equal(told(safe, restricted), '')
  assert.equal(
    told({ containers: [{ name: 'a' }, { name: 'b' }] }, restricted),
    'allowPrivilegeEscalation != false (containers "a", "b" must set securityContext.allowPrivilegeEscalation=false), ' +
      'unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"]), ' +
      'runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true), ' +
      'seccompProfile (pod or containers "a", "b" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  )
  assert.equal(
    told(
      {
        ...safe,
        volumes: [
          { name: 'h', hostPath: {} },
          { name: 'n', nfs: {} },
        ],
      },
      restricted,
    ),
    'restricted volume types (volumes "h", "n" use restricted volume types "hostPath", "nfs")',
  )
  assert.equal(
    told({ ...safe, securityContext: { ...safe.securityContext, runAsUser: 0 } }, restricted),
    'runAsUser=0 (pod must not set runAsUser=0)',
  )
})

test('an older version of a standard asks for less, a newer one knows more', () => {
  const at = (version: string): Standard => ({ level: 'baseline', version })
  const sysctls = { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem' }] } }
  assert.equal(told(sysctls, at('v1.31')), 'forbidden sysctls (net.ipv4.tcp_rmem)')
  assert.equal(told(sysctls, at('v1.32')), '')
  const probe = { containers: [{ name: 'a', livenessProbe: { tcpSocket: { host: 'x' } } }] }
  assert.equal(told(probe, at('v1.33')), '')
  assert.notEqual(told(probe, at('v1.34')), '')
  const old = { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' }
  assert.match(told({}, at('v1.18'), old), /forbidden annotation seccomp.*="unconfined"/)
  assert.equal(told({}, at('v1.19'), old), '')
})

test('the labels of a namespace', () => {
  const label = (mode: string, value: string) => ({ [`pod-security.kubernetes.io/${mode}`]: value })
  assert.deepEqual(policyOf({}).policy.enforce, { level: 'privileged', version: 'latest' })
  assert.deepEqual(policyOf(label('enforce', 'baseline')).policy.warn, { level: 'baseline', version: 'latest' })
  const { policy, errors } = policyOf({ ...label('enforce', 'loose'), ...label('warn-version', '1.3') })
  assert.equal(policy.enforce.level, 'restricted')
  assert.equal(policy.warn.level, 'privileged')
  assert.deepEqual(
    errors.map(({ detail }) => detail),
    ['must be one of privileged, baseline, restricted', 'must be "latest" or "v1.x"'],
  )
})

test('Pods are refused, templates are warned of, and Pods that are there are told of', async () => {
  const tandem = await startServer()
  const { ok, call, refused } = tandem
  const inside = '/api/v1/namespaces/locked'
  const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' }
  await ok('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'locked', labels } })
  await ok('POST', `${inside}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  const spec = (more: object = {}) => ({ containers: [{ name: 'c', image: 'i' }], ...more })
  const one = (name: string, more?: object) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: spec(more),
  })
  await ok('POST', `${inside}/pods`, one('plain'))
  assert.equal(
    await refused(403, 'POST', `${inside}/pods`, one('host', { hostNetwork: true })),
    'pods "host" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
  )
  const template = { metadata: { labels: { a: 'b' } }, spec: spec({ hostNetwork: true }) }
  const made = await call('POST', '/apis/apps/v1/namespaces/locked/deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: { selector: { matchLabels: { a: 'b' } }, template },
  })
  assert.equal(made.status, 201)
  assert.deepEqual(
    made.warnings?.filter((text) => text.includes('PodSecurity')),
    ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'],
  )
  const stricter = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } }
  const changed = await call('PATCH', '/api/v1/namespaces/locked', stricter, patchType('merge'))
  assert.deepEqual(changed.warnings, [
    'existing pods in namespace "locked" violate the new PodSecurity enforce level "restricted:latest"',
    'plain: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile',
  ])
  assert.match(
    await refused(
      422,
      'PATCH',
      '/api/v1/namespaces/locked',
      { metadata: { labels: { 'pod-security.kubernetes.io/warn': 'x' } } },
      patchType('merge'),
    ),
    /must be one of privileged, baseline, restricted/,
  )
})
