// tandem demo: the shop of examples/shop, a database in a virtual machine and a web site in containers, brought up with a
// view of each step, and the page that proves that they work together. Run again, it changes nothing.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import pc from 'picocolors'
import type { ApiObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { connect } from '../connect.ts'
import { apply, readManifests, refOf } from '../manifests.ts'
import { configOf, type InstanceOptions, listenOption, requireRoot, stateDirOption } from '../options.ts'
import { CommandError, createSteps, print, seconds } from '../output.ts'
import { kubeconfigPath } from '../process.ts'
import type { ImageTools, Tools } from '../tools.ts'
import { ensureUp } from './up.ts'

type Steps = ReturnType<typeof createSteps>

/** A first start of the database, in software emulation on a slow machine, has ended long before this. */
const deadlineMs = 600_000

export function demo(program: Command, tools: Tools): void {
  program
    .command('demo')
    .description('start Tandem and a shop on it: a PostgreSQL virtual machine and a web site in containers')
    .option(...stateDirOption)
    .option(...listenOption)
    .action(async (options: InstanceOptions) => {
      requireRoot('demo')
      const started = Date.now()
      const steps = createSteps()
      await runDemo(options, tools, steps)
      steps.line(pc.dim(`  in ${seconds(Date.now() - started)}`))
    })
}

async function runDemo(options: InstanceOptions, tools: Tools, steps: Steps): Promise<void> {
  const config = configOf(options)
  await steps.step('start Tandem', () => ensureUp(options, tools))
  const objects = readManifests(join(tools.home, 'examples/shop'))
  const images = await tools.openImages(config)
  const connection = connect(config)
  try {
    const { client } = connection
    await bringUp(client, images, tools, steps, objects)
    const { url, page } = await steps.step('ask the shop for its page', () => fetchPage(client))
    print(`\n${pc.bold(`The shop at ${url} says:`)}\n\n${pageText(page)}\n`)
    await show(client, objects)
    print(nextCommands(kubeconfigPath(config), tools.home, url))
  } finally {
    connection.close()
    await images.close()
  }
}

/** Applies one object after the other, each once its images are here: the machine boots while the site's image is made. */
async function bringUp(
  client: Client,
  images: ImageTools,
  tools: Tools,
  steps: Steps,
  objects: ApiObject[],
): Promise<void> {
  const present = new Set((await images.list()).flatMap(({ names }) => names))
  const ready: Promise<void>[] = []
  for (const object of objects) {
    for (const name of imagesOf(object)) {
      if (!present.has(name)) await provideImage(name, images, tools, steps)
      present.add(name)
    }
    await steps.step(`apply ${object.kind} ${object.metadata.name}`, () => apply(client, object, 'tandem-demo'))
    if (object.kind !== 'VirtualMachine' && object.kind !== 'Deployment') continue
    const followed = follow(client, steps, object)
    // What goes wrong here is told below, when all is applied; until then nobody waits for it.
    followed.catch(() => {})
    ready.push(followed)
  }
  await Promise.all(ready)
}

/** Builds an image that this machine lacks from its recipe. */
async function provideImage(name: string, images: ImageTools, tools: Tools, steps: Steps): Promise<void> {
  const recipe = join(tools.home, 'images', `${name.split('/').at(-1)!.split(':')[0]}`)
  if (!existsSync(recipe))
    throw new CommandError(`image ${name} is not on this machine, and there is no recipe ${recipe}`)
  const { path } = await steps.step(`build image ${name} from Debian's packages`, () =>
    tools.buildImage(recipe, undefined, (line) => steps.note(line)),
  )
  await steps.step(`load image ${name}`, () => images.load(path))
}

function imagesOf(value: unknown): Set<string> {
  const found = new Set<string>()
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const item of node) visit(item)
    else if (typeof node === 'object' && node !== null) {
      for (const [key, child] of Object.entries(node)) {
        if (key === 'image' && typeof child === 'string') found.add(child)
        else visit(child)
      }
    }
  }
  visit(value)
  return found
}

/** Waits until a VM or a Deployment is ready, saying what it is at. */
const follow = (client: Client, steps: Steps, object: ApiObject): Promise<void> =>
  steps.step(describe(object), async () => {
    const deadline = Date.now() + deadlineMs
    for (;;) {
      const now = await client.get(refOf(object), object.metadata.name!, object.metadata.namespace ?? 'default')
      if (isReady(now)) return
      if (Date.now() > deadline) {
        throw new CommandError(
          `${object.kind} ${object.metadata.name} is not ready: ${stateOf(now)}. Look at: kubectl describe ${object.kind.toLowerCase()} ${object.metadata.name}`,
        )
      }
      steps.note(`${object.kind} ${object.metadata.name}: ${stateOf(now)}`)
      await sleep(200)
    }
  })

