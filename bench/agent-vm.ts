// The guest of copies: the minimal VM with Debian's own qemu-guest-agent, by which a copy is told who it is.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'

export const agentImage = 'bench.dev/agent-vm:1'

const libraries: Record<string, string[]> = {
  libc6: ['libc.so.6', 'libm.so.6'],
  'libglib2.0-0': ['libglib-2.0.so.0', 'libgmodule-2.0.so.0'],
  'libpcre2-8-0': ['libpcre2-8.so.0'],
  libnuma1: ['libnuma.so.1'],
  libudev1: ['libudev.so.1'],
  liburing2: ['liburing.so.2'],
}

/** In Debian, the library is a file with its full version, and its name a link to it; glibc's are plain files. */
const libraryFiles = Object.entries(libraries).flatMap(([name, files]) =>
  files.map((file) => ({
    path: `/lib/${file}`,
    package: name,
    from: name === 'libc6' ? `/lib/x86_64-linux-gnu/${file}` : `/usr/lib/x86_64-linux-gnu/${file}.*`,
  })),
)

/** Writes the recipe into the new folder `into`. */
export function writeAgentRecipe(home: string, into: string): void {
  cpSync(join(home, 'images/minimal-vm'), into, { recursive: true })
  const change = (file: string, work: (text: string) => string) => {
    const path = join(into, file)
    writeFileSync(path, work(readFileSync(path, 'utf8')))
  }
  change('recipe.yaml', (text) => {
    const recipe = parse(text)
    const { initramfs } = recipe.disk
    initramfs.modules.push('virtio_console')
    initramfs.files.push(
      { path: '/sbin/qemu-ga', package: 'qemu-guest-agent', from: '/usr/sbin/qemu-ga', mode: '0755' },
      {
        path: '/lib64/ld-linux-x86-64.so.2',
        package: 'libc6',
        from: '/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2',
        mode: '0755',
      },
      ...libraryFiles,
      { path: '/run', directory: true },
    )
    return stringify({ ...recipe, names: [agentImage] })
  })
  const line = 'ip link set lo up'
  change('init', (text) => {
    if (!text.includes(line)) throw new Error(`images/minimal-vm/init has no "${line}" any more`)
    // No udev there: the port has no name in /dev.
    return text.replace(line, `${agent}\n${line}`)
  })
}

const agent = `
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = org.qemu.guest_agent.0 ] || continue
  /sbin/qemu-ga -m virtio-serial -p "/dev/\${port##*/}" -t /run -f /run/qemu-ga.pid > /run/qemu-ga.log 2>&1 &
done`
