// Hostile images in every isolation: nothing of this machine is read or written. S1, S2: layers that lead out of the image;
// S5, S6: volumes, folders and devices that do; S7: users that are none.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type HostileImage, hostileImages } from './hostile-image.fixture.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

const busybox = 'tandem.dev/busybox:1'
const classes = ['runc', 'gvisor', 'microvm']
const secret = 'only-for-the-machine'
/** A machine that is emulated on a busy machine takes its time. */
const settleMs = 480_000

let tandem: TestTandem
/** A folder of this machine that nobody in a Pod may reach. */
let canary: string

before(async () => {
  canary = mkdtempSync(join(tmpdir(), 'tandem-canary-'))
  writeFileSync(join(canary, 'file'), secret)
  tandem = await startTandem({ images: ['busybox'] })
})

after(async () => {
  await tandem?.close()
  assert.deepEqual([readdirSync(canary), readFileSync(join(canary, 'file'), 'utf8')], [['file'], secret])
  rmSync(canary, { recursive: true })
})

const untouched = () =>
  assert.deepEqual([readdirSync(canary), readFileSync(join(canary, 'file'), 'utf8')], [['file'], secret])

const get = async (name: string) => JSON.parse(await tandem.kubectl('get', 'pod', name, '-o', 'json'))

const link = (name: string, linkName: string) => ({ name, flag: '2', linkName })
const deep = '../'.repeat(12).slice(0, -1)

/** S1, S2: what is taken as it is stays inside. */
const inside = (): HostileImage => ({
  name: 'inside',
  entries: [
    { name: `${deep}${canary}/written`, content: 'x' },
    { name: `${canary}/also-written`, content: 'x' },
    link('out', canary),
    { name: 'out/through', content: 'x' },
    { name: 'out/.wh.file' },
    { name: 'out/.wh..wh..opq' },
    { name: 'd/a', content: 'x' },
    link('d', canary),
    { name: 'd/swapped', content: 'x' },
    link('got', `${deep}${canary}/file`),
  ],
})

/** S1, S2: what nobody can want is not taken at all. */
const refused = (): HostileImage[] => [
  { name: 'hard-link', entries: [{ name: 'got', flag: '1', linkName: `${deep}${canary}/file` }] },
  { name: 'whiteout-parent', entries: [{ name: '.wh...' }] },
]

/** S5, S6. */
const attacks = (): HostileImage[] => [
  inside(),
  {
    name: 'volume',
    config: {
      Volumes: { [`/${deep}${canary}`]: {} },
      Labels: { 'io.cri-containerd.kind': 'sandbox', 'io.kubernetes.pod.uid': '1' },
    },
  },
  ...[7, 8].map((file) => ({ name: `work-dir-${file}`, config: { WorkingDir: `/proc/self/fd/${file}` } })),
  {
    name: 'devices',
    entries: ['dev/null', 'dev/console', 'dev/pts/0', 'dev/shm'].map((name) => link(name, `${canary}/file`)),
  },
  { name: 'dev', entries: [link('dev', canary)] },
  { name: 'proc', entries: [link('proc', canary)] },
]

/** S7: users that are none, or root in disguise. */
const users: Record<string, string> = {
  'uid-2-32': '4294967296',
  'uid-2-31': '2147483648',
  'uid-minus': '-1',
  'uid-name': 'nobody-knows',
}

const script = () => `cat file got /got ${canary}/file ${deep}${canary}/file; echo x > /dev/null; echo ran`

test('S1 S2 S5 S6 S7: images that reach out of themselves', async () => {
  const load = await hostileImages(tandem)
  for (const image of refused()) assert.equal((await load(image)).code, 1, image.name)
  const asUsers = Object.entries(users).map(([name, User]) => ({ name, config: { User } }))
  const loaded = await load(...attacks(), ...asUsers)
  assert.equal(loaded.code, 0, loaded.stderr)
  untouched()
  const containers = [
    ...attacks().map(({ name }) => ({
      name,
      image: `test.dev/${name}:1`,
      command: ['sh', '-c', script()],
      tty: name === 'devices',
    })),
    ...asUsers.map(({ name }) => ({
      name,
      image: `test.dev/${name}:1`,
      command: ['id'],
      securityContext: { runAsNonRoot: true },
    })),
  ]
  const pod = (runtimeClassName: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `image-${runtimeClassName}` },
    spec: { runtimeClassName, restartPolicy: 'Never', terminationGracePeriodSeconds: 0, containers },
  })
  await tandem.apply(classes.map(pod))
  for (const name of classes) await checkContainers(name)
  await tandem.kubectl('delete', 'pods', ...classes.map((name) => `image-${name}`))
})

async function checkContainers(name: string): Promise<void> {
  const statuses = async () => (await get(`image-${name}`)).status.containerStatuses ?? []
  await until(
    `all of ${name} ran or was refused`,
    async () => {
      const all = await statuses()
      return all.length > 0 && all.every(isSettled)
    },
    settleMs,
  )
  for (const { name: container, state } of await statuses()) {
    const where = `${container} in ${name}: ${JSON.stringify(state)}`
    if (container in users) assert.match(state.waiting?.message ?? '', /out of range|non-numeric user/, where)
    if (!state.terminated) continue
    const said = await tandem.kubectl('logs', `image-${name}`, '-c', container)
    assert.doesNotMatch(said, new RegExp(secret), where)
    if (state.terminated.exitCode === 0) assert.match(said, /ran/, where)
    // Of this runc, its links in /dev would be the machine's.
    if (container === 'dev' && name !== 'microvm') assert.match(state.terminated.message, /link in the place/, where)
    if (container === 'inside') assert.equal(state.terminated.exitCode, 0, where)
  }
  untouched()
}

const isSettled = ({ state: { terminated, waiting } }: { state: Record<string, { reason: string }> }): boolean =>
  terminated !== undefined || /^(Create\w*|RunContainer)Error$/.test(waiting?.reason ?? '')

test('S7: a user id that would wrap is refused by the API', async () => {
  for (const runAsUser of [4294967296, 2147483648, -1]) {
    const overrides = JSON.stringify({ spec: { securityContext: { runAsUser } } })
    const { code, stderr } = await tandem.tryKubectl(['run', 'no', '--image', busybox, '--overrides', overrides])
    assert.equal(code, 1)
    assert.match(stderr, /runAsUser: Invalid value/)
  }
})
