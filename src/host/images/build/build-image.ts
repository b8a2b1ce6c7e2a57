// `tandem image build`: a recipe becomes an image archive, without a container engine, reproducibly.

import { createHash } from 'node:crypto'
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, posix, resolve } from 'node:path'
import { parse } from 'yaml'
import { waitForLock } from '../../lock.ts'
import { createApt } from './apt.ts'
import { grubConfig } from './boot-loader.ts'
import { makeDisk, rootUuidOf } from './disk.ts'
import { addModules, writeCpio } from './initramfs.ts'
import { writeOciArchive } from './oci-archive.ts'
import { createPackageFiles, type PackageFiles } from './package-files.ts'
import { type DiskSpec, parseRecipe, type Recipe } from './recipe.ts'
import { makeSystem, runSteps } from './system.ts'
import { addFiles, resolveInTree } from './tree.ts'

export interface BuildOptions {
  /** The archive to write. */
  output: string
  /** Downloaded packages and package lists, kept between builds. */
  cacheDir: string
  /** Work directory below which everything temporary is made and removed again; default: the folder of `output`. */
  scratchDir?: string
  onProgress?: (line: string) => void
}

export interface BuiltImage {
  names: string[]
  path: string
  /** Digest of the image's manifest. */
  digest: string
  sizeBytes: number
}

const ownInitramfs = '/boot/initrd.img'
/** User that KubeVirt's and Tandem's QEMU runs as: a containerDisk must be readable by it. */
const qemuUid = 107

/** @throws RecipeError for a wrong recipe; Error with what could not be made */
export async function buildImage(recipeFile: string, options: BuildOptions): Promise<BuiltImage> {
  const recipe = await readRecipe(recipeFile)
  if (process.getuid?.() !== 0) throw new Error('building an image needs root: files of other owners are made')
  const onProgress = options.onProgress ?? (() => {})
  const output = resolve(options.output)
  await mkdir(options.scratchDir ?? dirname(output), { recursive: true })
  const scratch = await mkdtemp(join(options.scratchDir ?? dirname(output), '.image-build-'))
  // apt's lists and the packages are shared by all that build with this cache.
  const lock = await waitForLock(cacheLockOf(options.cacheDir))
  try {
    const digest = await build({
      recipe,
      recipeDir: dirname(resolve(recipeFile)),
      scratch,
      output,
      onProgress,
      options,
    })
    return { names: recipe.names, path: output, digest, sizeBytes: (await stat(output)).size }
  } finally {
    lock.close()
    await rm(scratch, { recursive: true, force: true })
  }
}

/** An abstract socket's name has 107 bytes. */
export const cacheLockOf = (cacheDir: string): string =>
  `tandem-image-cache-${createHash('sha256').update(resolve(cacheDir)).digest('hex').slice(0, 16)}`

async function readRecipe(recipeFile: string): Promise<Recipe> {
  const text = await readFile(recipeFile, 'utf8')
  let document: unknown
  try {
    document = parse(text, { maxAliasCount: 0 })
  } catch (error) {
    throw new Error(`${recipeFile} is not YAML: ${(error as Error).message.split('\n')[0]}`, { cause: error })
  }
  return parseRecipe(document, recipeFile)
}

interface Build {
  recipe: Recipe
  recipeDir: string
  scratch: string
  output: string
  onProgress: (line: string) => void
  options: BuildOptions
}

