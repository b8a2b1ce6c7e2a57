// `create` and `exec` of the runtime that containerd's shim calls for a Pod in a micro-VM. Makes of the bundle what runs in
// the guest and what stands for it here, then becomes runc. (runtime.sh does the other commands.)

import { randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../exec.ts'
import { parseCall } from './call.ts'
import { createSandbox } from './create-sandbox.ts'
import type { OciProcess, OciSpec } from './oci.ts'
import { isSandbox, sandboxIdOf } from './oci.ts'
import { makeParts, partsFolder } from './parts.ts'
import { containerFolder, containerLink, podFolder, type Settings } from './places.ts'
import { clientProcess, clientSpec, guestCommand, guestContainer, guestProcess } from './specs.ts'

const settings: Settings = { run: process.env.TANDEM_MICROVM_RUN!, home: process.env.TANDEM_MICROVM_HOME! }

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T
const writeJson = (path: string, value: object) => writeFileSync(path, JSON.stringify(value))

interface PodState {
  user: number
}

/** Namespaces of processes are known here by the process that stands for a container: by that one's id in the guest. */
function pidNamespaces(spec: OciSpec, folder: string): Map<string, string> {
  const found = new Map<string, string>()
  const path = spec.linux.namespaces.find(({ type }) => type === 'pid')?.path
  const pid = /^\/proc\/(\d+)\/ns\/pid$/.exec(path ?? '')?.[1]
  if (!path || !pid) return found
  const group = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  const id = /([0-9a-f]{64})/.exec(group)?.[1]
  const started = id && join(containerFolder(folder, id), 'started')
  if (started && existsSync(started)) found.set(path, `/proc/${readFileSync(started, 'utf8').trim()}/ns/pid`)
  return found
}

async function createContainer(id: string, bundle: string): Promise<void> {
  const config = join(bundle, 'config.json')
  const spec = readJson<OciSpec>(config)
  const folder = podFolder(settings, sandboxIdOf(spec) ?? '')
  if (!existsSync(join(folder, 'state.json'))) throw new Error('the micro-VM of this Pod is gone')
  const { user } = readJson<PodState>(join(folder, 'state.json'))
  const { spec: guest, shared } = guestContainer(spec, id, pidNamespaces(spec, folder))
  const own = containerFolder(folder, id)
  mkdirSync(join(own, 'm'), { recursive: true, mode: 0o700 })
  mkdirSync(join(own, 'rootfs'))
  mkdirSync(join(settings.run, 'containers'), { recursive: true, mode: 0o700 })
  symlinkSync(folder, containerLink(settings, id))
  const mounts: [from: string, to: string][] = [[join(bundle, spec.root.path), join(own, 'rootfs')]]
  for (const { index, source } of shared) {
    const target = join(own, 'm', `${index}`)
    const kind = statSync(source)
    if (kind.isDirectory()) mkdirSync(target)
    else if (kind.isFile()) writeFileSync(target, '')
    else throw new Error(`${source} is neither a file nor a folder: a micro-VM cannot share it`)
    mounts.push([source, target])
  }
  for (const [from, to] of mounts) await run(['mount', '--rbind', from, to])
  writeJson(join(own, 'config.json'), guest)
  writeJson(config, clientSpec(spec, id, { folder, parts: partsFolder(settings.home), machineRoot: '', user }))
}

/** One more process of a container: here another client, in the guest another process. */
function enterContainer(id: string, file: string): void {
  const asked = readJson<OciProcess>(file)
  const folder = join(settings.run, 'containers', id)
  const { user } = readJson<PodState>(join(folder, 'state.json'))
  const number = randomBytes(6).toString('hex')
  writeJson(join(containerFolder(folder, id), `x${number}.json`), guestProcess(asked))
  writeJson(file, clientProcess(asked, user, guestCommand('enter', id, number)))
}

async function main(argv: string[]): Promise<void> {
  const { command, id, bundle = '.', process: file } = parseCall(argv)
  if (command === 'exec') {
    // The container that holds the namespaces has nothing to run.
    if (!file || !existsSync(containerLink(settings, id))) throw new Error('there is nothing to run a process in')
    enterContainer(id, file)
  } else if (command === 'create') {
    const spec = readJson<OciSpec>(join(bundle, 'config.json'))
    if (isSandbox(spec)) {
      await makeParts(settings.home, settings.home, () => {})
      await createSandbox(settings, id, join(bundle, 'config.json'), spec)
    } else await createContainer(id, bundle)
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const msg = (error as Error).message
  const { log } = parseCall(process.argv.slice(2))
  if (log) appendFileSync(log, `${JSON.stringify({ level: 'error', msg, time: new Date().toISOString() })}\n`)
  process.stderr.write(`${msg}\n`)
  process.exitCode = 1
}
