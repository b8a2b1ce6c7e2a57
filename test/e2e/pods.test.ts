// Pods for real: containerd, runc, CNI, cgroups. Run as root: node --test --test-isolation=none test/e2e/pods.test.ts

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoredObject } from '../../src/api/meta.ts'
import type { ExecSession, LogOptions } from '../../src/api/streams.ts'
import { retry } from '../../src/base/retry.ts'
import { run as runProgram } from '../../src/host/exec.ts'
import type { PodObject } from '../../src/host/pods/pod.ts'
import { createPods, type Pods } from '../../src/host/pods/pods.ts'
import { removeContainer, removeSandbox } from '../../src/host/pods/remove.ts'
import { sandboxConfig } from '../../src/host/pods/spec.ts'
import { workloadContract } from '../../src/host/workload.contract.ts'
import { type Driving, drive, isReady } from './pods.driving.ts'
import { busybox, type Machine, openMachine, podObject, shell } from './pods.fixture.ts'

let machine: Machine
let pods: Pods
let driving: Driving

before(async () => {
  machine = await openMachine()
  pods = createPods(machine.options())
  await pods.start()
  driving = drive(pods)
})

after(async () => {
  await pods.stop()
  await machine.close()
  const left = execFileSync('sh', [
    '-c',
    'cat /proc/self/mountinfo; ip -br link; find /sys/fs/cgroup -maxdepth 3 -name "tandem-*"',
  ]).toString()
  assert.ok(!left.includes(machine.root), 'a mount was left behind')
  assert.ok(!left.includes(machine.options().cgroupParent), 'a cgroup was left behind')
  assert.equal(existsSync(machine.paths.containerd.run), false)
})

const refOf = ({ metadata }: StoredObject) => ({
  uid: metadata.uid,
  namespace: metadata.namespace ?? '',
  name: metadata.name,
})
const logs = (pod: StoredObject, options: LogOptions = {}) =>
  text(pods.podLogs(refOf(pod), options, new AbortController().signal))

async function gone(pod: StoredObject, graceSeconds?: number): Promise<void> {
  driving.delete(pod, graceSeconds)
  await until(() => pods.stopped(pod.metadata.uid))
  await pods.remove(refOf(pod))
}

async function until(done: () => boolean | Promise<boolean>, timeoutMs = 120_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !(await done()); await sleep(5))
    if (Date.now() > end) throw new Error('it did not happen in time')
}

async function run(pod: StoredObject, command: string[], input?: string) {
  const stdin = input !== undefined
  const session: ExecSession = await pods.podExec(refOf(pod), {
    command,
    stdin,
    stdout: true,
    stderr: true,
    tty: false,
  })
  const output = Promise.all([text(session.stdout!), text(session.stderr!)])
  if (input) await session.stdin!.write(new TextEncoder().encode(input))
  if (stdin) session.stdin!.end()
  const [stdout, stderr] = await output
  return { stdout, stderr, exit: await session.exit }
}

const started = async (spec: object, name?: string): Promise<StoredObject> => {
  const pod = podObject(spec, name)
  driving.add(pod)
  await driving.until(pod, isReady)
  return pod
}

const forever = 'trap "exit 0" TERM; while :; do sleep 0.1; done'
/** Each answer may take as long as a busy machine takes for it. */
const often = { periodSeconds: 1, timeoutSeconds: 30 }

