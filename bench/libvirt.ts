// libvirt as it comes with Debian, beside Tandem: a daemon of our own configuration and sockets, one network, and domains
// that have what the machines of the bench have. The daemon is in a network namespace of its own: the interfaces and rules
// that it makes end with it.

import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../src/host/exec.ts'

export interface Libvirt {
  /** As `virsh define`: a guest with this disk below its own, 128 MiB, one processor and a card on a network with DHCP. */
  define(name: string): Promise<Domain>
  /** Memory of the daemons, in KiB: what they share with others counts in parts. */
  daemonsKb(): number
  close(): Promise<void>
}

export interface Domain {
  /** Resolves as `virsh start` does. */
  start(): Promise<void>
  log: string
  pid(): number
  destroy(): Promise<void>
}

const bridge = 'tdbench0'
const subnet = '10.231.7'

/** What has to be installed first, or undefined. */
export function missing(): string | undefined {
  const programs = { libvirtd: '/usr/sbin/libvirtd', virtlogd: '/usr/sbin/virtlogd', virsh: '/usr/bin/virsh' }
  const absent = Object.entries(programs).filter(([, path]) => !existsSync(path))
  if (!absent.length) return undefined
  return `libvirt is not measured: ${absent.map(([name]) => name).join(', ')} not found; install libvirt-daemon-system and libvirt-clients`
}

export interface Guest {
  /** The disk below each guest's own. */
  disk: { path: string; format: string }
  accelerator: 'kvm' | 'tcg'
}

export async function startLibvirt(directory: string, guest: Guest): Promise<Libvirt> {
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  // libvirt's QEMU is a user of its own, too, and reads this directory only.
  const disk = { ...guest.disk, path: join(directory, 'base.img') }
  copyFileSync(guest.disk.path, disk.path)
  chmodSync(disk.path, 0o644)
  const conf = (name: string, lines: string[]): string => {
    const path = join(directory, name)
    writeFileSync(path, `${lines.join('\n')}\n`)
    return path
  }
  const sockets = join(directory, 'sockets')
  mkdirSync(sockets, { recursive: true })
  const pidFile = (name: string) => ['--pid-file', join(directory, `${name}.pid`)]
  const daemons: ChildProcess[] = [
    spawn('/usr/sbin/virtlogd', [...pidFile('virtlogd')], { stdio: 'ignore' }),
    spawn(
      'unshare',
      [
        ...['--mount', '--net', 'sh', '-c', alone(guest.accelerator), 'sh', '/usr/sbin/libvirtd'],
        ...['--config', conf('libvirtd.conf', [`unix_sock_dir = "${sockets}"`, 'auth_unix_rw = "none"'])],
        ...pidFile('libvirtd'),
      ],
      { stdio: 'ignore' },
    ),
  ]
  const uri = `qemu+unix:///system?socket=${join(sockets, 'libvirt-sock')}`
  const virsh = (...argv: string[]) => run(['virsh', '--quiet', '--connect', uri, ...argv], { timeoutMs: 120_000 })
  const removeNetwork = async () => {
    await virsh('net-destroy', 'tandem-bench').catch(() => {})
    await virsh('net-undefine', 'tandem-bench').catch(() => {})
  }
  const defined = new Set<string>()
  const remove = async (name: string) => {
    for (const step of ['destroy', 'undefine']) await virsh(step, name).catch(() => {})
    defined.delete(name)
  }
  const close = async () => {
    for (const name of defined) await remove(name)
    await removeNetwork()
    for (const daemon of daemons) daemon.kill('SIGTERM')
    await Promise.all(daemons.map((daemon) => daemon.exitCode ?? new Promise((done) => daemon.once('exit', done))))
  }
  try {
    for (let tries = 0; ; tries++)
      try {
        await virsh('version')
        break
      } catch (error) {
        if (tries > 100) throw error
        await sleep(100)
      }
    // Of a bench that was cut off.
    await removeNetwork()
    await virsh('net-define', conf('network.xml', [networkXml]))
    await virsh('net-start', 'tandem-bench')
  } catch (error) {
    await close()
    throw error
  }
  return {
    async define(name) {
      const overlay = join(directory, `${name}.qcow2`)
      const log = join(directory, `${name}.log`)
      await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', disk.path, '-F', disk.format, overlay])
      const xml = conf(`${name}.xml`, [domainXml(name, overlay, log, { ...guest, disk })])
      await remove(name)
      await virsh('define', xml)
      defined.add(name)
      const pidPath = `/run/libvirt/qemu/${name}.pid`
      return {
        log,
        pid: () => Number(readFileSync(pidPath, 'utf8')),
        async start() {
          await virsh('start', name)
        },
        destroy: () => remove(name),
      }
    },
    daemonsKb: () => daemons.reduce((sum, { pid }) => sum + proportionalKb(pid!), 0),
    close,
  }
}

/** A KVM that is there and does not work has libvirt ask QEMU anew what it can, at each start. */
const withoutKvm = [
  'mount -t tmpfs tmpfs /mnt',
  'mkdir /mnt/net /mnt/pts /mnt/shm',
  'for one in null zero full random urandom tty ptmx net/tun; do touch /mnt/$one; mount --bind /dev/$one /mnt/$one; done',
  'mount --rbind /dev/pts /mnt/pts',
  'mount --bind /dev/shm /mnt/shm',
  'mount --move /mnt /dev',
]

const alone = (accelerator: Guest['accelerator']): string =>
  ['set -e', 'ip link set lo up', ...(accelerator === 'tcg' ? withoutKvm : []), 'exec "$@"'].join('; ')

export const proportionalKb = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0)

const networkXml = `<network>
  <name>tandem-bench</name>
  <forward mode='nat'/>
  <bridge name='${bridge}' stp='off' delay='0'/>
  <ip address='${subnet}.1' netmask='255.255.255.0'>
    <dhcp><range start='${subnet}.10' end='${subnet}.250'/></dhcp>
  </ip>
</network>`

const domainXml = (name: string, overlay: string, log: string, { disk, accelerator }: Guest): string => {
  const kvm = accelerator === 'kvm'
  return `<domain type='${kvm ? 'kvm' : 'qemu'}'>
  <name>${name}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <cpu mode='${kvm ? 'host-passthrough' : 'maximum'}'/>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='writeback' discard='unmap'/>
      <source file='${overlay}'/>
      <backingStore type='file'><format type='${disk.format}'/><source file='${disk.path}'/><backingStore/></backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'><source network='tandem-bench'/><model type='virtio'/></interface>
    <serial type='file'><source path='${log}'/><target port='0'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc'><listen type='socket'/></graphics>
    <video><model type='vga' vram='16384'/></video>
    <memballoon model='virtio' freePageReporting='on'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <panic model='isa'/>
  </devices>
</domain>`
}
