// Makes what a Pod's micro-VM needs on this machine before its QEMU starts: a user, a folder that it shares with its guest,
// the process that serves this folder, and the ends of its network.

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../exec.ts'
import { controlMac, type MachineShape } from './machine-argv.ts'
import { type GuestNetwork, guestAddress, prepareNetwork } from './network.ts'
import { annotationOf, networkOf, type OciSpec } from './oci.ts'
import { otherVmm, otherVmmArgv } from './other-vmm.ts'
import { partsFolder } from './parts-folder.ts'
import {
  askedFolder,
  bootFolder,
  firstUser,
  podFolder,
  type Settings,
  sharedFolder,
  treeFolder,
  userCount,
  userFolder,
} from './places.ts'
import { sizeOf } from './size.ts'
import { machineSpec } from './specs.ts'
import { type Asked, findTemplate, keyOf, programsOf } from './templates.ts'

/** Where Debian's qemu-system-common has it. */
const virtiofsd = '/usr/lib/qemu/virtiofsd'
const patienceMs = 20_000

export async function createSandbox(settings: Settings, id: string, config: string, spec: OciSpec): Promise<void> {
  const netns = networkOf(spec)
  if (!netns)
    throw new Error('a Pod in a micro-VM has a network of its own: hostNetwork needs another runtimeClassName')
  const other = otherVmm(process.env.TANDEM_MICROVM_VMM)
  const user = claimUser(settings, id)
  const folder = podFolder(settings, id)
  const tree = treeFolder(folder)
  mkdirSync(tree, { recursive: true, mode: 0o711 })
  for (const name of ['boot', 'c']) mkdirSync(join(tree, name), { mode: 0o711 })
  for (const name of ['shared', 'vm']) mkdirSync(join(folder, name), { mode: 0o700 })
  chownSync(join(folder, 'vm'), user, user)
  writeFileSync(join(folder, 'state.json'), JSON.stringify({ user }))
  await shareTree(folder)
  const [network] = await Promise.all([prepareNetwork(netns, user), serveFiles(folder, user)])
  writeBoot(bootFolder(folder), spec, network)
  const size = sizeOf((name) => annotationOf(spec, name), availableParallelism())
  const shape = { ...size, podMac: network.mac, accelerator: other?.accelerator ?? settings.accelerator }
  const parts = partsFolder(settings.home)
  const template = other ? undefined : templateFor(settings, id, parts, shape)
  const places = { folder, parts, machineRoot: machineRoot(settings), user, template }
  const machine = machineSpec(spec, shape, places)
  if (other) machine.process.args = otherVmmArgv(other, shape)
  writeFileSync(config, JSON.stringify(machine))
}

/** The saved state that a machine of this shape goes on from. Tandem is told of it: it makes one where there is none yet. */
function templateFor(settings: Settings, id: string, parts: string, shape: MachineShape): string | undefined {
  const { memoryBytes, cpus, accelerator } = shape
  const inputs = { programs: programsOf(parts, accelerator), hardware: { memoryBytes, cpus, accelerator } }
  const key = keyOf(inputs)
  const folder = findTemplate(settings.home, key)
  const now = new Date()
  if (folder) utimesSync(folder, now, now)
  const asked: Asked = { key, inputs, used: folder !== undefined }
  mkdirSync(askedFolder(settings), { recursive: true, mode: 0o700 })
  const path = join(askedFolder(settings), id)
  writeFileSync(`${path}.new`, JSON.stringify(asked))
  renameSync(`${path}.new`, path)
  return folder
}

/** Guests cannot fill this machine's memory with what they say. */
const bootOptions = 'size=512k,nr_inodes=4096,mode=755,nosuid,nodev,noexec'

async function shareTree(folder: string): Promise<void> {
  const shared = sharedFolder(folder)
  await run(['mount', '--bind', '-o', 'ro', treeFolder(folder), shared])
  // What is mounted below it later is seen by who serves it, and nowhere else.
  await run(['mount', '--make-private', shared])
  await run(['mount', '--make-shared', shared])
  await run(['mount', '-t', 'tmpfs', '-o', bootOptions, 'boot', bootFolder(folder)])
}

/** The same user for one sandbox, whoever asks and how often. */
function claimUser(settings: Settings, id: string): number {
  mkdirSync(join(settings.run, 'users'), { recursive: true, mode: 0o700 })
  const first = Number.parseInt(id.slice(0, 8), 16) % userCount
  for (let turn = 0; turn < userCount; turn++) {
    const user = firstUser + ((first + turn) % userCount)
    try {
      mkdirSync(userFolder(settings, user))
      return user
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  throw new Error(`all ${userCount} users of micro-VMs are taken: delete Pods that have ended`)
}

/** Empty but for the places where this machine's programs are shown. */
function machineRoot({ run: at }: Settings): string {
  const root = join(at, 'root')
  if (existsSync(join(root, 'template'))) return root
  for (const name of ['usr', 'proc', 'dev', 'tmp', 'parts', 'sys', 'vm', 'template'])
    mkdirSync(join(root, name), { recursive: true, mode: 0o755 })
  for (const name of ['bin', 'sbin', 'lib', 'lib64'])
    if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name))
  return root
}

function writeBoot(boot: string, spec: OciSpec, { mac, address, gateway, mtu }: GuestNetwork): void {
  const settings = {
    hostname: spec.hostname ?? 'localhost',
    ...{ control_mac: controlMac, control_address: `${guestAddress}/30` },
    ...{ pod_mac: mac, address, gateway, mtu },
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  const sysctls = Object.entries(spec.linux.sysctl ?? {}).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(join(boot, 'seed'), randomBytes(512))
  writeFileSync(join(boot, 'sysctls'), sysctls.join(''))
  writeFileSync(join(boot, 'settings'), lines.join(''))
}

/** It ends when QEMU lets go of it. Every open file of the guest's is one of its own, too. */
async function serveFiles(folder: string, user: number): Promise<void> {
  const socket = join(folder, 'vm/files.sock')
  const log = openSync(join(folder, 'files.log'), 'a', 0o600)
  const options = `source=${sharedFolder(folder)},xattr,announce_submounts,cache=auto`
  const script = 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"'
  // A path of a socket may have 107 bytes, and the lock that virtiofsd holds is named after it: short, and no other's.
  const args = ['-f', `--socket-path=${basename(folder)}/vm/files.sock`, '-o', options, '--rlimit-nofile=0']
  const child = spawn('sh', ['-c', script, virtiofsd, ...args], {
    cwd: dirname(folder),
    detached: true,
    stdio: ['ignore', log, log],
  })
  child.unref()
  writeFileSync(join(folder, 'files.pid'), `${child.pid}`)
  for (const end = Date.now() + patienceMs; !existsSync(socket); await sleep(5))
    if (Date.now() > end || child.exitCode !== null)
      throw new Error(`virtiofsd does not start: ${readFileSync(join(folder, 'files.log'), 'utf8').trim().slice(-300)}`)
  chownSync(socket, user, user)
}
