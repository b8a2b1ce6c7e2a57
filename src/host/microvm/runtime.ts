// `create` and `exec` of the runtime that containerd's shim calls for a Pod in a micro-VM. Makes of the bundle what runs in
// the guest and what stands for it here, then becomes runc. (runtime.sh does the other commands.)

import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { run } from '../exec.ts'
import { parseCall } from './call.ts'
import { createSandbox } from './create-sandbox.ts'
import type { OciProcess, OciSpec } from './oci.ts'
import { isSandbox, sandboxIdOf } from './oci.ts'
import { partsFolder } from './parts-folder.ts'
import { bootFolder, containerFolder, containerLink, mountFolder, podFolder, type Settings } from './places.ts'
import { clientSpec, enteringProcess, guestContainer, guestProcess } from './specs.ts'

const { TANDEM_MICROVM_RUN, TANDEM_MICROVM_HOME, TANDEM_MICROVM_ACCELERATOR } = process.env
const settings: Settings = {
  run: TANDEM_MICROVM_RUN!,
  home: TANDEM_MICROVM_HOME!,
  accelerator: TANDEM_MICROVM_ACCELERATOR === 'kvm' ? 'kvm' : 'tcg',
}

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
  const started = id ? saidNumber(join(bootFolder(folder), `${id}.started`)) : undefined
  if (started !== undefined) found.set(path, `/proc/${started}/ns/pid`)
  return found
}

/** A number that a guest has written down, if it is one: the file may be anything. */
function saidNumber(path: string): number | undefined {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const bytes = Buffer.alloc(16)
      const text = bytes.toString('latin1', 0, readSync(file, bytes, 0, bytes.length, 0)).trim()
      return /^[1-9]\d*$/.test(text) ? Number(text) : undefined
    } finally {
      closeSync(file)
    }
  } catch {
    return undefined
  }
}

async function createContainer(id: string, bundle: string): Promise<void> {
  const config = join(bundle, 'config.json')
  const spec = readJson<OciSpec>(config)
  const folder = podFolder(settings, sandboxIdOf(spec) ?? '')
  if (!existsSync(join(folder, 'state.json'))) throw new Error('the micro-VM of this Pod is gone')
  const { user } = readJson<PodState>(join(folder, 'state.json'))
  const { spec: guest, shared } = guestContainer(spec, id, pidNamespaces(spec, folder))
  const own = containerFolder(folder, id)
  const places = mountFolder(folder, id)
  mkdirSync(join(own, 'm'), { recursive: true, mode: 0o700 })
  mkdirSync(join(own, 'rootfs'))
  mkdirSync(join(settings.run, 'containers'), { recursive: true, mode: 0o700 })
  symlinkSync(folder, containerLink(settings, id))
  const mounts = [{ from: join(bundle, spec.root.path), to: join(places, 'rootfs'), readOnly: false }]
  for (const { index, source, readOnly } of shared) {
    const target = join(own, 'm', `${index}`)
    const kind = statSync(source)
    if (kind.isDirectory()) mkdirSync(target)
    else if (kind.isFile()) writeFileSync(target, '')
    else throw new Error(`${source} is neither a file nor a folder: a micro-VM cannot share it`)
    mounts.push({ from: source, to: join(places, 'm', `${index}`), readOnly })
  }
  for (const { from, to, readOnly } of mounts)
    await (readOnly ? showReadOnly(from, to, join(folder, `ro-${id}`)) : run(['mount', '--rbind', from, to]))
  writeJson(join(own, 'config.json'), guest)
  writeJson(config, clientSpec(spec, id, { folder, parts: partsFolder(settings.home), machineRoot: '', user }))
}

/** For a guest, too, that does not keep to its own mounts: nobody who serves it ever sees one that can be written. */
async function showReadOnly(from: string, to: string, aside: string): Promise<void> {
  const isFolder = statSync(from).isDirectory()
  if (isFolder) mkdirSync(aside)
  else writeFileSync(aside, '')
  await run(['mount', '--rbind', from, aside])
  await run(['mount', '-o', 'remount,bind,ro', aside])
  await run(['mount', '--rbind', aside, to])
  await run(['umount', '--lazy', aside])
  if (isFolder) rmdirSync(aside)
  else unlinkSync(aside)
}

/** One more process of a container: here another client, in the guest another process. */
function enterContainer(id: string, file: string): void {
  const asked = readJson<OciProcess>(file)
  const folder = join(settings.run, 'containers', id)
  const { user } = readJson<PodState>(join(folder, 'state.json'))
  const number = randomBytes(6).toString('hex')
  const own = containerFolder(folder, id)
  forgetOldProcesses(own)
  writeJson(join(own, `x${number}.json`), guestProcess(asked))
  writeJson(file, enteringProcess(asked, user, id, number))
}

/** What makes them is not even read where they are there: this is on the way of every start. */
async function provideParts(): Promise<void> {
  if (existsSync(partsFolder(settings.home))) return
  const { makeParts } = await import('./parts.ts')
  await makeParts(settings.home, settings.home, () => {})
}

/** Long read by the guest; a container that is asked how it is every second would fill the folder. */
const processFileMs = 120_000

function forgetOldProcesses(own: string): void {
  for (const name of readdirSync(own).filter((one) => /^x[0-9a-f]+\.json$/.test(one))) {
    const path = join(own, name)
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > processFileMs)
      rmSync(path, { force: true })
  }
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
      await provideParts()
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
