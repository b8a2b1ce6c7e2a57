// The same Pod in three isolations, chosen by one field: runc, on this machine's kernel, gVisor, and a machine of its own.
// Everything that a Pod promises holds in all of them.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { home, kubectlOf, start, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const image = 'tandem.dev/busybox:1'
let tandem: TestTandem
const names = ['plain', 'guarded', 'own']

const script = `
mkdir -p /www; hostname > /www/index.html
trap 'echo gentle > /claim/last; exit 3' TERM
httpd -f -p 80 -h /www &
echo ready; while true; do sleep 1; done`

/** A line that does not end, and lines that do not: what its log costs is for the log's keeper to bound. */
const floods = 'timeout 1 yes endless | tr -d "\\n"; timeout 1 yes line; exec sleep 1000'

/** Two containers, an init container, volumes of each sort, probes. */
const pod = (name: string, runtimeClassName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'web' } },
  spec: {
    runtimeClassName,
    terminationGracePeriodSeconds: 20,
    securityContext: { fsGroup: 3000 },
    initContainers: [
      {
        name: 'first',
        image,
        command: ['sh', '-c', 'echo prepared > /data/a'],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    containers: [
      {
        name: 'web',
        image,
        command: ['sh', '-c', script],
        readinessProbe: { httpGet: { path: '/', port: 80 }, periodSeconds: 1, timeoutSeconds: 10 },
        livenessProbe: { exec: { command: ['test', '-e', '/data/a'] }, periodSeconds: 20, timeoutSeconds: 60 },
        resources: { limits: { memory: '64Mi' } },
        securityContext: { allowPrivilegeEscalation: false },
        volumeMounts: [
          { name: 'data', mountPath: '/data' },
          { name: 'settings', mountPath: '/settings' },
          { name: 'claim', mountPath: '/claim', subPath: name },
          { name: 'claim', mountPath: '/all' },
        ],
      },
      {
        name: 'side',
        image,
        command: ['sh', '-c', floods],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [
      { name: 'data', emptyDir: {} },
      {
        name: 'settings',
        projected: { sources: [{ configMap: { name: 'settings' } }, { secret: { name: 'password' } }] },
      },
      { name: 'claim', persistentVolumeClaim: { claimName: 'claim' } },
    ],
  },
})

const ends = (runtimeClassName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'ends' },
  spec: {
    runtimeClassName,
    restartPolicy: 'Never',
    containers: [{ name: 'main', image, command: ['sh', '-c', 'echo over > /dev/termination-log; exit 42'] }],
  },
})

before(async () => {
  tandem = await startTandem({ images: ['busybox'] })
  await tandem.apply([
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { color: 'red' } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'password' }, stringData: { word: 'hidden' } },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'claim' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Mi' } } },
    },
    pod('plain', 'runc'),
    pod('guarded', 'gvisor'),
    pod('own', 'microvm'),
    ends('gvisor'),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    },
  ])
  // What gVisor and the machine need is fetched with the first Pod that wants it.
  await tandem.kubectl('wait', '--for=condition=Ready', ...names.map((name) => `pod/${name}`), '--timeout=480s')
})

after(() => tandem?.close())

const inside = (name: string, ...command: string[]) => tandem.kubectl('exec', name, '-c', 'web', '--', ...command)

test('one field chooses the kernel', async () => {
  assert.equal((await inside('plain', 'uname', '-r')).trim(), release())
  assert.notEqual((await inside('guarded', 'uname', '-r')).trim(), release())
  assert.match(await inside('guarded', 'dmesg'), /gVisor/)
  assert.match(await inside('own', 'cat', '/proc/version'), /Linux version .*-cloud-amd64/)
  assert.notEqual((await inside('own', 'uname', '-r')).trim(), release())
  assert.equal((await inside('own', 'hostname')).trim(), 'own')
  assert.equal((await inside('guarded', 'hostname')).trim(), 'guarded')
  const classes = await tandem.kubectl('get', 'runtimeclass')
  assert.match(classes, /^NAME +HANDLER +READY +REASON +AGE/)
  await until('the class says that it was tried', async () =>
    /^gvisor +runsc +True +tried/m.test(await tandem.kubectl('get', 'runtimeclass')),
  )
  const ready =
    "jsonpath={.items[0].metadata.labels['tandem\\.dev/runtime\\.gvisor']} {.items[0].status.runtimeHandlers[*].name}"
  await until('so does the node', async () =>
    /^true .*\brunsc\b/.test(await tandem.kubectl('get', 'node', '-o', ready)),
  )
})

test('a Service balances over all', async () => {
  // Many requests for one exec: into an emulated machine that takes a second or two.
  const script = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do timeout 20 wget -qO- http://web/; done'
  for (const from of names) {
    const seen = new Set<string>()
    await until(`${from} reaches all`, async () => {
      const { stdout } = await tandem.tryKubectl(['exec', from, '-c', 'side', '--', 'sh', '-c', script])
      for (const line of stdout.split('\n')) seen.add(line)
      return names.every((name) => seen.has(name))
    })
  }
})

