// A container image with a kernel and an initial file system for spec.domain.firmware.kernelBoot, made for a test: what
// images/minimal-vm boots, with more modules. Uses the packages that building that image has fetched.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { addModules, writeCpio } from '../../src/host/images/build/initramfs.ts'
import { home, type TestTandem } from './tandem.fixture.ts'

interface RecipeFile {
  path: string
  source?: string
  mode?: string
  directory?: boolean
  package?: string
}

function unpack(pattern: string, into: string): void {
  const archive = globSync(join(home, '.cache/images/*/archives', pattern))
    .sort()
    .at(-1)
  assert.ok(archive, `no package ${pattern}: images/minimal-vm is to be built before`)
  execFileSync('dpkg-deb', ['--extract', archive, into])
}

export async function buildKernelImage(tandem: TestTandem, modules: string[]): Promise<string> {
  const work = join(tandem.stateDir, 'kernel-image')
  const packages = join(work, 'packages')
  const tree = join(work, 'tree')
  for (const path of [packages, tree]) mkdirSync(path, { recursive: true })
  unpack('linux-image-[0-9]*-cloud-*.deb', packages)
  unpack('busybox-static_*.deb', packages)
  const folder = join(home, 'images/minimal-vm')
  const { disk } = parse(readFileSync(join(folder, 'recipe.yaml'), 'utf8'))
  for (const file of disk.initramfs.files as RecipeFile[]) place(folder, packages, tree, file)
  const release = globSync('lib/modules/*', { cwd: packages })[0]!
  await addModules(tree, join(packages, release), [...disk.initramfs.modules, ...modules])
  await writeCpio(tree, join(work, 'initrd'), 0)
  copyFileSync(globSync(join(packages, 'boot/vmlinuz-*'))[0]!, join(work, 'vmlinuz'))
  const image = 'test.dev/kernel:1'
  const files = ['vmlinuz', 'initrd'].map((name) => ({ path: `/boot/${name}`, source: name }))
  writeFileSync(join(work, 'recipe.yaml'), JSON.stringify({ kind: 'container', names: [image], files }))
  const built = await tandem.tandem('image', 'build', work, '-f', join(tandem.stateDir, 'kernel.tar'))
  assert.equal(built.code, 0, built.stderr)
  return image
}

function place(folder: string, packages: string, tree: string, file: RecipeFile): void {
  const target = join(tree, file.path)
  mkdirSync(file.directory ? target : dirname(target), { recursive: true })
  if (file.directory) return
  copyFileSync(file.package ? join(packages, file.path) : join(folder, file.source!), target)
  chmodSync(target, Number.parseInt(file.mode ?? '0755', 8))
  if (!file.package) return
  const applets = execFileSync(target, ['--list'], { encoding: 'utf8' }).split('\n')
  for (const name of applets.filter((applet) => applet && applet !== 'busybox'))
    symlinkSync('busybox', join(dirname(target), name))
}
