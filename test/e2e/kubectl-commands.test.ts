// Every command of kubectl 1.36, once, against a real Tandem. What needs more than one look is in kubectl.test.ts.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { kubectlOf, start, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const image = 'tandem.dev/busybox:1'
const suite = 'sid'

describe('every command of kubectl', () => {
  let tandem: TestTandem
  before(async () => {
    tandem = await startTandem({ suite, images: ['busybox'] })
  })
  after(() => tandem?.close())

  /** Runs commands one after another; each is words and, where it says something, what its output must have in it. */
  async function all(table: [words: string, expected?: RegExp][]): Promise<void> {
    for (const [words, expected] of table) {
      const { code, stdout, stderr } = await tandem.tryKubectl(words.split(' '))
      assert.equal(code, 0, `kubectl ${words}: ${stderr}${stdout}`)
      if (expected) assert.match(stdout + stderr, expected, `kubectl ${words}`)
    }
  }

  test('what the server is: version, api-resources, api-versions, cluster-info, options, completion, config', async () => {
    await all([
      ['version', /Server Version: v1\./],
      ['api-resources --namespaced=true -o wide', /deployments +deploy +apps\/v1 +true +Deployment +create,delete/],
      ['api-versions', /^kubevirt\.io\/v1$/m],
      ['cluster-info', /control plane.* is running at/],
      ['cluster-info dump --namespaces=kube-public', /"kind": "NodeList"/],
      ['options', /--kubeconfig/],
      ['completion bash', /__start_kubectl/],
      ['config view', /DATA\+OMITTED|REDACTED/],
      ['config current-context', /./],
      ['config get-contexts', /CURRENT/],
    ])
  })

  test('create, of every kind that it has words for', async () => {
    const key = join(tandem.stateDir, 'note.txt')
    writeFileSync(key, 'hello')
    await all([
      ['create namespace play', /namespace\/play created/],
      ['config set-context --current --namespace=play', /modified/],
      [`create configmap settings --from-literal=color=red --from-file=${key}`, /configmap\/settings created/],
      ['create secret generic login --from-literal=user=bob', /secret\/login created/],
      [
        'create secret docker-registry pull --docker-server=r.example --docker-username=u --docker-password=p',
        /created/,
      ],
      ['create serviceaccount robot', /serviceaccount\/robot created/],
      ['create token robot --duration=600s', /^ey/],
      ['create role reader --verb=get,list --resource=pods,pods/log', /role.*created/],
      ['create rolebinding reader --role=reader --serviceaccount=play:robot', /rolebinding.*created/],
      ['create clusterrole watcher --verb=watch --resource=nodes', /clusterrole.*created/],
      ['create clusterrolebinding watcher --clusterrole=watcher --user=ann', /clusterrolebinding.*created/],
      [`create deployment web --image=${image} --replicas=2 -- sleep 1000`, /deployment.apps\/web created/],
      [`create job once --image=${image} -- true`, /job.batch\/once created/],
      [`create cronjob nightly --image=${image} --schedule=@daily -- true`, /cronjob.batch\/nightly created/],
      ['create job now --from=cronjob/nightly', /job.batch\/now created/],
      ['create ingress door --rule=shop.example/*=web:80', /ingress.*created/],
      ['create service clusterip plain --tcp=80:8080', /service\/plain created/],
      ['create service nodeport open --tcp=80:8080', /service\/open created/],
      ['create service loadbalancer front --tcp=80:8080', /service\/front created/],
      ['create service externalname far --external-name=example.com', /service\/far created/],
      ['create poddisruptionbudget steady --selector=app=web --min-available=1', /poddisruptionbudget.*created/],
      ['create priorityclass high --value=1000 --description=x', /priorityclass.*created/],
      ['create quota small --hard=pods=20,services=9', /resourcequota\/small created/],
    ])
  })

  test('change: label, annotate, patch, set, replace, edit-free apply, autoscale, expose, scale', async () => {
    const map = join(tandem.stateDir, 'map.json')
    const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { color: 'blue' } }
    writeFileSync(map, JSON.stringify(settings))
    await all([
      ['wait --for=condition=Available deploy/web --timeout=300s', /condition met/],
      ['label configmap settings tier=front', /labeled/],
      ['annotate configmap settings why=because', /annotated/],
      ['patch configmap settings --type=merge -p {"data":{"size":"big"}}', /patched/],
      ['patch configmap settings --type=json -p [{"op":"remove","path":"/data/size"}]', /patched/],
      ['patch deployment web -p {"spec":{"minReadySeconds":1}}', /patched/],
      [`replace -f ${map}`, /replaced/],
      [`apply --server-side --force-conflicts -f ${map}`, /serverside-applied/],
      ['set env deployment/web MODE=test', /env updated/],
      [`set image deployment/web busybox=${image}`],
      ['set resources deployment/web --limits=memory=64Mi', /resource requirements updated/],
      ['set serviceaccount deployment/web robot', /serviceaccount updated/],
      ['set selector service/plain app=web', /selector updated/],
      ['set subject rolebinding/reader --user=eve', /subjects updated/],
      ['autoscale deployment web --min=1 --max=3 --cpu=80%', /autoscaled/],
      ['expose deployment web --port=80 --name=exposed', /exposed/],
      ['scale deployment web --replicas=1 --timeout=300s', /scaled/],
      ['rollout pause deployment/web', /paused/],
      ['rollout resume deployment/web', /resumed/],
      ['rollout status deployment/web --timeout=300s', /successfully rolled out/],
      ['rollout restart deployment/web', /restarted/],
      ['rollout status deployment/web --timeout=300s', /successfully rolled out/],
      ['rollout history deployment/web', /REVISION/],
      ['rollout undo deployment/web', /rolled back/],
    ])
  })

  test('look: get all, describe, events, explain --recursive, auth, top', async () => {
    await all([
      ['wait --for=condition=Complete job/once --timeout=300s', /condition met/],
      ['get all', /deployment.apps\/web[\s\S]*horizontalpodautoscaler[\s\S]*cronjob.batch\/nightly/],
      ['get ingress,networkpolicy,pdb,quota,limitrange,priorityclass,storageclass,runtimeclass,crd', /ingress/],
      ['get deploy web -o custom-columns=NAME:.metadata.name,R:.spec.replicas', /NAME +R\nweb/],
      ['get pods --sort-by=.metadata.creationTimestamp -o name', /pod\//],
      ['get --raw /readyz?verbose', /readyz check passed/],
      ['describe deployment web', /Pod Template/],
      ['describe node', /Allocated resources/],
      ['describe quota small', /pods +\d+ +20/],
      ['events', /LAST SEEN/],
      ['events --for deployment/web', /ScalingReplicaSet/],
      ['explain deployment.spec --recursive', /progressDeadlineSeconds/],
      ['explain ingress.spec.rules', /host/],
      ['auth can-i --list', /Resources/],
      ['auth whoami', /system:masters/],
    ])
    await until('top pods shows figures', async () =>
      /web-.* \d+m +\d+Mi/.test((await tandem.tryKubectl(['top', 'pods'])).stdout),
    )
    await all([['top node', /CPU\(cores\)[\s\S]*\d+m/]])
  })

  test('auth reconcile; certificates are approved and denied', async () => {
    const roles = join(tandem.stateDir, 'roles.json')
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'reader', namespace: 'play' },
    }
    writeFileSync(roles, JSON.stringify({ ...role, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] }))
    await all([[`auth reconcile -f ${roles}`, /reconciled/]])
    for (const [name, verb, word] of [
      ['good', 'approve', 'approved'],
      ['bad', 'deny', 'denied'],
    ] as const) {
      const pem = execFileSync(
        'openssl',
        ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', '/dev/null', '-subj', `/CN=${name}`],
        { stdio: ['ignore', 'pipe', 'ignore'] },
      )
      await tandem.apply({
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        metadata: { name },
        spec: {
          request: pem.toString('base64'),
          signerName: 'kubernetes.io/kube-apiserver-client',
          usages: ['client auth'],
        },
      })
      await all([[`certificate ${verb} ${name}`, new RegExp(word)]])
    }
    await until('the approved one is signed', async () =>
      /Approved,Issued/.test(await tandem.kubectl('get', 'csr', 'good')),
    )
  })

  test('Pods: run, attach, exec, cp, logs, debug, port-forward, proxy', async () => {
    await all([[`run echo --image=${image} --restart=Never -i --rm --quiet -- echo hello`, /hello/]])
    await tandem.kubectl('run', 'loop', `--image=${image}`, '--', 'sh', '-c', 'while sleep 1; do echo tick; done')
    await all([
      ['wait --for=condition=Ready pod/loop --timeout=300s', /condition met/],
      ['exec loop -- hostname', /loop/],
      [`cp loop:/etc/hostname ${join(tandem.stateDir, 'copied')}`],
    ])
    const attached = start(kubectlOf(suite), ['attach', 'loop'], { ...process.env, KUBECONFIG: tandem.kubeconfig })
    await until('attach shows output', () => attached.output.includes('tick'))
    attached.child.kill()
    await tandem.kubectl('debug', 'loop', `--image=${image}`, '--target=loop', '-c', 'helper', '--', 'sleep', '1000')
    const running = '{.status.ephemeralContainerStatuses[0].state.running.startedAt}'
    await until(
      'the debugger runs',
      async () => (await tandem.kubectl('get', 'pod', 'loop', '-o', `jsonpath=${running}`)) !== '',
    )
    assert.match(await tandem.kubectl('exec', 'loop', '-c', 'helper', '--', 'ps'), /while sleep 1/)
    const proxy = start(kubectlOf(suite), ['proxy', '--port=0'], { ...process.env, KUBECONFIG: tandem.kubeconfig })
    await until('proxy listens', () => /127\.0\.0\.1:\d+/.test(proxy.output))
    const base = `http://127.0.0.1:${/127\.0\.0\.1:(\d+)/.exec(proxy.output)![1]}`
    assert.match(await (await fetch(`${base}/api/v1/namespaces/play/pods/loop`)).text(), /"name":\s*"loop"/)
    proxy.child.kill()
  })

  test('nodes: taint, cordon, drain, uncordon', async () => {
    const node = (await tandem.kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}')).trim()
    await all([
      [`taint node ${node} color=red:PreferNoSchedule`, /tainted/],
      [`taint node ${node} color-`, /untainted/],
      [`cordon ${node}`, /cordoned/],
      [
        `drain ${node} --ignore-daemonsets --force --delete-emptydir-data --disable-eviction --grace-period=1 --timeout=300s`,
        /drained/,
      ],
      [`uncordon ${node}`, /uncordoned/],
    ])
  })

  test('kustomize, delete', async () => {
    const folder = join(tandem.stateDir, 'kustomize')
    mkdirSync(folder)
    writeFileSync(
      join(folder, 'kustomization.yaml'),
      'namePrefix: k-\nconfigMapGenerator:\n- name: made\n  literals: [a=b]\n',
    )
    await all([
      [`kustomize ${folder}`, /name: k-made-/],
      [`apply -k ${folder}`, /k-made-.* created/],
      ['delete namespace play --timeout=300s', /deleted/],
      ['delete clusterrole,clusterrolebinding watcher', /deleted/],
      ['delete priorityclass high', /deleted/],
    ])
  })
})