test('volumes, exec, logs, cp and the second container', async () => {
  for (const name of names) {
    assert.equal(await inside(name, 'cat', '/data/a', '/settings/color', '/settings/word'), 'prepared\nredhidden')
    assert.match(await inside(name, 'sh', '-c', 'echo kept > /claim/f; ls -n /claim/f'), / 3000 /)
    assert.match(await tandem.kubectl('logs', name, '-c', 'web'), /^ready$/m)
    const answer = await tandem.tryKubectl(['exec', '-i', name, '-c', 'side', '--', 'sh', '-c', 'cat; exit 7'], 'typed')
    assert.deepEqual([answer.code, answer.stdout], [7, 'typed'])
    const local = await tandem.kubectl(
      'exec',
      name,
      '-c',
      'side',
      '--',
      'timeout',
      '60',
      'wget',
      '-qO-',
      'http://127.0.0.1/',
    )
    assert.equal(local.trim(), name)
    await copies(name)
  }
})

test('a terminal has the size of who sits at it, and his keys', async () => {
  const env = { ...process.env, KUBECONFIG: tandem.kubeconfig, HOME: tandem.stateDir }
  const script =
    'until [ "$(stty size)" = "33 77" ]; do sleep 0.1; done; [ -t 0 ] && echo sized; read line; echo "<$line>"; exit 5'
  for (const name of names) {
    const exec = `stty rows 33 cols 77; ${kubectlOf('trixie')} exec -it ${name} -c side -- sh -c '${script}'`
    const person = start('script', ['-qec', exec, '/dev/null'], env)
    await until(`${name} has a terminal of that size`, () => person.output.includes('sized') || person.ended)
    person.child.stdin.write('hello\r')
    await until('it has ended', () => person.ended)
    assert.match(person.output, /<hello>/, name)
    assert.equal(person.child.exitCode, 5, person.output)
  }
})

