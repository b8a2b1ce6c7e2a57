// `tandem demo` as a person runs it: the shop's page with rows out of the virtual machine; both halves find each other by
// name, and still do after a Pod was deleted. (After a reboot of a guest: virtual-machines.test.ts.)

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openShell } from './console.fixture.ts'
import { home, run, startTandem, type TestTandem, until } from './tandem.fixture.ts'

/** It builds two disk images, and then waits for up to ten minutes until both halves are ready. */
const demoMs = 2_400_000
const patient = { timeout: 2 * demoMs }

let tandem: TestTandem
let url = ''

before(async () => {
  tandem = await startTandem()
})
after(() => tandem?.close())

const demo = () =>
  run(`${home}/tandem`, ['demo', '--state-dir', tandem.stateDir, '--listen', `127.0.0.1:${tandem.port}`], {
    timeoutMs: demoMs,
  })

const addressOf = async (machine: string) =>
  await tandem.kubectl('get', 'vmi', machine, '-o', 'jsonpath={.status.interfaces[0].ipAddress}')

/** The page, when both the web site and the database answer. */
async function page(): Promise<string> {
  let text = ''
  await until('the shop answers', async () => {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => undefined)
    text = (await answer?.text().catch(() => '')) ?? ''
    return answer?.status === 200
  })
  return text
}

test('the demo ends with the page, whose rows came out of the machine', patient, async () => {
  const { code, stdout, stderr } = await demo()
  assert.equal(code, 0, stderr)
  assert.match(stdout, /Tandem, two seats +1290\.00/)
  assert.match(stdout, /machine db \(Linux \S+-cloud-amd64\)/)
  assert.match(stdout, /kubectl get vm/)
  url = /at (http:\/\/127\.0\.0\.1:\d+\/) says/.exec(stdout)![1]!
})

test('again, it changes nothing', patient, async () => {
  const versions = () =>
    tandem.kubectl('get', 'vm,deploy,svc,secret,cm,pvc', '-o', 'jsonpath={.items[*].metadata.resourceVersion}')
  // What the guest's agent says when it is up changes the machine's status, too: a run after that changes nothing.
  await tandem.kubectl('wait', '--for=condition=AgentConnected', 'vmi/db', '--timeout=300s')
  await until('a run changes nothing', async () => {
    const before = await versions()
    const { code, stderr } = await demo()
    assert.equal(code, 0, stderr)
    return (await versions()) === before
  })
})

test('the machine is a Pod to kubectl: get, exec, cp, logs', async () => {
  const selector = ['-l', 'vm.kubevirt.io/name=db']
  assert.match(await tandem.kubectl('get', 'pods', ...selector), /virt-launcher-db-\w{5} +1\/1 +Running +0 /)
  const asked = await tandem.tryKubectl([
    'exec',
    'db',
    '--',
    'sh',
    '-c',
    'hostname; echo "to $1" >&2; exit 3',
    'sh',
    'err',
  ])
  assert.deepEqual([asked.code, asked.stdout], [3, 'db\n'])
  assert.match(asked.stderr, /^to err\n/)
  assert.equal(
    (await tandem.tryKubectl(['exec', '-i', 'db', '--', 'cat'], 'through the guest')).stdout,
    'through the guest',
  )
  const there = join(tandem.stateDir, 'there')
  const back = join(tandem.stateDir, 'back')
  writeFileSync(there, randomBytes(300_000))
  await tandem.kubectl('cp', there, 'db:/tmp/copy')
  await tandem.kubectl('cp', 'db:/tmp/copy', back)
  assert.ok(readFileSync(back).equals(readFileSync(there)))
  await until('the guest asks who comes', async () => /login:/.test(await tandem.kubectl('logs', 'db', '--tail=200')))
  // One machine, counted once.
  const slices = ['get', 'endpointslices', '-l', 'kubernetes.io/service-name=db']
  assert.equal(
    await tandem.kubectl(...slices, '-o', 'jsonpath={.items[*].endpoints[*].targetRef.kind}'),
    'VirtualMachineInstance',
  )
})

test('wait, names in both directions, a deleted Pod', async () => {
  await tandem.kubectl('wait', '--for=condition=Ready', 'vmi/db', '--timeout=300s')
  const address = await addressOf('db')
  assert.match(await tandem.kubectl('exec', 'deploy/web', '--', 'getent', 'hosts', 'db'), /^10\./)

  const shell = await openShell(tandem.kubeconfig, 'db', { login: { user: 'debian', password: 'debian' } })
  assert.match(await shell.run('getent hosts web'), /^10\./)
  assert.match(await shell.run('curl -s http://web'), /Tandem, two seats/)

  const served = await tandem.kubectl('get', 'pods', '-l', 'component=web', '-o', 'jsonpath={.items[0].metadata.name}')
  await tandem.kubectl('delete', 'pod', served)
  await tandem.kubectl('rollout', 'status', 'deploy/web', '--timeout=300s')
  assert.match(await page(), /Tandem, two seats/)
  shell.close()
  assert.equal(await addressOf('db'), address)
})