async function build(work: Build): Promise<string> {
  const { recipe, scratch, recipeDir, onProgress } = work
  const apt = await createApt(resolve(work.options.cacheDir), recipe.suite, onProgress)
  const packageFiles = createPackageFiles(apt, scratch)
  const root = join(scratch, 'root')
  if (recipe.system) {
    await makeSystem({ root, apt, system: recipe.system, epoch: recipe.epoch, onProgress })
  } else await mkdir(root, { mode: 0o755 })
  onProgress(`adding ${recipe.files.length} files`)
  await addFiles(root, recipe.files, { recipeDir, packageFiles })
  if (recipe.run.length > 0) {
    onProgress(`running ${recipe.run.length} steps`)
    await runSteps(root, recipe.run, recipe.epoch)
  }
  const tree = recipe.disk ? await buildDisk(work, recipe.disk, root, packageFiles) : root
  onProgress('writing the image')
  return writeOciArchive({
    tree,
    scratch,
    output: work.output,
    names: recipe.names,
    epoch: recipe.epoch,
    architecture: 'amd64',
    config: recipe.config,
    compress: !recipe.disk?.compress,
  })
}

/** The tree of a containerDisk image: one file in /disk. */
async function buildDisk(work: Build, disk: DiskSpec, root: string, packageFiles: PackageFiles): Promise<string> {
  const { recipe, scratch, onProgress } = work
  const identity = recipe.names[0]!
  await mkdir(join(root, 'boot', 'grub'), { recursive: true })
  const kernel = await placeKernel(root, disk, packageFiles)
  if (disk.initramfs) await buildInitramfs(work, disk, root, kernel, packageFiles)
  const kernelArguments = `root=UUID=${rootUuidOf(identity)} ${disk.kernelArguments}`
  const config = grubConfig({ kernel: kernel.path, initrd: kernel.initrd, kernelArguments })
  await writeFile(join(root, 'boot/grub/grub.cfg'), config)
  const layer = join(scratch, 'layer')
  await mkdir(join(layer, 'disk'), { recursive: true })
  const file = join(layer, 'disk', `disk.${disk.format === 'qcow2' ? 'qcow2' : 'img'}`)
  const { sizeBytes, format, compress } = disk
  await makeDisk({
    ...{ tree: root, scratch: join(scratch, 'disk'), output: file, sizeBytes, format, compress },
    ...{ epoch: recipe.epoch, identity, onProgress },
  })
  await rm(root, { recursive: true })
  for (const path of [join(layer, 'disk'), file]) await chown(path, qemuUid, qemuUid)
  return layer
}

interface Kernel {
  /** In the guest's root. */
  path: string
  initrd: string
  /** Where the modules are on this machine. */
  modules: string
}

/** The kernel that the system installed, or the one of disk.kernelPackage. */
async function placeKernel(root: string, disk: DiskSpec, packageFiles: PackageFiles): Promise<Kernel> {
  const folder = disk.kernelPackage ? await packageFiles.folder(disk.kernelPackage, '/boot/vmlinuz-*') : root
  const kernels = (await readdir(join(folder, 'boot'))).filter((name) => name.startsWith('vmlinuz-')).sort()
  const name = kernels.at(-1)
  if (!name)
    throw new Error('the disk has no kernel: add linux-image-cloud-amd64 to the packages, or set disk.kernelPackage')
  const release = name.slice('vmlinuz-'.length)
  const modules = join(folder, 'lib', 'modules', release)
  if (disk.kernelPackage) {
    const target = await resolveInTree(root, '/boot/vmlinuz')
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, await readFile(join(folder, 'boot', name)))
    return { path: '/boot/vmlinuz', initrd: ownInitramfs, modules }
  }
  const initrd = disk.initramfs ? ownInitramfs : `/boot/initrd.img-${release}`
  return { path: posix.join('/boot', name), initrd, modules }
}

async function buildInitramfs(
  { recipe, recipeDir, scratch, onProgress }: Build,
  disk: DiskSpec,
  root: string,
  kernel: Kernel,
  packageFiles: PackageFiles,
): Promise<void> {
  onProgress('making the initramfs')
  const tree = join(scratch, 'initramfs')
  await mkdir(tree, { mode: 0o755 })
  await addFiles(tree, disk.initramfs!.files, { recipeDir, packageFiles })
  const { modules, laterModules } = disk.initramfs!
  await addModules(tree, kernel.modules, modules, laterModules)
  await writeCpio(tree, join(root, ownInitramfs), recipe.epoch)
}