async function copies(name: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-cp-'))
  try {
    writeFileSync(join(folder, 'there'), `for ${name}\n`)
    await tandem.kubectl('cp', join(folder, 'there'), `${name}:/data/copied`, '-c', 'side')
    await tandem.kubectl('cp', `${name}:/data/copied`, join(folder, 'back'), '-c', 'web')
    assert.equal(readFileSync(join(folder, 'back'), 'utf8'), `for ${name}\n`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test('S8: no open files, no inheritable capabilities; system calls are filtered and no rights are gained', async () => {
  for (const name of names) {
    const told = await inside(
      name,
      'sh',
      '-c',
      'cat /proc/1/status; echo; cat /proc/self/status; echo; ls /proc/self/fd',
    )
    const [first, entered, files] = told.split('\n\n')
    for (const status of [first, entered]) {
      const of = (field: string) => new RegExp(`^${field}:\\s*(\\w+)$`, 'm').exec(status ?? '')?.[1]
      assert.match(of('CapInh') ?? '', /^0+$/, name)
      // gVisor does not tell the one, and what is entered it filters as itself: by its own calls to this machine.
      if (name !== 'guarded') assert.equal(of('NoNewPrivs'), '1', name)
      if (name !== 'guarded' || status === first) assert.equal(of('Seccomp'), '2', name)
    }
    assert.equal(files?.trim(), '0\n1\n2\n3', name)
  }
})

test('S22: floods and claims of another address harm nobody', async () => {
  const address = async (name: string) =>
    (await tandem.kubectl('get', 'pod', name, '-o', 'jsonpath={.status.podIP}')).trim()
  for (const [at, name] of names.entries()) {
    const victim = names[(at + 1) % names.length]!
    const ip = await address(victim)
    const claims = `for i in 1 2 3 4 5; do arping -U -c 1 -w 1 -I eth0 ${ip}; ip addr add ${ip}/32 dev eth0; done; true`
    await tandem.kubectl('exec', name, '-c', 'side', '--', 'sh', '-c', claims)
    const answer = await fetch(`http://${ip}/`, { signal: AbortSignal.timeout(120_000) })
    assert.equal(await answer.text(), `${victim}\n`, `${victim}, whose address ${name} has claimed`)
    const last = await tandem.kubectl('logs', name, '-c', 'side', '--tail=1', '--limit-bytes=100')
    assert.ok(last.length <= 100)
  }
  const residentKiB = Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${tandem.pid()}/status`, 'utf8'))?.[1])
  assert.ok(residentKiB < 800_000, `Tandem takes ${residentKiB} KiB`)
})

test('port-forward and kubectl top', async () => {
  const env = { ...process.env, KUBECONFIG: tandem.kubeconfig, HOME: tandem.stateDir }
  for (const name of ['guarded', 'own']) {
    const forward = start(kubectlOf('trixie'), ['port-forward', `pod/${name}`, ':80'], env)
    try {
      await until('the port is there', () => /127\.0\.0\.1:\d+/.test(forward.output))
      const [, port] = /127\.0\.0\.1:(\d+)/.exec(forward.output)!
      const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(120_000) })
      assert.equal(await answer.text(), `${name}\n`)
    } finally {
      forward.child.kill()
    }
  }
  assert.match(await tandem.kubectl('top', 'pod', 'guarded', '--containers'), /guarded +web +\d+m +\d+Mi/)
  // All of the machine counts: its kernel alone takes more than a client does.
  assert.match(await tandem.kubectl('top', 'pod', 'own'), /own +\d+m +\d{3,}Mi/)
})

test('tandem compare measures the same image in several isolations, and takes away what it made', async () => {
  const { code, stdout, stderr } = await tandem.tandem(
    'compare',
    image,
    '--only',
    'runc,gvisor',
    '--warm',
    '1',
    '-o',
    'json',
  )
  assert.equal(code, 0, stderr)
  const { isolations } = JSON.parse(stdout)
  assert.deepEqual(
    isolations.map(({ name, level }: { name: string; level: string }) => [name, level]),
    [
      ['runc', 'container'],
      ['gvisor', 'sandboxed'],
    ],
  )
  const [runc, gvisor] = isolations
  assert.equal(runc.kernel, release())
  assert.notEqual(gvisor.kernel, release())
  for (const one of isolations) {
    assert.deepEqual(
      [one.problem, one.problems.calls, one.problems.write, one.problems.read],
      [undefined, undefined, undefined, undefined],
    )
    for (const number of [
      one.cold.answerMs,
      one.warm[0].answerMs,
      one.memoryBytes,
      one.systemCallNs,
      one.writeBytesPerSecond,
    ])
      assert.ok(number > 0, stdout)
    assert.ok(one.cold.answerMs > one.cold.runningMs)
  }
  // gVisor's kernel counts.
  assert.ok(gvisor.memoryBytes > runc.memoryBytes)
  const left = () => tandem.kubectl('get', 'namespaces', '-o', 'name')
  assert.doesNotMatch(await left(), /tandem-compare/)
  const interrupted = start(process.execPath, [
    join(home, 'src/main.ts'),
    'compare',
    image,
    '--only',
    'runc',
    '--state-dir',
    tandem.stateDir,
  ])
  await until('it has begun', () => /cold start/.test(interrupted.output))
  interrupted.child.kill('SIGINT')
  await until('it has ended', () => interrupted.ended)
  assert.equal(interrupted.child.exitCode, 130)
  assert.doesNotMatch(await left(), /tandem-compare/)
  assert.doesNotMatch(interrupted.output, /^error/m)
})

test('exit codes and last words', async () => {
  await until('it has ended', async () =>
    /Failed/.test(await tandem.kubectl('get', 'pod', 'ends', '-o', 'jsonpath={.status.phase}')),
  )
  const state = 'jsonpath={.status.containerStatuses[0].state.terminated}'
  const { exitCode, message } = JSON.parse(await tandem.kubectl('get', 'pod', 'ends', '-o', state))
  assert.deepEqual([exitCode, message], [42, 'over\n'])
  await tandem.kubectl('delete', 'pod', 'ends')
})

test('what cannot be is refused by name', async () => {
  const refused: [object, RegExp][] = [
    [{ runtimeClassName: 'wasm' }, /RuntimeClass "wasm" is not ready: .* is missing: install/],
    [
      { runtimeClassName: 'gvisor', shareProcessNamespace: true },
      /spec\.shareProcessNamespace cannot be had with gVisor/,
    ],
    [{ runtimeClassName: 'none-such' }, /RuntimeClass "none-such" not found/],
  ]
  for (const [spec, text] of refused) {
    const overrides = JSON.stringify({ spec })
    const { code, stderr } = await tandem.tryKubectl(['run', 'no', '--image', image, '--overrides', overrides])
    assert.equal(code, 1)
    assert.match(stderr, text)
  }
})

test('they run on while Tandem does not, and stop gently', async () => {
  const started =
    'jsonpath={.items[*].status.containerStatuses[*].state.running.startedAt} {.items[*].status.containerStatuses[*].restartCount}'
  const lives = () => tandem.kubectl('get', 'pods', ...names, '-o', started)
  const before = await lives()
  await tandem.kill()
  await tandem.up()
  assert.equal(await lives(), before)
  assert.match(await inside('guarded', 'dmesg'), /gVisor/)
  assert.equal((await inside('own', 'hostname')).trim(), 'own')
  // What they write at the end is on the claim: they were not killed.
  await tandem.kubectl('delete', 'pod', 'guarded', 'own')
  for (const name of ['guarded', 'own'])
    await until(`plain sees the end of ${name}`, async () => {
      const { stdout } = await tandem.tryKubectl(['exec', 'plain', '-c', 'web', '--', 'cat', `/all/${name}/last`])
      return stdout === 'gentle\n'
    })
})
