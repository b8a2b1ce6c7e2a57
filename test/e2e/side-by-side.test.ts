// Two Tandems on one machine, with the same names in both: neither sees the other, and the end of one is nothing to the other.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { rootDisk, smallGuest } from './guest.fixture.ts'
import { isAlive, startTandem, type TestTandem, until } from './tandem.fixture.ts'

let tandems: TestTandem[] = []

const objects = (text: string) => [
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'web',
          image: 'tandem.dev/busybox:1',
          command: ['sh', '-c', `mkdir /www; echo ${text} > /www/index.html; exec httpd -f -p 80 -h /www`],
        },
      ],
    },
  },
  {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'db' },
    spec: {
      runStrategy: 'Always',
      template: {
        metadata: { labels: { app: 'db' } },
        spec: {
          ...smallGuest(rootDisk(), { name: 'seed', cloudInitNoCloud: { userData: '#cloud-config\n' } }),
          hostname: text,
        },
      },
    },
  },
  ...['web', 'db'].map((name) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 80 }] },
  })),
]

const names = ['one', 'two']

before(async () => {
  const images = ['busybox', 'minimal-vm']
  // One after the other where they share a cache of built images, at the same time where they only run.
  for (const _ of names) tandems.push(await startTandem({ images }))
  await Promise.all(tandems.map((tandem, index) => tandem.apply(objects(names[index]!))))
  for (const tandem of tandems) {
    // The machine, which is there: its instance comes some time after it.
    await tandem.kubectl('wait', '--for=condition=Ready', 'pod/web', 'vm/db', '--timeout=300s')
  }
})

after(async () => {
  await Promise.all(tandems.map((tandem) => tandem.close()))
})

async function answers(tandem: TestTandem, name: string): Promise<void> {
  const ask = (url: string) => tandem.tryKubectl(['exec', 'web', '--', 'timeout', '20', 'wget', '-qO-', url])
  await until(`the Pod of ${name} reaches its own VM`, async () => {
    return (await ask('http://db/')).stdout === `Hello from the VM ${name}\n`
  })
  await until(`the Pod of ${name} reaches itself`, async () => (await ask('http://web/')).stdout === `${name}\n`)
}

async function processes(tandem: TestTandem): Promise<number[]> {
  const uid = await tandem.kubectl('get', 'vmi', 'db', '-o', 'jsonpath={.metadata.uid}')
  const record = JSON.parse(readFileSync(join(tandem.stateDir, 'machines', uid, 'machine.json'), 'utf8'))
  return [tandem.pid(), record.process.pid]
}

test('the same names in both, each with its own address ranges', async () => {
  for (const [index, tandem] of tandems.entries()) await answers(tandem, names[index]!)
  const ranges = tandems.map(({ stateDir }) => JSON.parse(readFileSync(join(stateDir, 'settings.json'), 'utf8')))
  const all = ranges.flatMap(({ podCidr, serviceCidr }) => [podCidr, serviceCidr])
  assert.equal(new Set(all).size, 4, all.join(' '))
})

test('down --all of one leaves the other as it was', async () => {
  const [one, two] = tandems as [TestTandem, TestTandem]
  const before = await processes(two)
  const container = await two.kubectl('get', 'pod', 'web', '-o', 'jsonpath={.status.containerStatuses[0].containerID}')
  await one.close()
  tandems = [two]
  assert.deepEqual(await processes(two), before)
  assert.ok(before.every(isAlive))
  assert.equal(
    await two.kubectl('get', 'pod', 'web', '-o', 'jsonpath={.status.containerStatuses[0].containerID}'),
    container,
  )
  await answers(two, 'two')
})
