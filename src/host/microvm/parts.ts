// What every micro-VM is made of, out of Debian's packages and made once: kernel, initial file system, and on this side
// the small root in which the program runs that stands for a container.

import { existsSync } from 'node:fs'
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { run } from '../exec.ts'
import { type Apt, createApt } from '../images/build/apt.ts'
import { cacheLockOf } from '../images/build/build-image.ts'
import { addModules, writeCpio } from '../images/build/initramfs.ts'
import { createPackageFiles, type PackageFiles } from '../images/build/package-files.ts'
import { waitForLock } from '../lock.ts'
import { clientFolder, guestFolder, type Parts, partsFolder, partsOf } from './parts-folder.ts'

const suite = 'bookworm'
const kernelPackage = 'linux-image-cloud-amd64'
const modules = ['virtio_pci', 'virtio_net', 'virtiofs', 'overlay', 'virtio_rng', 'virtio_balloon']
const libraries = 'usr/lib/x86_64-linux-gnu'

/** Of both sides: it joins them (client/reach, guest/door) and makes a guest its Pod's (guest/become). */
const perl = '/usr/bin/perl'
/** Of the guest alone. */
const crun = '/usr/bin/crun'
const packages = ['perl-base', 'libcrypt1', 'crun', 'libyajl2', 'libseccomp2', 'libcap2', 'libsystemd0']
/** What the libraries above need themselves. */
const further = ['libc6', 'liblzma5', 'libzstd1', 'liblz4-1', 'libgcrypt20', 'libgpg-error0']

/** Made the first time that somebody asks, by one of those who ask at once. */
export async function makeParts(home: string, cacheDir: string, onProgress: (line: string) => void): Promise<Parts> {
  const folder = partsFolder(home)
  if (existsSync(folder)) return partsOf(folder)
  await mkdir(home, { recursive: true, mode: 0o755 })
  const lock = await waitForLock(cacheLockOf(cacheDir))
  const scratch = await mkdtemp(join(home, '.parts-'))
  try {
    if (existsSync(folder)) return partsOf(folder)
    const apt = await createApt(cacheDir, suite, onProgress)
    const files = createPackageFiles(apt, scratch)
    const made = join(scratch, 'made')
    const unpacked = join(scratch, 'unpacked')
    await makeTools(join(made, 'tools'), unpacked, apt, files)
    await makeGuest(made, join(scratch, 'guest'), files, unpacked)
    await chmod(made, 0o755)
    await rename(made, folder)
    return partsOf(folder)
  } finally {
    lock.close()
    await rm(scratch, { recursive: true, force: true })
  }
}

async function makeTools(tree: string, unpacked: string, apt: Apt, files: PackageFiles): Promise<void> {
  for (const folder of ['bin', 'dev', 'etc', 'lib64', 'proc', 'root', 'sys', 'tmp', 'run', 'pod'])
    await mkdir(join(tree, folder), { recursive: true, mode: 0o755 })
  const busybox = await files.file('busybox-static', '/bin/busybox')
  await copyFile(busybox, join(tree, 'bin/busybox'))
  for (const name of await files.applets(busybox))
    if (name !== 'busybox') await symlink('busybox', join(tree, 'bin', name))
  for (const name of [...packages, ...further]) await run(['dpkg-deb', '--extract', await apt.fetch(name), unpacked])
  // Before the /usr merge some libraries were in /lib.
  if (existsSync(join(unpacked, 'lib')))
    await cp(join(unpacked, 'lib'), join(unpacked, 'usr/lib'), { recursive: true, verbatimSymlinks: true })
  await addProgram(tree, unpacked, perl)
  await addScripts(tree, clientFolder)
}

async function addScripts(tree: string, folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const target = join(tree, name === 'init' ? 'init' : `bin/${name}`)
    await writeFile(target, await readFile(join(folder, name)))
    await chmod(target, 0o755)
  }
}

/** The program with the libraries that its own loader finds for it. */
async function addProgram(tree: string, unpacked: string, program: string): Promise<void> {
  const loader = join(unpacked, libraries, 'ld-linux-x86-64.so.2')
  const { stdout } = await run([loader, '--library-path', join(unpacked, libraries), '--list', join(unpacked, program)])
  const found = [...stdout.matchAll(/=> (\S+) \(/g)].map(([, path]) => path!)
  const foreign = found.find((path) => relative(unpacked, path).startsWith('..'))
  if (foreign) throw new Error(`${program} needs ${basename(foreign)}, whose package is not in the list`)
  await mkdir(dirname(join(tree, program)), { recursive: true })
  await copyFile(join(unpacked, program), join(tree, program))
  await mkdir(join(tree, libraries), { recursive: true })
  for (const path of found) await copyFile(path, join(tree, libraries, basename(path)))
  await copyFile(loader, join(tree, 'lib64/ld-linux-x86-64.so.2'))
}

async function makeGuest(made: string, tree: string, files: PackageFiles, unpacked: string): Promise<void> {
  await cp(join(made, 'tools'), tree, { recursive: true, verbatimSymlinks: true })
  await addProgram(tree, unpacked, crun)
  await addScripts(tree, guestFolder)
  const kernelFolder = await files.folder(kernelPackage, '/boot/vmlinuz-*')
  const name = (await readdir(join(kernelFolder, 'boot'))).find((one) => one.startsWith('vmlinuz-'))!
  await copyFile(join(kernelFolder, 'boot', name), join(made, 'vmlinuz'))
  await addModules(tree, join(kernelFolder, 'lib/modules', name.slice('vmlinuz-'.length)), modules)
  await writeCpio(tree, join(made, 'initrd'), 0)
  for (const file of ['vmlinuz', 'initrd']) await chmod(join(made, file), 0o644)
}
