// Real VMMs for their contract: a guest that tells of its hardware, made of Debian's kernel and busybox, and a VMM that is
// nobody, in a network namespace of its own.

import { execFileSync, spawn } from 'node:child_process'
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApt } from '../../src/host/images/build/apt.ts'
import { cacheLockOf } from '../../src/host/images/build/build-image.ts'
import { addModules, writeCpio } from '../../src/host/images/build/initramfs.ts'
import { createPackageFiles } from '../../src/host/images/build/package-files.ts'
import { waitForLock } from '../../src/host/lock.ts'
import { withKvm } from '../../src/host/machines/accelerator.ts'
import { type LaunchRequest, launch, processesBelow, signal } from '../../src/host/machines/process.ts'
import type { StartedVmm, VmmSubject } from '../../src/host/vmm/driver.contract.ts'
import type { Guest, VmmDriver } from '../../src/host/vmm/driver.ts'
import { home } from './tandem.fixture.ts'

const mac = '02:00:00:00:07:01'
const tap = 'guest0'
const diskBytes = 3 * 2 ** 20
const word = 'shared-word'
/** Nobody else's. */
const user = { uid: 1_099_991, gid: 1_099_991 }
const virtiofsd = '/usr/lib/qemu/virtiofsd'

const init = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
cd /modules && while read -r module; do insmod "$module"; done < load
cd /
trap 'poweroff -f' USR1 USR2
acpid -f -l /dev/null &
until ls -l /proc/[0-9]*/fd 2> /dev/null | grep -q /dev/input/event; do usleep 10000; done
card=none disk=none word=none
if [ -e /sys/class/net/eth0 ]; then
  mount -t virtiofs files /shared
  card=$(cat /sys/class/net/eth0/address) disk=$(($(cat /sys/block/vda/size) * 512)) word=$(cat /shared/word)
fi
echo "guest: ready processors=$(nproc) card=$card disk=$disk word=$word"
tick=0
while :; do
  tick=$((tick + 1))
  echo "tick $tick"
  usleep 100000
