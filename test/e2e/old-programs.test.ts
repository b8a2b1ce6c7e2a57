// A node whose programs have known holes: it is NotReady with what to do, takes no Pod, and is Ready again as soon as the
// program is newer (threat S27: a VMM or runtime below the version that closes a hole).

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

const programs = mkdtempSync(join(tmpdir(), 'tandem-old-'))
let tandem: TestTandem

/** Says that it is another version than it is. */
const qemuSays = (version: string) =>
  writeFileSync(
    join(programs, 'qemu-system-x86_64'),
    `#!/bin/sh\n[ "$1" = --version ] && exec echo 'QEMU emulator version ${version}'\nPATH=\${PATH#*:} exec qemu-system-x86_64 "$@"\n`,
    { mode: 0o755 },
  )

const condition = async (type: string): Promise<{ status: string; reason: string; message: string }> => {
  const [node] = JSON.parse(await tandem.kubectl('get', 'nodes', '-o', 'json')).items
  return node.status.conditions.find((one: { type: string }) => one.type === type)
}

before(async () => {
  qemuSays('7.2.0 (Debian 1:7.2+dfsg-7)')
  process.env.PATH = `${programs}:${process.env.PATH}`
  tandem = await startTandem()
})
after(async () => {
  await tandem?.close()
  rmSync(programs, { recursive: true })
})

test('an old QEMU makes the node NotReady, by name and with what to do', async () => {
  const ready = await until('the node tells of it', async () => {
    const told = await condition('Ready')
    return told?.reason === 'OutdatedRuntime' && told
  })
  assert.equal(ready.status, 'False')
  assert.match(ready.message, /^qemu-system-x86_64 7\.2\.0 has CVE-2024-3446 .*: update it \(apt-get install/)
  assert.equal((await condition('KnownVulnerabilities')).status, 'True')
  // The scheduler goes by the taint, which follows the condition.
  await until('the node is tainted', async () =>
    (await tandem.kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].spec.taints[*].key}')).includes('not-ready'),
  )
  assert.match(await tandem.kubectl('get', 'nodes'), / NotReady /)
  await tandem.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'waits' },
    spec: { containers: [{ name: 'main', image: 'tandem.dev/pause:1' }] },
  })
  const { message } = await until('the scheduler has looked', async () => {
    const { status } = JSON.parse(await tandem.kubectl('get', 'pod', 'waits', '-o', 'json'))
    return status.conditions?.find(({ reason }: { reason?: string }) => reason === 'Unschedulable')
  })
  assert.match(
    message,
    /^0\/1 nodes are available: 1 node\(s\) had untolerated taint \{node\.kubernetes\.io\/not-ready/,
  )
})

test('a newer one makes it Ready, and the Pod that waited runs', async () => {
  qemuSays('7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)')
  await tandem.kubectl('wait', 'nodes', '--all', '--for=condition=Ready', '--timeout=300s')
  await tandem.kubectl('wait', 'pod/waits', '--for=condition=Ready', '--timeout=300s')
})