const describe = ({ kind, metadata }: ApiObject): string =>
  kind === 'VirtualMachine'
    ? `virtual machine ${metadata.name}: a Debian server with its own kernel boots`
    : `deployment ${metadata.name}: containers start`

function isReady({ kind, spec, status }: ApiObject): boolean {
  if (kind === 'VirtualMachine') return status?.ready === true
  return (
    (status?.availableReplicas ?? 0) >= (spec.replicas ?? 1) && (status?.updatedReplicas ?? 0) >= (spec.replicas ?? 1)
  )
}

const stateOf = ({ kind, spec, status }: ApiObject): string =>
  kind === 'VirtualMachine'
    ? (status?.printableStatus ?? 'waiting')
    : `${status?.availableReplicas ?? 0} of ${spec.replicas ?? 1} available`

/** The page as a visitor gets it, through the Service; asked until the database behind it answers. */
async function fetchPage(client: Client): Promise<{ url: string; page: string }> {
  const service = await client.get({ group: '', version: 'v1', resource: 'services' }, 'web', 'default')
  const { nodePort, port } = service.spec.ports[0]
  const url = nodePort ? `http://127.0.0.1:${nodePort}/` : `http://${service.spec.clusterIP}:${port}/`
  const deadline = Date.now() + deadlineMs
  for (let problem = ''; Date.now() < deadline; await sleep(300)) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(5000) })
      const page = await answer.text()
      if (answer.ok) return { url, page }
      problem = `${answer.status} ${pageText(page)}`
    } catch (error) {
      problem = error instanceof Error ? String(error.cause ?? error.message) : String(error)
    }
    if (Date.now() + 300 > deadline) throw new CommandError(`the shop does not answer at ${url}: ${problem}`)
  }
  throw new CommandError(`the shop does not answer at ${url}`)
}

/** The readable part of an HTML page: a line a table row or block. */
export function pageText(html: string): string {
  return html
    .replace(/<(style|script|head)[\s\S]*?<\/\1>/gi, '')
    .replace(/<\/(td|th)>\s*<(td|th)[^>]*>/gi, '   ')
    .replace(/<\/?(tr|p|h\d|li|div|table|ul|br|header|footer)[^>]*>/gi, '\n')
    .replace(/<[^>]+>/g, '')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&euro;/g, '€')
    .replace(/&amp;/g, '&')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => `    ${line}`)
    .join('\n')
}

/** One look at what runs: both kinds of workload, one list, one network. */
async function show(client: Client, objects: ApiObject[]): Promise<void> {
  const names = new Set(objects.map(({ metadata }) => metadata.name))
  const pods = await client.list({ group: '', version: 'v1', resource: 'pods' }, { namespace: 'default' })
  const machines = await client.list(
    { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' },
    { namespace: 'default' },
  )
  const rows = [
    ...machines.items
      .filter(({ metadata }) => names.has(metadata.name))
      .map(({ metadata, status }) => [
        'virtual machine',
        metadata.name,
        status?.phase,
        status?.interfaces?.[0]?.ipAddress,
      ]),
    ...pods.items
      .filter(({ metadata }) => names.has(metadata.name.split('-')[0]))
      .map(({ metadata, status }) => ['container', metadata.name, status?.phase, status?.podIP]),
  ]
  for (const [what, name, phase, address] of rows) {
    print(`    ${String(what).padEnd(17)}${String(name).padEnd(24)}${String(phase ?? '').padEnd(10)}${address ?? ''}`)
  }
}

const nextCommands = (kubeconfig: string, home: string, url: string): string => `
${pc.bold('Go on with')}
    export KUBECONFIG=${kubeconfig}
    kubectl get vm,vmi,pods,svc -o wide
    kubectl exec deploy/web -- getent hosts db
    kubectl logs -f deploy/web
    kubectl delete pod -l component=web && curl ${url}
    kubectl patch vm db --type merge -p '{"spec":{"runStrategy":"Halted"}}'

${pc.dim(`No kubectl here? ${home}/tandem kubectl … brings one. Stop it all: sudo ${home}/tandem down --all`)}`