test('a Pod runs with its environment, files, limits and guards', async () => {
  machine.api.set('configmaps/settings', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {},
    data: { mode: 'shop' },
  } as never)
  machine.api.set('services/db', {
    metadata: { name: 'db', namespace: 'default' },
    spec: { clusterIP: '10.96.1.2', ports: [{ port: 5432, protocol: 'TCP' }] },
  } as never)
  const pod = await started({
    volumes: [{ name: 'data' }],
    hostAliases: [{ ip: '192.0.2.7', hostnames: ['legacy'] }],
    securityContext: {
      runAsUser: 1000,
      runAsGroup: 1000,
      fsGroup: 2000,
      sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '80' }],
    },
    containers: [
      shell(forever, {
        args: [],
        env: [
          { name: 'MODE', valueFrom: { configMapKeyRef: { name: 'settings', key: 'mode' } } },
          { name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'BOTH', value: '$(MODE)-$(DB_SERVICE_HOST)-$$(X)' },
          { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
        ],
        workingDir: '/tmp',
        volumeMounts: [
          { name: 'data', mountPath: '/data', subPath: 'deep/er' },
          { name: 'data', mountPath: '/all', readOnly: true },
        ],
        resources: { requests: { cpu: '100m' }, limits: { memory: '64Mi', cpu: '500m' } },
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          readOnlyRootFilesystem: true,
        },
      }),
    ],
  })
  const script = [
    'echo $MODE $WHO $BOTH $MEM; pwd; id -u; id -G; cat /etc/resolv.conf; cat /etc/hosts; hostname',
    'grep -E "NoNewPrivs|CapEff|Seccomp:" /proc/self/status; echo word > /data/file; cat /all/deep/er/file',
    'cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/self/cgroup; touch /x',
  ].join('; ')
  const { stdout, stderr, exit } = await run(pod, ['sh', '-c', script])
  const podIP = driving.object(pod).status.podIP
  for (const expected of [
    `shop ${pod.metadata.name} shop-10.96.1.2-$(X) 64\n/tmp\n1000\n`,
    '1000 2000',
    'nameserver 10.96.0.10',
    'search default.svc.cluster.local',
    `${podIP}\t${pod.metadata.name}`,
    '192.0.2.7\tlegacy',
    'NoNewPrivs:\t1',
    'CapEff:\t0000000000000000',
    'Seccomp:\t2',
    'word\n80\n',
    machine.options().cgroupParent,
  ])
    assert.ok(stdout.includes(expected), `${JSON.stringify(expected)} is missing in ${stdout}`)
  assert.match(stderr, /touch: \/x: Read-only file system/)
  assert.deepEqual(exit, { kind: 'exited', code: 1 })
  const cgroup = /memory:(.*)/.exec(stdout)?.[1]
  if (cgroup)
    assert.equal(readFileSync(`/sys/fs/cgroup/memory${cgroup}/memory.limit_in_bytes`, 'utf8').trim(), `${64 * 2 ** 20}`)
  await gone(pod)
  assert.deepEqual(await pods.found(), [])
})

test('exec: stdin ends, exit codes arrive, a missing program is told', async () => {
  const pod = await started({ containers: [shell(forever)] })
  assert.equal((await run(pod, ['cat'], 'in and out')).stdout, 'in and out')
  const big = 'x'.repeat(1_000_000)
  assert.equal((await run(pod, ['cat'], big)).stdout.length, big.length)
  assert.deepEqual((await run(pod, ['sh', '-c', 'exit 7'])).exit, { kind: 'exited', code: 7 })
  const { exit } = await run(pod, ['no-such-program'])
  assert.equal(exit.kind, 'failed')
  assert.match((exit as { message: string }).message, /no-such-program/)
  const tty = await pods.podExec(refOf(pod), {
    command: ['sh', '-c', 'stty size; tty'],
    stdin: true,
    stdout: true,
    stderr: true,
    tty: true,
  })
  tty.resize(101, 33)
  assert.match(await text(tty.stdout!), /\/dev\/pts\/0/)
  assert.deepEqual(await tty.exit, { kind: 'exited', code: 0 })
  await gone(pod)
})

test('attach reads what the container says and types into it', async () => {
  const pod = await started({ containers: [shell('while read line; do echo "heard $line"; done', { stdin: true })] })
  const session = await pods.podAttach(refOf(pod), { stdin: true, stdout: true, stderr: true, tty: false })
  await session.stdin!.write(new TextEncoder().encode('hello\n'))
  for await (const chunk of session.stdout!) {
    assert.equal(Buffer.from(chunk).toString(), 'heard hello\n')
    break
  }
  session.close()
  await gone(pod)
})

test('port-forward reaches a listener on 127.0.0.1; a closed port is refused in words', async () => {
  const serve = 'echo answer > /tmp/index.html; httpd -p 127.0.0.1:8080 -h /tmp'
  const readinessProbe = { exec: { command: ['wget', '-q', '-O-', 'http://127.0.0.1:8080'] }, ...often }
  const pod = await started({ containers: [shell(`${serve}; ${forever}`, { readinessProbe })] })
  const channel = await pods.podPortForward(refOf(pod), 8080)
  await channel.write(new TextEncoder().encode('GET / HTTP/1.0\r\n\r\n'))
  assert.match(await text(channel.readable), /200 OK.*answer\n$/s)
  await assert.rejects(pods.podPortForward(refOf(pod), 9), /refused/)
  await gone(pod)
})

