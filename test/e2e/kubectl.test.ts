// Stock kubectl, 1.32 and 1.36, against a real Tandem: what a person types, and what they must see.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { kubectlOf, run, start, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const web = (replicas: number, text = 'first') => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', labels: { app: 'web' } },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'web',
            image: 'tandem.dev/busybox:1',
            command: [
              'sh',
              '-c',
              'echo started; mkdir -p /www; echo "$TEXT" > /www/index.html; exec httpd -f -p 8080 -h /www',
            ],
            env: [{ name: 'TEXT', value: text }],
            ports: [{ name: 'http', containerPort: 8080 }],
            readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
})

const webService = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
}

for (const suite of ['trixie', 'sid'] as const) {
  describe(`kubectl of Debian ${suite}`, () => {
    let tandem: TestTandem
    before(async () => {
      tandem = await startTandem({ suite, images: ['busybox'] })
    })
    after(() => tandem?.close())

    test('apply, get -o wide, describe, wait', async () => {
      await tandem.apply([web(2), webService])
      await tandem.kubectl('wait', '--for=condition=Available', 'deploy/web', '--timeout=300s')
      const pods = await tandem.kubectl('get', 'pods', '-o', 'wide')
      assert.match(pods, /NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES/)
      assert.equal(pods.match(/1\/1 +Running +0 /g)?.length, 2, pods)
      assert.match(await tandem.kubectl('get', 'nodes,pods,vm,vmi,svc', '-A', '-o', 'wide'), /containerd:\/\//)
      const [pod = ''] = (await tandem.kubectl('get', 'pods', '-l', 'app=web', '-o', 'name')).split('\n')
      const described = await tandem.kubectl('describe', pod)
      for (const word of [
        'Successfully assigned',
        'Container image "tandem.dev/busybox:1" already present',
        'Started container web',
        'QoS Class',
      ])
        assert.match(described, new RegExp(word), described)
    })

    test('server-side apply, diff, conflict, edit', async () => {
      const file = join(tandem.stateDir, 'web.json')
      const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { color: 'red' } }
      writeFileSync(file, JSON.stringify(map))
      assert.match(await tandem.kubectl('apply', '--server-side', '-f', file), /serverside-applied/)
      writeFileSync(file, JSON.stringify({ ...map, data: { color: 'blue' } }))
      const diff = await tandem.tryKubectl(['diff', '-f', file])
      assert.equal(diff.code, 1, diff.stderr)
      assert.match(diff.stdout, /-\s+color: red[\s\S]*\+\s+color: blue/)
      const clash = await tandem.tryKubectl(['apply', '--server-side', '--field-manager=other', '-f', file])
      assert.match(clash.stderr, /conflict with "kubectl": \.data\.color/)
      const edited = await run(kubectlOf(suite), ['edit', 'configmap', 'settings'], {
        env: {
          ...process.env,
          KUBECONFIG: tandem.kubeconfig,
          HOME: tandem.stateDir,
          KUBE_EDITOR: 'sed -i s/red/green/',
        },
      })
      assert.equal(edited.code, 0, edited.stderr)
      assert.equal(await tandem.kubectl('get', 'cm', 'settings', '-o', 'jsonpath={.data.color}'), 'green')
    })

    test('logs, logs -f, exec with input and exit code, attach, cp, port-forward', async () => {
      const name = (
        await tandem.kubectl('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[0].metadata.name}')
      ).trim()
      assert.equal(await tandem.kubectl('logs', name, '--tail=1'), 'started\n')
      const followed = start(kubectlOf(suite), ['logs', '-f', name], { ...process.env, KUBECONFIG: tandem.kubeconfig })
      await tandem.kubectl('exec', name, '--', 'sh', '-c', 'echo more > /proc/1/fd/1')
      await until('logs -f shows a new line', () => followed.output === 'started\nmore\n')
      followed.child.kill()

      const exec = await tandem.tryKubectl(['exec', name, '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'])
      assert.deepEqual([exec.code, exec.stdout], [3, 'out\n'])
      assert.match(exec.stderr, /err\n.*exit code 3/)
      const megabyte = 'x'.repeat(1 << 20)
      const piped = await tandem.tryKubectl(['exec', '-i', name, '--', 'md5sum'], megabyte)
      assert.match(piped.stdout, /^f1c9645dbc14efddc7d8a322685f26eb|[0-9a-f]{32}/)

      const local = join(tandem.stateDir, 'file')
      writeFileSync(local, megabyte)
      await tandem.kubectl('cp', local, `${name}:/tmp/file`)
      await tandem.kubectl('cp', `${name}:/tmp/file`, `${local}.back`)
      assert.equal(readFileSync(`${local}.back`, 'utf8'), megabyte)

      const forward = start(kubectlOf(suite), ['port-forward', 'svc/web', ':80'], {
        ...process.env,
        KUBECONFIG: tandem.kubeconfig,
      })
      await until('port-forward listens', () => /127\.0\.0\.1:\d+/.test(forward.output))
      const port = /127\.0\.0\.1:(\d+)/.exec(forward.output)![1]
      for (let round = 0; round < 3; round++)
        assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'first\n')
      forward.child.kill()
    })

    test('scale, rollout status, restart, history, undo', async () => {
      await tandem.kubectl('scale', 'deploy/web', '--replicas=3')
      await tandem.kubectl('rollout', 'status', 'deploy/web', '--timeout=300s')
      await tandem.apply(web(3, 'second'))
      assert.match(await tandem.kubectl('rollout', 'status', 'deploy/web', '--timeout=300s'), /successfully rolled out/)
      const text = () =>
        tandem.kubectl('get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].env[0].value}')
      assert.equal(await text(), 'second')
      await tandem.kubectl('rollout', 'undo', 'deploy/web')
      await tandem.kubectl('rollout', 'status', 'deploy/web', '--timeout=300s')
      assert.equal(await text(), 'first')
      await tandem.kubectl('rollout', 'restart', 'deploy/web')
      await tandem.kubectl('rollout', 'status', 'deploy/web', '--timeout=300s')
      assert.match(await tandem.kubectl('rollout', 'history', 'deploy/web'), /REVISION +CHANGE-CAUSE/)
    })

    test('get -w shows what happens', async () => {
      const watched = start(kubectlOf(suite), ['get', 'pods', '-w', '-l', 'run=short'], {
        ...process.env,
        KUBECONFIG: tandem.kubeconfig,
      })
      await tandem.kubectl('run', 'short', '--image=tandem.dev/busybox:1', '--restart=Never', '--', 'true')
      await until('the watch shows Completed', () => /short +0\/1 +Completed/.test(watched.output))
      watched.child.kill()
    })

    test('auth can-i, create token, explain', async () => {
      assert.equal(await tandem.kubectl('auth', 'can-i', 'create', 'pods'), 'yes\n')
      const refused = await tandem.tryKubectl([
        'auth',
        'can-i',
        'create',
        'pods',
        '--as=system:serviceaccount:default:default',
      ])
      assert.deepEqual([refused.code, refused.stdout], [1, 'no\n'])
      const token = (await tandem.kubectl('create', 'token', 'default')).trim()
      const who = await tandem.tryKubectl([
        'auth',
        'whoami',
        `--token=${token}`,
        '-o',
        'jsonpath={.status.userInfo.username}',
      ])
      assert.equal(who.code, 0, who.stderr)
      assert.match(await tandem.kubectl('explain', 'pod.spec.containers'), /readinessProbe\s+<Probe>/)
    })

    test('what is wrong is said with the field and changes nothing', async () => {
      const wrong = async (manifest: object, expected: RegExp) => {
        const result = await tandem.tryKubectl(['create', '-f', '-'], JSON.stringify(manifest))
        assert.notEqual(result.code, 0)
        assert.match(result.stderr, expected)
      }
      const pod = (spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'wrong' }, spec })
      const container = { name: 'a', image: 'tandem.dev/busybox:1' }
      await wrong(
        pod({ containers: [{ ...container, imagePolicy: 'x' }] }),
        /unknown field "spec\.containers\[0\]\.imagePolicy"/,
      )
      await wrong(pod({ containers: 'none' }), /spec\.containers/)
      await wrong(
        pod({ containers: [{ ...container, resources: { limits: { memory: '1Xi' } } }] }),
        /quantities must match the regular expression/,
      )
      await wrong(pod({ containers: [container], runtimeClassName: 'nope' }), /RuntimeClass "nope" not found/)
      await wrong(
        pod({ containers: [{ ...container, name: 'Bad_Name' }] }),
        /spec\.containers\[0\]\.name: Invalid value: "Bad_Name"/,
      )
      assert.equal((await tandem.tryKubectl(['get', 'pod', 'wrong'])).code, 1)
    })

    test('delete takes what it owns with it', async () => {
      await tandem.kubectl('delete', 'deploy/web', 'svc/web', 'pod/short', '--wait')
      await until('the Pods are gone', async () => (await tandem.kubectl('get', 'pods', '-o', 'name')) === '')
      await until('the ReplicaSets are gone', async () => (await tandem.kubectl('get', 'rs', '-o', 'name')) === '')
    })
  })
}
