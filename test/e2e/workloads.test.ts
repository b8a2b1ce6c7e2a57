// Pods, Jobs and their volumes as kubectl sees them: a real Tandem with containerd, cgroups, local volumes and a registry.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Registry, registryUser, startRegistry } from './registry.fixture.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

const image = 'tandem.dev/busybox:1'

const sh = (script: string) => ['sh', '-c', script]
/** Sleeps, and ends at once when it is told to. */
const idle = sh('trap exit TERM; while :; do sleep 1 & wait; done')

interface Container {
  name?: string
  command?: string[]
  [field: string]: unknown
}

function pod(name: string, container: Container, spec: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image, command: idle, ...container }],
      ...spec,
    },
  }
}

const object = (kind: string, name: string, fields: object) => ({
  apiVersion: 'v1',
  kind,
  metadata: { name },
  ...fields,
})
const megabytes = (count: number) => String(count << 20)

describe('workloads', () => {
  let tandem: TestTandem

  const field = (name: string, path: string) => tandem.kubectl('get', 'pod', name, '-o', `jsonpath={${path}}`)
  const ready = (...names: string[]) =>
    tandem.kubectl('wait', '--for=condition=Ready', ...names.map((name) => `pod/${name}`), '--timeout=300s')
  const phase = (name: string, wanted: string) =>
    tandem.kubectl('wait', `--for=jsonpath={.status.phase}=${wanted}`, `pod/${name}`, '--timeout=300s')
  const exec = (name: string, script: string) => tandem.kubectl('exec', name, '--', ...sh(script))
  /** What kubectl describe says, once it says this: events are sent beside the status that they explain. */
  const described = (kind: string, name: string, pattern: RegExp) =>
    until(`${pattern} of ${kind} ${name}`, async () => pattern.test(await tandem.kubectl('describe', kind, name)))
  const waiting = (name: string, reason: string) =>
    until(
      `${name}: ${reason}`,
      async () => (await field(name, '.status.containerStatuses[0].state.waiting.reason')) === reason,
    )

  before(async () => {
    tandem = await startTandem({ images: ['busybox'] })
  })
  after(() => tandem?.close())

  test('environment from every source, and files of every kind that follow their objects', async () => {
    const sources = [
      { configMap: { name: 'settings', items: [{ key: 'color', path: 'color' }] } },
      { secret: { name: 'password' } },
      { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
      { serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 600 } },
    ]
    await tandem.apply([
      object('ConfigMap', 'settings', { data: { color: 'red', shape: 'round' } }),
      object('Secret', 'password', { stringData: { word: 'secret' } }),
      pod(
        'files',
        {
          env: [
            { name: 'PLAIN', value: 'plain' },
            { name: 'EXPANDED', value: 'very $(PLAIN) $(NONE) $$(PLAIN)' },
            { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
            { name: 'WORD', valueFrom: { secretKeyRef: { name: 'password', key: 'word' } } },
            { name: 'ABSENT', valueFrom: { secretKeyRef: { name: 'none', key: 'word', optional: true } } },
            { name: 'OWN_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            { name: 'OWN_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory' } } },
          ],
          envFrom: [{ prefix: 'SET_', configMapRef: { name: 'settings' } }, { secretRef: { name: 'password' } }],
          resources: { limits: { memory: '64Mi', cpu: '500m' } },
          volumeMounts: [
            { name: 'settings', mountPath: '/settings' },
            { name: 'password', mountPath: '/password' },
            { name: 'about', mountPath: '/about' },
            { name: 'all', mountPath: '/all' },
            { name: 'settings', mountPath: '/single', subPath: 'shape' },
          ],
        },
        {
          volumes: [
            { name: 'settings', configMap: { name: 'settings' } },
            { name: 'password', secret: { secretName: 'password', defaultMode: 0o400 } },
            {
              name: 'about',
              downwardAPI: {
                items: [
                  { path: 'cpu', resourceFieldRef: { containerName: 'main', resource: 'limits.cpu', divisor: '1m' } },
                  { path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } },
                ],
              },
            },
            { name: 'all', projected: { sources } },
          ],
        },
      ),
    ])
    await ready('files')
    const env = await exec('files', 'env')
    for (const line of [
      'PLAIN=plain',
      'EXPANDED=very plain $(NONE) $(PLAIN)',
      'COLOR=red',
      'WORD=secret',
      'OWN_NAME=files',
      `OWN_IP=${await field('files', '.status.podIP')}`,
      `MEMORY=${megabytes(64)}`,
      'SET_color=red',
      'SET_shape=round',
      'word=secret',
      'KUBERNETES_SERVICE_PORT=443',
    ])
      assert.ok(env.split('\n').includes(line), `${line} is not in\n${env}`)
    assert.doesNotMatch(env, /^ABSENT/m)
    const labels = 'app="files"\nisolation.tandem.dev/level="container"'
    const files =
      'cat /settings/color /password/word /about/cpu /about/namespace /all/color /all/word /all/labels /single'
    assert.equal(await exec('files', files), `redsecret500defaultredsecret${labels}round`)
    assert.equal(await exec('files', 'stat -L -c %a /password/word; cut -c1-3 /all/token'), '400\neyJ\n')

    const [, bytes = ''] = /^memory (\d+)$/m.exec(await exec('files', limitsScript)) ?? []
    assert.equal(bytes, megabytes(64))
    assert.match(await exec('files', limitsScript), /^cpu 50000 100000$/m)

    await tandem.kubectl('patch', 'cm', 'settings', '-p', '{"data":{"color":"blue"}}')
    await tandem.kubectl('patch', 'secret', 'password', '-p', '{"stringData":{"word":"changed"}}')
    // A change of the Pod makes the node look at once, as the kubelet does.
    await tandem.kubectl('label', 'pod', 'files', 'looked=again')
    const updated = `bluechangedbluechanged${labels}\nlooked="again"`
    const read = 'cat /settings/color /password/word /all/color /all/word /all/labels'
    await until('the files are new', async () => (await exec('files', read)) === updated)
    assert.equal(await field('files', '.status.containerStatuses[0].restartCount'), '0')
  })

  test('users, groups and a read-only root', async () => {
    const host = join(tandem.stateDir, 'on-the-host')
    mkdirSync(host)
    writeFileSync(join(host, 'file'), 'from the host')
    await tandem.apply(
      pod(
        'guarded',
        {
          securityContext: {
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: [
            { name: 'scratch', mountPath: '/scratch' },
            { name: 'host', mountPath: '/host', readOnly: true },
          ],
        },
        {
          securityContext: { runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000, runAsNonRoot: true },
          volumes: [
            { name: 'scratch', emptyDir: {} },
            { name: 'host', hostPath: { path: host, type: 'Directory' } },
          ],
        },
      ),
    )
    await ready('guarded')
    assert.equal(await exec('guarded', 'id -u; id -g; id -G; cat /host/file'), '1000\n3000\n3000 2000\nfrom the host')
    assert.equal(await exec('guarded', 'echo x > /scratch/x && stat -c "%u %g" /scratch/x'), '1000 2000\n')
    for (const path of ['/x', '/host/x'])
      assert.match((await tandem.tryKubectl(['exec', 'guarded', '--', ...sh(`echo x > ${path}`)])).stderr, /Read-only/)
    assert.match(
      await exec('guarded', 'grep -E "^(CapEff|NoNewPrivs)" /proc/self/status'),
      /CapEff:\s0+\nNoNewPrivs:\s1/,
    )
    assert.ok(!existsSync(join(host, 'x')))
  })

  test('a claim waits for its first Pod and keeps data for the next', async () => {
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '16Mi' } } }
    await tandem.apply(object('PersistentVolumeClaim', 'shared', { spec }))
    await described('pvc', 'shared', /WaitForFirstConsumer/)
    const with_ = (name: string, script: string) =>
      pod(
        name,
        { command: sh(script), volumeMounts: [{ name: 'data', mountPath: '/data' }] },
        { restartPolicy: 'Never', volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'shared' } }] },
      )
    await tandem.apply(with_('first', 'echo kept > /data/file'))
    await phase('first', 'Succeeded')
    assert.match(await tandem.kubectl('get', 'pvc', 'shared'), /shared +Bound +pvc-\S+ +16Mi +RWO +local/)
    await tandem.apply(with_('second', 'cat /data/file'))
    await phase('second', 'Succeeded')
    assert.equal(await tandem.kubectl('logs', 'second'), 'kept\n')
    const volume = await tandem.kubectl('get', 'pvc', 'shared', '-o', 'jsonpath={.spec.volumeName}')
    await tandem.kubectl('delete', 'pvc', 'shared', '--wait=false')
    assert.match(await tandem.kubectl('get', 'pvc', 'shared'), /Terminating/)
    await tandem.kubectl('delete', 'pod', 'first', 'second')
    await until(
      'the volume goes with its claim',
      async () => (await tandem.tryKubectl(['get', 'pv', volume])).code === 1,
    )
    assert.ok(!existsSync(join(tandem.stateDir, 'volumes', volume)), 'its directory is gone')
  })

  test('init containers, exit codes, last words, a crash loop, out of memory', async () => {
    const work = { volumeMounts: [{ name: 'work', mountPath: '/work' }] }
    const init = (name: string, script: string) => ({ name, image, command: sh(script), ...work })
    await tandem.apply([
      pod(
        'ends',
        { command: sh('cat /work/order; echo last words > /dev/termination-log; exit 3'), ...work },
        {
          restartPolicy: 'Never',
          volumes: [{ name: 'work', emptyDir: {} }],
          initContainers: [init('one', 'echo one >> /work/order'), init('two', 'sleep 0.2; echo two >> /work/order')],
        },
      ),
      pod('loops', {
        command: sh('echo "round $(date +%s)"; exit 1'),
        terminationMessagePolicy: 'FallbackToLogsOnError',
      }),
      pod(
        'hungry',
        {
          command: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'],
          resources: { limits: { memory: '32Mi' } },
        },
        { restartPolicy: 'Never' },
      ),
    ])
    await phase('ends', 'Failed')
    assert.equal(await tandem.kubectl('logs', 'ends'), 'one\ntwo\n')
    const ended = '.status.containerStatuses[0].state.terminated'
    assert.equal(await field('ends', `${ended}.exitCode`), '3')
    assert.equal(await field('ends', `${ended}.message`), 'last words\n')
    assert.match(await tandem.kubectl('get', 'pod', 'ends'), /ends +0\/1 +Error +0 /)

    await waiting('loops', 'CrashLoopBackOff')
    await until(
      'it was tried again',
      async () => Number(await field('loops', '.status.containerStatuses[0].restartCount')) >= 1,
    )
    assert.match(await tandem.kubectl('logs', 'loops', '--previous'), /^round \d+\n$/)
    assert.match(await field('loops', '.status.containerStatuses[0].lastState.terminated.message'), /^round \d+\n$/)
    // It may just be in its next round.
    await until('it is shown between two rounds', async () =>
      /loops +0\/1 +(CrashLoopBackOff|Error) +[1-9]/.test(await tandem.kubectl('get', 'pod', 'loops')),
    )
    await described('pod', 'loops', /Warning +BackOff .*Back-off restarting failed container main/)

    await phase('hungry', 'Failed')
    assert.equal(await field('hungry', `${ended}.reason`), 'OOMKilled')
    assert.equal(await field('hungry', `${ended}.exitCode`), '137')
    await tandem.kubectl('delete', 'pod', 'ends', 'loops', 'hungry')
  })

  test('probes: startup first, readiness in the Service, liveness restarts', async () => {
    // Each answer may take as long as a busy machine takes for it.
    const file = (name: string) => ({
      exec: { command: ['test', '-e', `/tmp/${name}`] },
      ...{ periodSeconds: 1, timeoutSeconds: 30 },
    })
    await tandem.apply([
      pod('probed', {
        command: sh('touch /tmp/alive; trap exit TERM; while :; do sleep 1 & wait; done'),
        startupProbe: { ...file('started'), failureThreshold: 600 },
        livenessProbe: { ...file('alive'), failureThreshold: 1 },
        readinessProbe: file('ready'),
      }),
      object('Service', 'probed', { spec: { selector: { app: 'probed' }, ports: [{ port: 80 }] } }),
    ])
    await phase('probed', 'Running')
    const status = '.status.containerStatuses[0]'
    const endpoints = () =>
      tandem.kubectl(
        'get',
        'endpointslices',
        '-l',
        'kubernetes.io/service-name=probed',
        '-o',
        'jsonpath={.items[*].endpoints[*].conditions.ready}',
      )
    assert.equal(await field('probed', `${status}.started`), 'false')
    await exec('probed', 'touch /tmp/started')
    await until('it has started', async () => (await field('probed', `${status}.started`)) === 'true')
    assert.equal(await field('probed', `${status}.ready`), 'false')
    await until('the Service knows that it is not ready', async () => (await endpoints()) === 'false')
    await exec('probed', 'touch /tmp/ready')
    await ready('probed')
    await until('the Service knows that it is ready', async () => (await endpoints()) === 'true')
    await exec('probed', 'rm /tmp/alive')
    await until('it was restarted', async () => (await field('probed', `${status}.restartCount`)) === '1')
    await described('pod', 'probed', /Warning +Unhealthy .*Liveness probe failed/)
    await tandem.kubectl('delete', 'pod/probed', 'svc/probed')
  })

  test('a Job runs to completion, another to its limit of failures', async () => {
    const job = (name: string, script: string, spec: object) => ({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name },
      spec: {
        ...spec,
        template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image, command: sh(script) }] } },
      },
    })
    await tandem.apply([
      job('works', 'echo done', { completions: 3, parallelism: 2 }),
      job('fails', 'exit 1', { backoffLimit: 0 }),
    ])
    await tandem.kubectl('wait', '--for=condition=Complete', 'job/works', '--timeout=300s')
    assert.match(await tandem.kubectl('get', 'job', 'works'), /works +Complete +3\/3/)
    assert.equal(await tandem.kubectl('logs', '-l', 'job-name=works'), 'done\ndone\ndone\n')
    await tandem.kubectl('wait', '--for=condition=Failed', 'job/fails', '--timeout=300s')
    await described('job', 'fails', /BackoffLimitExceeded/)
    await tandem.kubectl('delete', 'job', 'works', 'fails')
    await until(
      'their Pods are gone',
      async () => !/works|fails/.test(await tandem.kubectl('get', 'pods', '-o', 'name')),
    )
  })

  test('run -i --rm and attach -i', async () => {
    const run = ['run', 'once', '-i', '--rm', '--quiet', '--restart=Never', `--image=${image}`, '--', 'cat']
    const once = await tandem.tryKubectl(run, 'typed\n')
    assert.deepEqual([once.code, once.stdout], [0, 'typed\n'], once.stderr)
    assert.equal((await tandem.tryKubectl(['get', 'pod', 'once'])).code, 1)
    await tandem.apply(
      pod(
        'listens',
        { stdin: true, stdinOnce: true, command: sh('read line; echo "heard $line"') },
        { restartPolicy: 'Never' },
      ),
    )
    await ready('listens')
    const attached = await tandem.tryKubectl(['attach', '-i', 'listens'], 'hello\n')
    assert.equal(attached.code, 0, attached.stderr)
    assert.match(attached.stdout, /heard hello/)
    await phase('listens', 'Succeeded')
  })

  test('a Pod talks to the API as its service account', async () => {
    // curl and its libraries come from the machine: busybox speaks a TLS that is too old.
    const paths = ['/usr', '/lib', '/lib64'].filter((path) => existsSync(path))
    const name = (path: string) => path.slice(1)
    await tandem.apply(
      pod(
        'client',
        { volumeMounts: paths.map((path) => ({ name: name(path), mountPath: path, readOnly: true })) },
        { volumes: paths.map((path) => ({ name: name(path), hostPath: { path } })) },
      ),
    )
    await ready('client')
    const account = '/var/run/secrets/kubernetes.io/serviceaccount'
    const ask = (path: string) =>
      exec(
        'client',
        `/usr/bin/curl -sS --cacert ${account}/ca.crt -H "Authorization: Bearer $(cat ${account}/token)" https://kubernetes.default.svc${path}`,
      )
    assert.match(await ask('/version'), /"gitVersion"/)
    assert.match(
      await ask('/api/v1/namespaces/default/pods'),
      /pods is forbidden: User \\"system:serviceaccount:default:default\\" cannot list resource/,
    )
    await tandem.kubectl('create', 'rolebinding', 'look', '--clusterrole=view', '--serviceaccount=default:default')
    const list = JSON.parse(await ask('/api/v1/namespaces/default/pods?labelSelector=app%3Dclient'))
    assert.deepEqual(
      list.items.map((one: { metadata: { name: string } }) => one.metadata.name),
      ['client'],
    )
    await tandem.kubectl('delete', 'pod', 'client')
  })

  test('images: a missing one backs off, a private one needs its secret', async () => {
    const registry: Registry = await startRegistry(tandem)
    try {
      const pushed = await registry.push('busybox')
      const secret = ['create', 'secret', 'docker-registry', 'puller', `--docker-server=${registry.address}`]
      const { name, password } = registryUser
      await tandem.kubectl(...secret, `--docker-username=${name}`, `--docker-password=${password}`)
      await tandem.apply([
        pod('missing', { image: `${registry.address}/team/none:1` }, { imagePullSecrets: [{ name: 'puller' }] }),
        pod('stranger', { image: pushed }),
      ])
      await waiting('missing', 'ImagePullBackOff')
      await waiting('stranger', 'ImagePullBackOff')
      assert.match(await tandem.kubectl('get', 'pods'), /missing +0\/1 +(ImagePullBackOff|ErrImagePull) +0 /)
      await described('pod', 'missing', /Failed to pull image ".*\/none:1": .*not found/)
      await described('pod', 'stranger', /Failed to pull image .*(401|authorization|no basic auth)/)
      await tandem.apply(pod('friend', { image: pushed }, { imagePullSecrets: [{ name: 'puller' }] }))
      await ready('friend')
      await described('pod', 'friend', /Successfully pulled image/)
      await tandem.kubectl('delete', 'pod', 'missing', 'stranger', 'friend')
    } finally {
      registry.close()
    }
  })
})

/** What the container's own cgroup says, v1 or v2. */
const limitsScript = `
if [ -e /sys/fs/cgroup/memory.max ]; then
  echo "memory $(cat /sys/fs/cgroup/memory.max)"; echo "cpu $(cat /sys/fs/cgroup/cpu.max)"
else
  echo "memory $(cat /sys/fs/cgroup/memory/memory.limit_in_bytes)"
  echo "cpu $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) $(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)"
fi`
