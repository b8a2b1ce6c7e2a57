// Cloud Hypervisor's argument list for a micro-VM (pure; options of version 52). Its sockets are in its working directory.

import type { Guest, GuestCard, GuestDisk, VmmStart } from '../driver.ts'
import { kernelArguments } from '../kernel-arguments.ts'

export const apiSocket = 'api.sock'
export const consoleSocket = 'console.sock'

/** @throws Error for what would end its value: it knows quotes, and no way to write one */
function quoted(text: string): string {
  if (/["\n]/.test(text)) throw new Error(`Cloud Hypervisor takes no path with a quotation mark or line break: ${text}`)
  return /[,[\]]/.test(text) ? `"${text}"` : text
}

const onOff = (yes: boolean): string => (yes ? 'on' : 'off')

/** An image's format is said, and the files that it names are not opened. */
const disk = ({ path, readOnly }: GuestDisk): string =>
  `path=${quoted(path)},readonly=${onOff(readOnly)},image_type=raw,backing_files=off`

const card = ({ name, tap, mac }: GuestCard): string => `id=${name},tap=${quoted(tap)},mac=${mac}`

/** An option that is given once, with a word for each. */
const list = (option: string, words: string[]): string[] => (words.length ? [option, ...words] : [])

export function cloudHypervisorArgv(guest: Guest, { program, accelerator, waits }: VmmStart): string[] {
  if (accelerator !== 'kvm') throw new Error('Cloud Hypervisor needs KVM: it does not emulate')
  const base = [program, '--api-socket', `path=${apiSocket}`, '--seccomp', 'true']
  // What it loads says what the guest is.
  if (waits) return base
  const size = Math.ceil(guest.memoryBytes / 2 ** 20)
  const { folder } = guest
  return [
    ...base,
    ...['--kernel', guest.kernel, '--initramfs', guest.initrd, '--cmdline', kernelArguments(accelerator)],
    ...['--cpus', `boot=${guest.cpus}`],
    // Shared: the process that serves the files reads and writes there what the guest asks for.
    ...['--memory', `size=${size}M,shared=${onOff(folder !== undefined)}`],
    ...['--serial', `socket=${consoleSocket}`, '--console', 'off'],
    ...list('--net', guest.cards.map(card)),
    ...list('--disk', guest.disks.map(disk)),
    ...list('--fs', folder ? [`tag=${quoted(folder.tag)},socket=${quoted(folder.socket)}`] : []),
    ...['--rng', 'src=/dev/urandom'],
    // What the guest frees is this machine's again.
    ...['--balloon', 'size=0,free_page_reporting=on'],
  ]
}
