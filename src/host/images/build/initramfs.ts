// A small initramfs: the files of a recipe and the kernel modules that it names, as a newc cpio archive. Not compressed
// when stored on the disk: under software emulation unpacking costs more than reading.

import { copyFile, lstat, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'

/** What a module needs loaded before it, from its own .modinfo section ("depends=virtio,virtio_ring"). */
export function moduleDepends(bytes: Buffer): string[] {
  const at = bytes.indexOf('\0depends=')
  if (at < 0) return []
  const start = at + '\0depends='.length
  return bytes.toString('latin1', start, bytes.indexOf(0, start)).split(',').filter(Boolean)
}

const moduleName = (path: string) => posix.basename(path).replace(/\.ko$/, '').replaceAll('-', '_')

/** Paths of the modules with what they need, in the order to load them. `modules.order` lists all, .builtin the rest. */
async function inLoadOrder(modulesFolder: string, wanted: string[]): Promise<string[]> {
  const lines = async (name: string) => (await readFile(join(modulesFolder, name), 'utf8')).split('\n').filter(Boolean)
  const paths = new Map((await lines('modules.order')).map((path) => [moduleName(path), path]))
  const builtin = new Set((await lines('modules.builtin')).map(moduleName))
  const ordered: string[] = []
  async function add(name: string): Promise<void> {
    const path = paths.get(moduleName(name))
    if (!path && builtin.has(moduleName(name))) return
    if (!path) throw new Error(`the kernel has no module ${name}`)
    if (ordered.includes(path)) return
    for (const needed of moduleDepends(await readFile(join(modulesFolder, path)))) await add(needed)
    ordered.push(path)
  }
  for (const name of wanted) await add(name)
  return ordered
}

/** Copies modules into the tree's /modules and writes their order to /modules/load, of those for later to /modules/later. */
export async function addModules(
  tree: string,
  modulesFolder: string,
  wanted: string[],
  later: string[] = [],
): Promise<void> {
  const first = await inLoadOrder(modulesFolder, wanted)
  const paths = await inLoadOrder(modulesFolder, [...wanted, ...later])
  const target = join(tree, 'modules')
  await mkdir(target, { recursive: true })
  for (const path of paths) await copyFile(join(modulesFolder, path), join(target, posix.basename(path)))
  const lines = (some: string[]) => some.map((path) => `${posix.basename(path)}\n`).join('')
  await writeFile(join(target, 'load'), lines(first))
  if (later.length) await writeFile(join(target, 'later'), lines(paths.filter((path) => !first.includes(path))))
}

/** Everything below `tree` as one cpio archive: sorted, owned by root, all of one time. */
export async function writeCpio(tree: string, archive: string, epoch: number): Promise<void> {
  const parts: Buffer[] = []
  let inode = 1
  const add = (name: string, mode: number, data: Buffer) => {
    parts.push(cpioEntry({ inode: inode++, name, mode, epoch, data }))
  }
  async function walk(relative: string): Promise<void> {
    for (const name of (await readdir(join(tree, relative))).sort()) {
      const path = posix.join(relative, name)
      const info = await lstat(join(tree, path))
      if (info.isDirectory()) {
        add(path, 0o040000 | (info.mode & 0o7777), Buffer.alloc(0))
        await walk(path)
      } else if (info.isSymbolicLink()) add(path, 0o120777, Buffer.from(await readlink(join(tree, path))))
      else if (info.isFile()) add(path, 0o100000 | (info.mode & 0o7777), await readFile(join(tree, path)))
    }
  }
  await walk('')
  // The kernel opens /dev/console for init before anything can make it.
  parts.push(cpioEntry({ inode: inode++, name: 'dev', mode: 0o040755, epoch, data: Buffer.alloc(0) }))
  parts.push(
    cpioEntry({ inode: inode++, name: 'dev/console', mode: 0o020600, epoch, data: Buffer.alloc(0), device: [5, 1] }),
  )
  parts.push(cpioEntry({ inode: 0, name: 'TRAILER!!!', mode: 0, epoch: 0, data: Buffer.alloc(0) }))
  await mkdir(dirname(archive), { recursive: true })
  await writeFile(archive, Buffer.concat(parts))
}

interface CpioEntry {
  inode: number
  name: string
  mode: number
  epoch: number
  data: Buffer
  device?: [number, number]
}

function cpioEntry({ inode, name, mode, epoch, data, device = [0, 0] }: CpioEntry): Buffer {
  const nameBytes = Buffer.from(`${name}\0`)
  const fields = [inode, mode, 0, 0, 1, epoch, data.length, 0, 0, ...device, nameBytes.length, 0]
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
  const padded = (bytes: Buffer, before: number) => Buffer.alloc((4 - ((before + bytes.length) % 4)) % 4)
  return Buffer.concat([Buffer.from(header), nameBytes, padded(nameBytes, header.length), data, padded(data, 0)])
}
