// What is wrong is said in words that name the place and the remedy, and leaves nothing half-made behind: manifests,
// disk images, bodies of requests, addresses.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createHttpsTransport, type HttpsTransport } from '../../src/client/https.ts'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'
import { instanceOf } from '../../src/config.ts'
import { buildDiskImage } from './disk-image.fixture.ts'
import { freePort, home, run, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const busybox = 'tandem.dev/busybox:1'

/** A machine with one disk; `changes` are laid over the parts of its spec. */
function machine(
  name: string,
  changes: { spec?: object; template?: object; domain?: object; volumes?: object[] } = {},
) {
  const volumes = changes.volumes ?? [{ name: 'root', containerDisk: { image: busybox } }]
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name },
    spec: {
      runStrategy: 'Always',
      ...changes.spec,
      template: {
        spec: {
          ...changes.template,
          domain: {
            memory: { guest: '64Mi' },
            devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] },
            ...changes.domain,
          },
          volumes,
        },
      },
    },
  }
}

function pod(container: object, spec: object = {}) {
  const containers = [{ name: 'main', image: busybox, ...container }]
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'wrong' }, spec: { containers, ...spec } }
}

describe('bad input', () => {
  let tandem: TestTandem
  let api: HttpsTransport

  before(async () => {
    tandem = await startTandem({ images: ['busybox'] })
    api = createHttpsTransport(accessFromKubeconfig(readFileSync(tandem.kubeconfig, 'utf8')))
  })
  after(async () => {
    api?.close()
    await tandem?.close()
  })

  const manifests: [what: string, object: object, answer: RegExp][] = [
    ['an unknown field', pod({ imagePolicy: 'x' }), /unknown field "spec\.containers\[0\]\.imagePolicy"/],
    [
      'a wrong type',
      pod({ command: 'sleep' }),
      /cannot unmarshal string into Go struct field .*command of type \[\]string/,
    ],
    [
      'a bad quantity',
      pod({ resources: { limits: { memory: '1Xi' } } }),
      /quantities must match the regular expression/,
    ],
    ['an unknown RuntimeClass', pod({}, { runtimeClassName: 'none' }), /RuntimeClass "none" not found/],
    [
      'a mount without a volume',
      pod({ volumeMounts: [{ name: 'none', mountPath: '/x' }] }),
      /spec\.containers\[0\]\.volumeMounts\[0\]\.name: Not found: "none"/,
    ],
    [
      'an unknown field of a machine',
      machine('wrong', { domain: { memori: {} } }),
      /unknown field "spec\.template\.spec\.domain\.memori"/,
    ],
    [
      'a bad quantity of a machine',
      machine('wrong', { domain: { memory: { guest: '64Xi' } } }),
      /spec\.template\.spec\.domain\.memory\.guest: Invalid value: "64Xi"/,
    ],
    [
      'a disk without a volume',
      machine('wrong', { volumes: [{ name: 'other', emptyDisk: { capacity: '1Gi' } }] }),
      /spec\.template\.spec\.domain\.devices\.disks\[0\]\.name: Invalid value: "root"/,
    ],
    [
      'two ways to run',
      machine('wrong', { spec: { running: true } }),
      /spec\.running: Invalid value: true: Running and RunStrategy are mutually exclusive/,
    ],
    [
      'long user data',
      machine('wrong', { volumes: [{ name: 'root', cloudInitNoCloud: { userData: 'x'.repeat(2049) } }] }),
      /spec\.template\.spec\.volumes\[0\]\.cloudInitNoCloud\.userData: .*exceeds 2048 byte limit\. Should use UserDataSecretRef/,
    ],
    [
      'a device that is not there',
      machine('wrong', { domain: { devices: { disks: [], sound: { name: 'loud' } } } }),
      /spec\.template\.spec\.domain\.devices\.sound: Forbidden: /,
    ],
  ]

  test('a manifest: the field, what is wrong with it, and no object', async () => {
    for (const [what, object, answer] of manifests) {
      const { code, stderr } = await tandem.tryKubectl(['create', '-f', '-'], JSON.stringify(object))
      assert.equal(code, 1, what)
      assert.match(stderr, answer, what)
    }
    assert.equal(await tandem.kubectl('get', 'pod,vm,vmi', '--ignore-not-found', '-o', 'name'), '')
  })

  test('a disk that cannot be one: the machine says which and why, and goes without a trace', async () => {
    const disks = {
      garbage: (path: string) => writeFileSync(path, 'no disk'.repeat(100)),
      backed: (path: string) =>
        void execFileSync('qemu-img', [
          'create',
          '-q',
          '-f',
          'qcow2',
          '-u',
          '-b',
          '/etc/passwd',
          '-F',
          'raw',
          path,
          '1M',
        ]),
    }
    for (const [name, make] of Object.entries(disks)) await buildDiskImage(tandem, name, make)
    const image = (name: string) => ({ volumes: [{ name: 'root', containerDisk: { image: name } }] })
    await tandem.apply([
      machine('empty', image(busybox)),
      machine('garbage', image('test.dev/garbage:1')),
      machine('backed', image('test.dev/backed:1')),
      machine('secretless', { volumes: [{ name: 'root', cloudInitNoCloud: { secretRef: { name: 'none' } } }] }),
      machine('claimless', { volumes: [{ name: 'root', persistentVolumeClaim: { claimName: 'none' } }] }),
      machine('huge', { domain: { memory: { guest: '100Ti' } } }),
    ])
    const expected: Record<string, [status: string, message: RegExp]> = {
      empty: ['Starting', /^volume "root" \(image "tandem\.dev\/busybox:1"\): the image has no file in \/disk: /],
      garbage: ['Starting', /\(image "test\.dev\/garbage:1"\): \/disk\/disk\.img of the image is not a disk image/],
      backed: ['Starting', /\/disk\/disk\.img of the image has a backing file: .*\(qemu-img convert makes it so\)/],
      secretless: ['Starting', /^volume "root": secret "none" not found/],
      claimless: ['ErrorPvcNotFound', /^volume "root": persistentvolumeclaim "none" not found/],
      huge: ['ErrorUnschedulable', /Insufficient memory.*lower spec\.domain\.memory\.guest/],
    }
    for (const [name, [status, message]] of Object.entries(expected)) {
      const condition = `jsonpath={.status.conditions[?(@.type=="Synchronized")].message}`
      await until(`${name} says why it does not start`, async () => {
        const { stdout } = await tandem.tryKubectl(['get', 'vmi', name, '-o', condition])
        return message.test(stdout)
      })
      await tandem.kubectl('wait', `--for=jsonpath={.status.printableStatus}=${status}`, `vm/${name}`, '--timeout=300s')
    }
    const events = await tandem.kubectl('events', '--for', 'vmi/empty')
    assert.match(events, /Warning +InvalidImage .*the image has no file in \/disk/)
    await tandem.kubectl('delete', 'vm', ...Object.keys(expected))
    await until('nothing is left of them', async () => (await tandem.kubectl('get', 'vmi', '-o', 'name')) === '')
    assert.deepEqual(
      readdirSync(join(tandem.stateDir, 'machines')).filter((name) => !name.startsWith('.')),
      [],
    )
    const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
    assert.ok(!namespaces.includes(`tandem-${instanceOf(tandem.stateDir)}`), namespaces)
  })

  test('a body: a Status that says what, whatever it is made of', async () => {
    const maps = '/api/v1/namespaces/default/configmaps'
    const map = (name: string, rest = '') =>
      `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}"}${rest}}`
    async function send(body: string, options: { type?: string; method?: 'POST' | 'PATCH'; path?: string } = {}) {
      const { type = 'application/json', method = 'POST', path = maps } = options
      const headers = { accept: 'application/json', 'content-type': type }
      const query = new URLSearchParams(method === 'PATCH' ? {} : { fieldValidation: 'Strict' })
      const answer = await api.transport({ method, path, query, headers, body: new TextEncoder().encode(body) })
      const { kind, reason, message } = (answer.object ?? {}) as Record<string, string>
      return { code: answer.status, kind, reason, message: message ?? '' }
    }
    const refused = async (body: string, code: number, message: RegExp, options = {}) => {
      const answer = await send(body, options)
      assert.deepEqual([answer.code, answer.kind], [code, 'Status'], body.slice(0, 80))
      assert.match(answer.message, message)
    }
    const yaml = { type: 'application/yaml' }
    await refused('{"apiVersion": "v1", ', 400, /not valid JSON: .*line 1 column 22/)
    await refused('', 400, /no object in its body/)
    await refused('[]', 400, /no object in its body/)
    await refused('a: [1, 2\nb: }', 400, /not valid YAML: .*line 2, column 1/, yaml)
    await refused(`x: ${'['.repeat(20_000)}`, 400, /exceeded max depth/, yaml)
    await refused(`a: &a [x,x,x,x]\nb: &b [*a,*a]\n${'c: [*b,*b]\n'.repeat(200)}`, 400, /not valid YAML/, yaml)
    await refused('k8s\0garbage', 400, /not a readable protobuf message/, {
      type: 'application/vnd.kubernetes.protobuf',
    })
    await refused(map('a'), 415, /accepted media types include: application\/json/, { type: 'text/plain' })
    await refused(map('big', `,"data":{"x":"${'a'.repeat(3 << 20)}"}`), 413, /limit is 3145728/)
    await refused(map('large', `,"data":{"x":"${'a'.repeat(1.2e6)}"}`), 422, /may not be more than 1048576 bytes/)
    await refused(map('twice', ',"data":{"a":"1","a":"2"}'), 400, /duplicate field "data\.a"/)
    await refused(map('proto', ',"data":{"__proto__":"x"}'), 400, /unknown field "data\.__proto__"/)
    assert.equal((await send(map('plain', ',"data":{"constructor":"x"}'))).code, 201)
    const patch = { method: 'PATCH', path: `${maps}/plain` }
    const deep = `{"data":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`
    for (const type of ['application/merge-patch+json', 'application/strategic-merge-patch+json']) {
      await refused('{"data":{"__proto__":"x"}}', 400, /"__proto__" is not allowed/, { ...patch, type })
      await refused(deep, 400, /exceeded max depth/, { ...patch, type })
    }
    const json = { ...patch, type: 'application/json-patch+json' }
    await refused('[{"op":"add","path":"/__proto__/x","value":1}]', 422, /missing path: "\/__proto__\/x"/, json)
    assert.equal(await tandem.kubectl('get', 'cm', 'plain', '-o', 'jsonpath={.data}'), '{"constructor":"x"}')
    assert.match(await tandem.kubectl('get', 'cm', '-o', 'name'), /^(configmap\/(plain|kube-root-ca\.crt)\n)+$/)
  })

  test('a port in use, an address that is not here, a second up: said before anything is made', async () => {
    const stateDir = join(tandem.stateDir, 'second')
    const up = (listen: string, dir = stateDir) =>
      run(join(home, 'tandem'), ['up', '--state-dir', dir, '--listen', listen])
    const stranger = await listening()
    try {
      const { port } = stranger.address() as { port: number }
      const used = await up(`127.0.0.1:${port}`)
      assert.equal(used.code, 1)
      assert.match(used.stderr, new RegExp(`127\\.0\\.0\\.1:${port} is in use .*choose another port with --listen`))
      const absent = await up('192.0.2.254:7000')
      assert.match(absent.stderr, /this machine has no address 192\.0\.2\.254 .*--listen/)
      assert.equal((await up('nonsense')).code, 2)
      assert.deepEqual(readdirSync(stateDir), ['tandem.log'])
      assert.ok(!existsSync(`/run/tandem-${instanceOf(stateDir)}`))
      nothingRunsOf(stateDir)

      const pid = tandem.pid()
      const again = await up(`127.0.0.1:${tandem.port}`, tandem.stateDir)
      assert.equal(again.code, 0, again.stderr)
      assert.match(again.stderr, new RegExp(`runs already \\(pid ${pid}\\)`))
      const elsewhere = await up(`127.0.0.1:${port}`, tandem.stateDir)
      assert.equal(elsewhere.code, 1)
      assert.match(elsewhere.stderr, new RegExp(`runs already .*:${tandem.port}: run 'sudo ./tandem down' first`))
      const direct = await run(join(home, 'tandem'), [
        'serve',
        '--state-dir',
        tandem.stateDir,
        '--listen',
        '127.0.0.1:1',
      ])
      assert.equal(direct.code, 1)
      assert.match(direct.stderr, /another Tandem runs with .*: see 'tandem status'/)
      assert.equal(tandem.pid(), pid)
    } finally {
      stranger.close()
    }
  })

  test('addresses that another Tandem uses: said, and what was begun is ended', async () => {
    const { podCidr } = JSON.parse(readFileSync(join(tandem.stateDir, 'settings.json'), 'utf8'))
    const stateDir = join(tandem.stateDir, 'third')
    const up = ['up', '--state-dir', stateDir, '--listen', `127.0.0.1:${await freePort()}`]
    const taken = await run(join(home, 'tandem'), up, { env: { ...process.env, TANDEM_POD_CIDR: podCidr } })
    assert.equal(taken.code, 1)
    assert.match(taken.stderr, new RegExp(`range ${podCidr} is already used .*: set TANDEM_POD_CIDR`))
    nothingRunsOf(stateDir)
    const down = await run(join(home, 'tandem'), ['down', '--all', '--state-dir', stateDir])
    assert.equal(down.code, 0, down.stderr)
    assert.ok(!existsSync(`/run/tandem-${instanceOf(stateDir)}`))
  })
})

const nothingRunsOf = (stateDir: string) =>
  assert.doesNotMatch(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }), new RegExp(stateDir))

function listening(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}