done
`

const pressed = `#!/bin/sh
kill -USR1 1
`

export interface VmmGuestFiles {
  kernel: string
  initrd: string
}

/** Uses the packages that micro-VMs are made of. */
export async function buildVmmGuest(folder: string): Promise<VmmGuestFiles> {
  const cache = join(home, '.cache/microvm')
  mkdirSync(cache, { recursive: true })
  const lock = await waitForLock(cacheLockOf(cache))
  const scratch = mkdtempSync(join(folder, 'packages-'))
  try {
    const files = createPackageFiles(await createApt(cache, 'bookworm', () => {}), scratch)
    const tree = join(scratch, 'tree')
    for (const name of ['bin', 'proc', 'sys', 'dev', 'shared', 'etc/acpi/PWRF'])
      await mkdir(join(tree, name), { recursive: true })
    const busybox = await files.file('busybox-static', '/bin/busybox')
    copyFileSync(busybox, join(tree, 'bin/busybox'))
    for (const name of await files.applets(busybox))
      if (name !== 'busybox') await symlink('busybox', join(tree, 'bin', name))
    await writeFile(join(tree, 'init'), init, { mode: 0o755 })
    await writeFile(join(tree, 'etc/acpi/PWRF/00000080'), pressed, { mode: 0o755 })
    const unpacked = await files.folder('linux-image-cloud-amd64', '/boot/vmlinuz-*')
    const name = readdirSync(join(unpacked, 'boot')).find((one) => one.startsWith('vmlinuz-'))!
    const modules = ['virtio_pci', 'virtio_net', 'virtio_blk', 'virtiofs', 'button', 'evdev']
    await addModules(tree, join(unpacked, 'lib/modules', name.slice('vmlinuz-'.length)), modules)
    const made = { kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd') }
    copyFileSync(join(unpacked, 'boot', name), made.kernel)
    await writeCpio(tree, made.initrd, 0)
    for (const file of Object.values(made)) await chmod(file, 0o644)
    return made
  } finally {
    lock.close()
    rmSync(scratch, { recursive: true })
  }
}

export interface OpenVmm {
  driver: VmmDriver
  program: string
  accelerator: 'kvm' | 'tcg'
  guest: VmmGuestFiles
}

const run = (...argv: string[]) => execFileSync(argv[0]!, argv.slice(1), { encoding: 'utf8' })

export async function openVmm({ driver, program, accelerator, guest }: OpenVmm): Promise<VmmSubject> {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-'))
  const netns = `tvmm-${process.pid}`
  const [vmms, hidden, shared] = ['vmms', 'hidden', 'shared'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await chmod(folder, 0o755)
  for (const path of [vmms, hidden, shared]) mkdirSync(path, { mode: 0o755 })
  writeFileSync(join(shared, 'word'), `${word}\n`)
  run('ip', 'netns', 'add', netns)
  run('ip', '-n', netns, 'tuntap', 'add', 'dev', tap, 'mode', 'tap', 'user', `${user.uid}`, 'vnet_hdr')
  run('ip', '-n', netns, 'link', 'set', 'dev', tap, 'up')
  let count = 0
  // VMMs outlive who started them, and so do not keep the test's process waiting for them.
  const awake = setInterval(() => {}, 1000)

  async function hardware(directory: string): Promise<Partial<Guest>> {
    const path = join(directory, 'disk.img')
    writeFileSync(path, Buffer.alloc(diskBytes))
    chownSync(path, user.uid, user.gid)
    const options = `source=${shared},cache=auto`
    spawn(virtiofsd, ['-f', '--socket-path=files.sock', '-o', options], { cwd: directory, stdio: 'ignore' })
    const socket = join(directory, 'files.sock')
    for (let turn = 0; !existsSync(socket); turn++) {
      if (turn > 12_000) throw new Error('virtiofsd does not start')
      await sleep(10)
    }
    chownSync(socket, user.uid, user.gid)
    return {
      disks: [{ path: 'disk.img', readOnly: true }],
      cards: [{ name: 'card', tap, mac }],
      folder: { tag: 'files', socket: 'files.sock' },
    }
  }

  async function start(what: 'whole' | 'bare' | 'waiting'): Promise<StartedVmm> {
    const directory = join(vmms, `${count++}`)
    mkdirSync(directory, { mode: 0o700 })
    chownSync(directory, user.uid, user.gid)
    const bare: Guest = { ...guest, memoryBytes: 128 * 2 ** 20, cpus: 1, disks: [], cards: [] }
    const all = what === 'whole' ? { ...bare, ...(await hardware(directory)) } : bare
    const argv = driver.argv(all, { program, accelerator, waits: what === 'waiting' })
    let over = (_how: string) => {}
    const ended = new Promise<string>((resolve) => {
      over = resolve
    })
    const logFile = join(folder, `log-${count}`)
    const request: LaunchRequest = {
      program: argv[0]!,
      args: argv.slice(1),
      directory,
      logFile,
      netns: `/run/netns/${netns}`,
      user: accelerator === 'kvm' ? withKvm(user) : user,
      hidden,
      files: [],
    }
    const identity = await launch(request, over)
    const log = () => readFileSync(logFile, 'utf8').trim()
    return { control: driver.control(directory, user), directory, ended, log, kill: () => signal(identity, 'SIGKILL') }
  }

  /**
   * Processes that work in a directory of a VMM: itself, and who serves its files, which may still be on its way out; and a
   * tap that is held, of whose end the kernel tells within a second.
   */
  async function left(): Promise<string[]> {
    const look = () => {
      const busy = [...processesBelow(vmms)].map(([name]) => name)
      const carrier = run('ip', '-n', netns, '-o', 'link', 'show', 'dev', tap)
      return [...busy, ...(carrier.includes('NO-CARRIER') ? [] : [carrier])]
    }
    for (let turn = 0; look().length && turn < 600; turn++) await sleep(50)
    return look()
  }

  return {
    start,
    expected: `processors=1 card=${mac} disk=${diskBytes} word=${word}`,
    folder(vmm, name) {
      const path = join(vmm.directory, name)
      mkdirSync(path, { mode: 0o700 })
      chownSync(path, user.uid, user.gid)
      return path
    },
    left,
    async close() {
      clearInterval(awake)
      for (const identities of processesBelow(vmms).values()) for (const one of identities) signal(one, 'SIGKILL')
      run('ip', 'netns', 'del', netns)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
