// Who may be in the network of a machine, and how that is asked for.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { debugContainersAnnotation } from '../../../kinds/kubevirt/debug-containers.ts'
import { namespaceMode } from '../cri/messages.ts'
import { podOf } from '../pod.fixture.ts'
import { sandboxConfig } from '../spec.ts'
import { besideRuntime, netnsAnnotation, netnsOfMachine } from './beside-machine.ts'

const owner = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance', name: 'db', uid: 'u' }
const pod = (annotations: object = { 'tandem.dev/beside-machine': 'db' }, spec: object = {}) =>
  podOf(spec, { annotations, ownerReferences: [owner] })

const rooms = (listed: string, netns?: string) =>
  ({
    client: {
      get: async () => ({
        metadata: {
          name: 'db',
          uid: 'u',
          annotations: { [debugContainersAnnotation]: JSON.stringify([{ container: { name: 'look' }, pod: listed }]) },
        },
      }),
    },
    network: { machineNamespace: () => netns },
  }) as unknown as Parameters<typeof netnsOfMachine>[0]

test('only a Pod that the instance lists is in its network', async () => {
  assert.equal(await netnsOfMachine(rooms('web', '/run/netns/x'), pod()), '/run/netns/x')
  await assert.rejects(netnsOfMachine(rooms('other', '/run/netns/x'), pod()), /"db" does not list this Pod/)
  await assert.rejects(netnsOfMachine(rooms('web'), pod()), /has no network/)
  const isolated = pod(undefined, { runtimeClassName: 'gvisor' })
  await assert.rejects(netnsOfMachine(rooms('web', '/run/netns/x'), isolated), /in no other isolation/)
})

test('its sandbox is asked for without a network, and is told of the namespace by nobody else', () => {
  const resolver = { nameservers: [], searches: [], options: [] }
  const input = { attempt: 0, resolver, clusterDomain: 'cluster.local', cgroupParent: '/t', logRoot: '/logs' }
  const beside = sandboxConfig(pod(), { ...input, netns: '/run/netns/x' })
  assert.equal(beside.linux?.securityContext?.namespaceOptions?.network, namespaceMode.node)
  assert.equal(beside.annotations?.[netnsAnnotation], '/run/netns/x')
  const liar = sandboxConfig(pod({ [netnsAnnotation]: '/run/netns/y' }), input)
  assert.equal(liar.linux?.securityContext?.namespaceOptions?.network, namespaceMode.pod)
  assert.equal(liar.annotations?.[netnsAnnotation], undefined)
})

test('a sandbox whose namespace is not there does not start', (t) => {
  const bundle = mkdtempSync(join(tmpdir(), 'beside-'))
  t.after(() => rmSync(bundle, { recursive: true }))
  const program = String(besideRuntime().options!.BinaryName)
  for (const netns of [
    '',
    '"tandem.dev/netns":"/proc/self/ns/net",',
    '"tandem.dev/netns":"/run/netns/tandem-0-none",',
  ]) {
    const text = `{"annotations":{${netns}"io.kubernetes.cri.container-type":"sandbox"},"linux":{"namespaces":[{"type":"pid"}]}}`
    writeFileSync(join(bundle, 'config.json'), text)
    const run = () => execFileSync(program, ['--root', '/x', 'create', '--bundle', bundle, 'id'], { stdio: 'pipe' })
    assert.throws(run, /the network namespace of the virtual machine is not there/)
  }
})
