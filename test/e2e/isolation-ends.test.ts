// Ends in a micro-VM that nobody tells of, and beginnings whose end nobody waits for any more.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { run, startTandem, type TestTandem, until } from './tandem.fixture.ts'

let tandem: TestTandem

const pod = (name: string, script: string, container: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    runtimeClassName: 'microvm',
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'main', image: 'tandem.dev/busybox:1', command: ['sh', '-c', script], ...container }],
  },
})

const running = (name: string) =>
  tandem.kubectl('wait', '--for=jsonpath={.status.phase}=Running', `pod/${name}`, '--timeout=480s')

const statusOf = async (name: string) =>
  JSON.parse(await tandem.kubectl('get', 'pod', name, '-o', 'jsonpath={.status.containerStatuses[0]}'))

const containerOf = async (name: string): Promise<string> =>
  (await statusOf(name)).containerID.replace('containerd://', '')

/** Runs a program of the guest itself, outside of every container. */
async function asGuest(name: string, ...words: string[]) {
  const root = '/run/containerd/runc/k8s.io'
  return await run('runc', ['--root', root, 'exec', await containerOf(name), '/bin/reach', '-T', ...words])
}

async function inGuest(name: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await asGuest(name, ...words)
  assert.equal(code, 0, `${words.join(' ')}: ${stderr}`)
  return stdout.trim()
}

before(async () => {
  tandem = await startTandem({ images: ['busybox'] })
})

after(() => tandem?.close())

test('the end of a first process that waits in the kernel for what nobody collects', async () => {
  await tandem.apply(pod('hidden', 'until [ -e /tmp/end ]; do sleep 1; done; exit 7'))
  await running('hidden')
  const first = await inGuest('hidden', 'cat', `/pod/boot/${await containerOf('hidden')}.started`)
  // A process in its namespace whose parent is outside and stands still: nobody collects it.
  const entered = asGuest('hidden', 'nsenter', '-t', first, '-p', 'sleep', '1234')
  await until('it is there', async () => (await inGuest('hidden', 'ps')).includes('sleep 1234'))
  const parent = await inGuest('hidden', 'pidof', 'nsenter')
  await inGuest('hidden', 'kill', '-STOP', parent)
  await tandem.kubectl('exec', 'hidden', '--', 'touch', '/tmp/end')
  await until('its end is seen', async () => (await statusOf('hidden')).state.terminated?.exitCode === 7)
  await tandem.kubectl('delete', 'pod', 'hidden', '--timeout=300s')
  await entered
})

test('a probe that takes too long leaves nothing behind', async () => {
  const command = ['sh', '-c', 'echo >> /tmp/probes; exec sleep 1234']
  const readinessProbe = { exec: { command }, periodSeconds: 1, timeoutSeconds: 1 }
  await tandem.apply(pod('probed', 'sleep 100000', { readinessProbe }))
  await running('probed')
  const lines = async () => Number(await tandem.kubectl('exec', 'probed', '--', 'sh', '-c', 'cat /tmp/probes | wc -l'))
  await until('it was asked some times', async () => (await lines()) >= 4)
  const asking = async () => (await inGuest('probed', 'ps')).split('\n').filter((line) => line.includes('sleep 1234'))
  await until('at most one is left', async () => (await asking()).length <= 1)
})