test('a crashing container waits, counts, and keeps its last log', async () => {
  const pod = podObject({ containers: [shell('echo life; echo words > /dev/termination-log; exit 3')] })
  driving.add(pod)
  const status = await driving.until(
    pod,
    (now) => now.containerStatuses?.[0].state.waiting?.reason === 'CrashLoopBackOff',
  )
  const [container] = status.containerStatuses
  assert.equal(container.restartCount, 1)
  assert.equal(container.lastState.terminated.exitCode, 3)
  assert.equal(container.lastState.terminated.reason, 'Error')
  assert.equal(container.lastState.terminated.message, 'words\n')
  assert.equal(status.phase, 'Running')
  assert.match(container.state.waiting.message, /^back-off 10s restarting failed container=main pod=pod-/)
  assert.match(await logs(pod, { previous: true }), /^life\n$/)
  assert.ok(machine.events.some((event) => event.includes('BackOff Back-off restarting failed container main')))
  await gone(pod)
})

test('restartPolicy OnFailure and Never end in phases', async () => {
  const good = podObject({ restartPolicy: 'OnFailure', containers: [shell('exit 0')] })
  const bad = podObject({ restartPolicy: 'Never', containers: [shell('exit 2')] })
  driving.add(good)
  driving.add(bad)
  assert.equal(
    (await driving.until(good, ({ phase }) => phase === 'Succeeded')).containerStatuses[0].state.terminated.reason,
    'Completed',
  )
  assert.equal(
    (await driving.until(bad, ({ phase }) => phase === 'Failed')).containerStatuses[0].state.terminated.exitCode,
    2,
  )
  await Promise.all([gone(good), gone(bad)])
})

test('init containers run in order before the others; sidecars stay', async () => {
  const pod = await started({
    volumes: [{ name: 'data' }],
    initContainers: [
      { ...shell('echo one >> /data/order', { volumeMounts: [{ name: 'data', mountPath: '/data' }] }), name: 'one' },
      {
        ...shell(`echo side >> /data/order; ${forever}`, { volumeMounts: [{ name: 'data', mountPath: '/data' }] }),
        name: 'side',
        restartPolicy: 'Always',
      },
      { ...shell('echo two >> /data/order', { volumeMounts: [{ name: 'data', mountPath: '/data' }] }), name: 'two' },
    ],
    containers: [
      shell(`echo main >> /data/order; ${forever}`, { volumeMounts: [{ name: 'data', mountPath: '/data' }] }),
    ],
  })
  const { stdout } = await run(pod, ['cat', '/data/order'])
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .filter((word) => word !== 'side'),
    ['one', 'two', 'main'],
  )
  const { initContainerStatuses } = driving.object(pod).status
  assert.equal(initContainerStatuses[0].state.terminated.reason, 'Completed')
  assert.ok(initContainerStatuses[1].state.running)
  const waiting = driving.history(pod).find(({ containerStatuses }) => containerStatuses[0].state.waiting)
  assert.equal(waiting.containerStatuses[0].state.waiting.reason, 'PodInitializing')
  await gone(pod)
})

test('probes: not ready until asked well, restarted when dead', async () => {
  const period = { ...often, failureThreshold: 1 }
  const pod = podObject({
    containers: [
      shell(`touch /tmp/live; httpd -p 80 -h /tmp; ${forever}`, {
        readinessProbe: { exec: { command: ['cat', '/tmp/ready'] }, ...period },
        livenessProbe: { exec: { command: ['cat', '/tmp/live'] }, ...period },
        startupProbe: { tcpSocket: { port: 'web' }, ...period, failureThreshold: 60 },
        ports: [{ name: 'web', containerPort: 80 }],
      }),
    ],
  })
  driving.add(pod)
  const becomesReady = async (restarts: number) => {
    const asked = (status: any) => {
      const [{ restartCount, started }] = status.containerStatuses
      return status.phase === 'Running' && restartCount === restarts && started
    }
    assert.ok(!isReady(await driving.until(pod, asked)))
    await run(pod, ['touch', '/tmp/ready'])
    await driving.until(pod, isReady)
  }
  await becomesReady(0)
  await run(pod, ['rm', '/tmp/live'])
  await becomesReady(1)
  assert.ok(machine.events.some((event) => /Warning Unhealthy Liveness probe failed: cat: can't open/.test(event)))
  assert.ok(
    machine.events.some((event) => event.includes('Killing Container main failed liveness probe, will be restarted')),
  )
  await gone(pod)
})

test('hooks run; a process that ignores SIGTERM is killed when the grace is over', async () => {
  const pod = await started({
    volumes: [{ name: 'data', hostPath: { path: machine.root } }],
    containers: [
      shell('trap "" TERM; while :; do sleep 0.1; done', {
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
        lifecycle: {
          postStart: { exec: { command: ['sh', '-c', 'echo up >> /data/hooks'] } },
          preStop: { exec: { command: ['sh', '-c', 'echo down >> /data/hooks'] } },
        },
      }),
    ],
  })
  const begin = Date.now()
  // The hook has its time, too.
  driving.delete(pod, 5)
  await until(() => pods.stopped(pod.metadata.uid))
  assert.ok(Date.now() - begin >= 4000 && Date.now() - begin < 60_000, `took ${Date.now() - begin} ms`)
  await driving.until(pod, ({ containerStatuses }) => containerStatuses[0].state.terminated?.exitCode === 137)
  assert.equal(readFileSync(join(machine.root, 'hooks'), 'utf8'), 'up\ndown\n')
  await pods.remove(refOf(pod))
})

test('impatience wins: a second delete with less grace', async () => {
  const pod = await started({ containers: [shell('trap "" TERM; while :; do sleep 0.1; done')] })
  const begin = Date.now()
  driving.delete(pod, 600)
  await sleep(300)
  assert.equal(pods.stopped(pod.metadata.uid), false)
  driving.delete(pod, 0)
  await until(() => pods.stopped(pod.metadata.uid))
  assert.ok(Date.now() - begin < 60_000)
  await pods.remove(refOf(pod))
})

test('activeDeadlineSeconds ends a Pod', async () => {
  const pod = podObject({ activeDeadlineSeconds: 1, containers: [shell(forever)] })
  driving.add(pod)
  const status = await driving.until(pod, ({ phase }) => phase === 'Failed')
  assert.equal(status.reason, 'DeadlineExceeded')
  await gone(pod)
})

test("the machine's network, and an ephemeral container that sees another's processes", async () => {
  const pod = await started({ hostNetwork: true, containers: [shell(forever)] })
  assert.equal(driving.object(pod).status.podIP, '192.0.2.1')
  // Of others who work on this machine, interfaces come and go.
  const before = readdirSync('/sys/class/net')
  const links = (await run(pod, ['ls', '/sys/class/net'])).stdout.split(/\s+/)
  const after = new Set(readdirSync('/sys/class/net'))
  for (const name of before) assert.ok(links.includes(name) || !after.has(name), `${name} is not seen`)
  const object = driving.object(pod)
  driving.add({
    ...object,
    spec: {
      ...object.spec,
      ephemeralContainers: [{ ...shell('ps; sleep 100'), name: 'debug', targetContainerName: 'main' }],
    },
  })
  const running = (status: any) => status.ephemeralContainerStatuses?.[0].state.running
  await driving.until(pod, running)
  await until(async () => /sleep 0\.1/.test(await logs(pod, { container: 'debug' })))
  await gone(pod, 0)
})

test('logs follow until the container ends; tail, timestamps and limits', async () => {
  const pod = podObject({
    restartPolicy: 'Never',
    containers: [shell('for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done; sleep 1; echo oops >&2')],
  })
  driving.add(pod)
  await driving.until(pod, ({ phase }) => phase === 'Running' || phase === 'Succeeded')
  assert.equal(await logs(pod, { follow: true }), 'line 1\nline 2\nline 3\nline 4\nline 5\noops\n')
  assert.equal(await logs(pod, { tailLines: 2 }), 'line 5\noops\n')
  assert.equal(await logs(pod, { limitBytes: 4 }), 'line')
  assert.match(await logs(pod, { tailLines: 1, timestamps: true }), /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d) oops\n$/)
  await driving.until(pod, ({ phase }) => phase === 'Succeeded')
  await gone(pod)
})

test('what cannot start says why', async () => {
  const image = podObject({ containers: [{ name: 'main', image: 'registry.invalid/none:1' }] })
  const config = podObject({ containers: [shell('true', { envFrom: [{ configMapRef: { name: 'missing' } }] })] })
  const root = podObject({ securityContext: { runAsNonRoot: true }, containers: [shell('true')] })
  const program = podObject({
    restartPolicy: 'Never',
    containers: [{ name: 'main', image: busybox, command: ['/nothing'] }],
  })
  const never = podObject({ containers: [{ name: 'main', image: 'none:1', imagePullPolicy: 'Never' }] })
  const all = [image, config, root, program, never]
  for (const pod of all) driving.add(pod)
  const reason = (pod: StoredObject, wanted: string) =>
    driving.until(pod, (status) => status.containerStatuses?.[0].state.waiting?.reason === wanted)
  await reason(image, 'ErrImagePull')
  await reason(image, 'ImagePullBackOff')
  const { containerStatuses } = await reason(config, 'CreateContainerConfigError')
  assert.equal(containerStatuses[0].state.waiting.message, 'configmap "missing" not found')
  assert.match(
    (await reason(root, 'CreateContainerConfigError')).containerStatuses[0].state.waiting.message,
    /will run as root/,
  )
  await reason(never, 'ErrImageNeverPull')
  const failed = await driving.until(program, ({ phase }) => phase === 'Failed')
  assert.equal(failed.containerStatuses[0].state.terminated.reason, 'StartError')
  for (const pod of all) await gone(pod, 0)
  assert.deepEqual(await pods.found(), [])
})

test('a subPath cannot leave its volume', async () => {
  const pod = podObject({
    volumes: [{ name: 'data' }],
    initContainers: [
      { ...shell('ln -s /etc /data/out', { volumeMounts: [{ name: 'data', mountPath: '/data' }] }), name: 'evil' },
    ],
    containers: [shell(forever, { volumeMounts: [{ name: 'data', mountPath: '/data', subPath: 'out' }] })],
  })
  driving.add(pod)
  const { containerStatuses } = await driving.until(
    pod,
    (now) => now.containerStatuses?.[0].state.waiting?.reason === 'CreateContainerConfigError',
  )
  assert.match(containerStatuses[0].state.waiting.message, /leads out of its volume/)
  await gone(pod)
})

test('out of memory is told', async () => {
  const eat = 'x=aaaaaaaa; while :; do x=$x$x; done'
  const pod = podObject({
    restartPolicy: 'Never',
    containers: [shell(eat, { resources: { limits: { memory: '16Mi' } } })],
  })
  driving.add(pod)
  const { containerStatuses } = await driving.until(pod, ({ phase }) => phase === 'Failed')
  assert.equal(containerStatuses[0].state.terminated.reason, 'OOMKilled')
  assert.equal(containerStatuses[0].state.terminated.exitCode, 137)
  await gone(pod)
})

test('a sandbox that came to be after its maker had ended does not keep the next one from being made', async () => {
  const pod = podObject({ containers: [shell(forever)] })
  const { client, containerd, paths, ...options } = machine.options()
  const input = { ...options, attempt: 0, resolver: options.network.resolver('default'), logRoot: paths.podLogs }
  const { podSandboxId } = await containerd.cri.runPodSandbox({ config: sandboxConfig(pod as PodObject, input) })
  driving.add(pod)
  await driving.until(pod, isReady)
  const { items } = await containerd.cri.listPodSandbox({})
  assert.ok(!items.some(({ id }) => id === podSandboxId))
  await gone(pod)
})

test('a task that a start has left behind keeps neither its container nor its sandbox from being removed', async () => {
  const pod = await started({ containers: [shell(forever)] })
  const { cri } = machine.containerd
  const { items } = await cri.listPodSandbox({
    filter: { labelSelector: { 'io.kubernetes.pod.uid': pod.metadata.uid } },
  })
  const { id: podSandboxId } = items[0]!
  // As when a client goes away while containerd starts the container: CRI knows nothing of the task.
  const begin = async (name: string) => {
    const config = { metadata: { name, attempt: 0 }, image: { image: busybox }, command: ['sleep', '1000000'] }
    const sandboxConfig = { metadata: items[0]!.metadata!, linux: {} }
    const { containerId } = await cri.createContainer({ podSandboxId, config: { ...config, linux: {} }, sandboxConfig })
    const { socket } = machine.paths.containerd
    await runProgram([
      'ctr',
      '--address',
      socket,
      '-n',
      'k8s.io',
      'tasks',
      'start',
      '--detach',
      '--null-io',
      containerId,
    ])
    return containerId
  }
  const lost = await begin('lost')
  await assert.rejects(cri.removeContainer({ containerId: lost }), /cannot delete running task/)
  await removeContainer(cri, lost)
  const another = await begin('another')
  await removeSandbox(cri, podSandboxId)
  const left = await cri.containerIds()
  for (const id of [lost, another, podSandboxId]) assert.ok(!left.has(id), id)
  await gone(pod)
})

test('a lost sandbox is made again; a killed containerd comes back with the same containers', async () => {
  const pod = await started({ containers: [shell(forever)] })
  const before = driving.object(pod).status
  process.kill(Number(readFileSync(machine.paths.containerd.pid, 'utf8')), 'SIGKILL')
  await until(() => pods.conditions()[0]!.status === 'False')
  await until(() => pods.conditions()[0]!.status === 'True')
  assert.equal((await run(pod, ['echo', 'still here'])).stdout, 'still here\n')
  assert.equal(driving.object(pod).status.containerStatuses[0].containerID, before.containerStatuses[0].containerID)
  const labelSelector = { 'io.kubernetes.pod.uid': pod.metadata.uid }
  const { items } = await machine.containerd.cri.listPodSandbox({ filter: { labelSelector } })
  // The driver sees the sandbox end and clears it away too; containerd answers the slower of two calls with an error.
  await retry(() => machine.containerd.cri.stopPodSandbox({ podSandboxId: items[0]!.id }), { attempts: 8 })
  await until(async () => {
    const { items: now } = await machine.containerd.cri.listPodSandbox({ filter: { labelSelector } })
    return now.some(({ id }) => id !== items[0]!.id)
  })
  // Twice, when it was first tried in the sandbox that was on its way out.
  await driving.until(pod, (status) => status.containerStatuses[0].restartCount >= 1 && isReady(status))
  await gone(pod)
})

test('a containerd whose pid file is lost is taken over, not doubled', async () => {
  const pid = readFileSync(machine.paths.containerd.pid, 'utf8')
  rmSync(machine.paths.containerd.pid)
  await Promise.all([machine.containerd.start(), machine.containerd.start()])
  assert.equal(readFileSync(machine.paths.containerd.pid, 'utf8'), pid)
})

test('kill -9 of the driver: the same processes are managed again', async (t) => {
  const list = [1, 2].map((number) => podObject({ containers: [shell(`echo start; ${forever}`)] }, `kept-${number}`))
  const file = join(machine.root, 'pods.json')
  writeFileSync(file, JSON.stringify(list))
  const child = () => {
    const process_ = spawn(process.execPath, [join(import.meta.dirname, 'pods.child.ts'), machine.root, file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => process_.kill('SIGKILL'))
    const newest = new Map<string, any>()
    createInterface({ input: process_.stdout }).on('line', (line) => {
      const { uid, status } = JSON.parse(line)
      newest.set(uid, status)
    })
    return {
      kill: () => process_.kill('SIGKILL'),
      ready: () => list.every(({ metadata }) => isReady(newest.get(metadata.uid) ?? {})),
      newest,
    }
  }
  const first = child()
  await until(first.ready)
  const pids = processesIn(machine)
  first.kill()
  await sleep(50)
  assert.deepEqual(processesIn(machine), pids)
  const second = child()
  await until(second.ready)
  assert.deepEqual(processesIn(machine), pids)
  for (const { metadata } of list) {
    const [one, two] = [first, second].map(({ newest }) => newest.get(metadata.uid).containerStatuses[0])
    assert.deepEqual([two.containerID, two.restartCount, two.state], [one.containerID, 0, one.state])
  }
  second.kill()
  await sleep(50)
  for (const pod of list) await pods.remove(refOf(pod))
  assert.deepEqual(await pods.found(), [])
})

/** Pids of all containers, from their cgroups. */
function processesIn(where: Machine): string[] {
  const root = join('/sys/fs/cgroup/pids', where.options().cgroupParent)
  const unified = join('/sys/fs/cgroup', where.options().cgroupParent)
  const at = existsSync(root) ? root : unified
  return readdirSync(at, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(
      ({ name }) =>
        readFileSync(join(at, name, 'cgroup.procs'), 'utf8')
          .trim()
          .split('\n')[0] ?? '',
    )
    .sort()
}

workloadContract('pods on containerd', async () => {
  const object = podObject({ containers: [shell(forever)] })
  const drivers: Pods[] = []
  const open = async () => {
    const driver = createPods(machine.options())
    drivers.push(driver)
    await driver.start()
    return driver
  }
  return {
    driver: await open(),
    object,
    // The first one is simply left alone, as a killed process would be.
    reopen: open,
    async close() {
      await drivers[0]!.remove(refOf(object))
      for (const driver of drivers) await driver.stop()
    },
  }
})
