// A recipe says what an image is made of (images/README.md documents it). Parsed strictly: an unknown field is an error.

import { Shape, type ShapeProblem } from './shape.ts'

/** Where one entry of an image's tree comes from. Exactly one source per entry. */
export interface FileEntry {
  path: string
  /** One of these says what it is: */
  content?: string
  source?: string
  package?: string
  symlink?: string
  directory?: boolean
  program?: 'pause'
  /** With `package`: the path (or a glob in its last part) inside the package; the default is `path`. */
  from?: string
  /** With `package`: a symlink beside the program for each applet that it lists with --list (busybox). */
  applets?: boolean
  mode?: number
  owner: { uid: number; gid: number }
}

export interface SystemSpec {
  suite: string
  variant: 'essential' | 'apt' | 'minbase'
  packages: string[]
  /** dpkg path-exclude patterns: documentation, translations. */
  exclude: string[]
}

export interface InitramfsSpec {
  files: FileEntry[]
  /** Modules out of the kernel package, with what they depend on, in the order to load them (/modules/load). */
  modules: string[]
  /** Further ones, for who loads them when all else is done (/modules/later). */
  laterModules: string[]
}

export interface DiskSpec {
  sizeBytes: number
  format: 'qcow2' | 'raw'
  compress: boolean
  /** Package of the kernel when the tree itself has none at /vmlinuz or in /boot. */
  kernelPackage?: string
  kernelArguments: string
  initramfs?: InitramfsSpec
}

export interface ImageConfig {
  entrypoint?: string[]
  cmd?: string[]
  env: Record<string, string>
  user?: string
  workingDir?: string
  exposedPorts: string[]
  labels: Record<string, string>
  stopSignal?: string
}

export interface Recipe {
  kind: 'container' | 'containerDisk'
  names: string[]
  /** Debian suite that `package` files, the kernel and the system come from. */
  suite: string
  /** No file of the image is younger than this (seconds since 1970): the same image on every day. */
  epoch: number
  system?: SystemSpec
  files: FileEntry[]
  /** Shell lines, run in the finished system (chroot), after the files were added. */
  run: string[]
  config: ImageConfig
  disk?: DiskSpec
}

export class RecipeError extends Error {
  readonly problems: ShapeProblem[]
  constructor(file: string, problems: ShapeProblem[]) {
    super(`${file} is not a recipe: ${problems.map((problem) => `${problem.path}: ${problem.message}`).join('; ')}`)
    this.name = 'RecipeError'
    this.problems = problems
  }
}

const defaultEpoch = Date.UTC(2026, 0, 1) / 1000
const imageName = /^[a-z0-9.-]+(:\d+)?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)+:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const packageName = /^[a-z0-9][a-z0-9+.-]+$/
const absolutePath = /^\/(?!.*(^|\/)\.\.?(\/|$))(?!.*\/\/)[^\0\n]*$/

/** @param file only for error messages. @throws RecipeError */
export function parseRecipe(document: unknown, file: string): Recipe {
  const shape = new Shape(document)
  const kind = shape.oneOf('kind', ['container', 'containerDisk'] as const)
  const names = shape.strings('names', { pattern: imageName, hint: 'registry/name:tag, like tandem.dev/shop-web:1' })
  if (names.length === 0) shape.problem('names', 'needs at least one image name')
  const suite = shape.string('suite', { pattern: /^[a-z][a-z0-9-]*$/ }) ?? 'bookworm'
  const recipe: Recipe = {
    kind: kind ?? 'container',
    names,
    suite,
    epoch: shape.epoch('epoch') ?? defaultEpoch,
    system: shape.child('system', (system) => parseSystem(system, suite)),
    files: shape.children('files', parseFile),
    run: shape.strings('run'),
    config: shape.child('config', parseConfig) ?? { env: {}, exposedPorts: [], labels: {} },
    disk: shape.child('disk', parseDisk),
  }
  if (kind === 'containerDisk' && !recipe.disk) shape.problem('disk', 'is required for kind containerDisk')
  if (kind === 'container' && recipe.disk) shape.problem('disk', 'belongs to kind containerDisk only')
  if (recipe.run.length > 0 && !recipe.system) shape.problem('run', 'needs a system to run in')
  if (!recipe.system && recipe.files.length === 0) shape.problem('files', 'an image needs a system or files')
  const problems = shape.finish()
  if (problems.length > 0) throw new RecipeError(file, problems)
  return recipe
}

function parseSystem(shape: Shape, suite: string): SystemSpec {
  return {
    suite,
    variant: shape.oneOf('variant', ['essential', 'apt', 'minbase'] as const, 'minbase') ?? 'minbase',
    packages: shape.strings('packages', { pattern: packageName, hint: 'the name of a Debian package' }),
    exclude: shape.strings('exclude', { pattern: absolutePath, hint: 'an absolute path, * allowed' }),
  }
}

function parseFile(shape: Shape): FileEntry {
  const entry: FileEntry = {
    path: shape.string('path', { pattern: absolutePath, hint: 'an absolute path without ..', required: true }) ?? '',
    content: shape.string('content'),
    source: shape.string('source', { pattern: /^(?!\/)(?!.*(^|\/)\.\.(\/|$)).+$/, hint: 'below the recipe’s folder' }),
    package: shape.string('package', { pattern: packageName }),
    symlink: shape.string('symlink'),
    directory: shape.boolean('directory'),
    program: shape.oneOf('program', ['pause'] as const, null),
    from: shape.string('from', { pattern: absolutePath, hint: 'an absolute path inside the package' }),
    applets: shape.boolean('applets'),
    mode: shape.octal('mode'),
    owner: shape.owner('owner'),
  }
  const sources = ['content', 'source', 'package', 'symlink', 'directory', 'program'] as const
  const given = sources.filter((source) => entry[source] !== undefined)
  if (given.length !== 1) shape.problem('', `needs exactly one of ${sources.join(', ')}`)
  if (entry.from !== undefined && !entry.package) shape.problem('from', 'belongs to a package file')
  if (entry.applets && !entry.package) shape.problem('applets', 'belongs to a package file')
  return entry
}

function parseConfig(shape: Shape): ImageConfig {
  return {
    entrypoint: shape.optionalStrings('entrypoint'),
    cmd: shape.optionalStrings('cmd'),
    env: shape.map('env', /^[A-Za-z_][A-Za-z0-9_]*$/),
    user: shape.string('user', { pattern: /^[a-z0-9_-]+(:[a-z0-9_-]+)?$/ }),
    workingDir: shape.string('workingDir', { pattern: absolutePath }),
    exposedPorts: shape.strings('exposedPorts', { pattern: /^\d{1,5}\/(tcp|udp|sctp)$/, hint: 'like 80/tcp' }),
    labels: shape.map('labels', /^[a-z0-9]+([./_-][a-z0-9]+)*$/i),
    stopSignal: shape.string('stopSignal', { pattern: /^SIG[A-Z0-9]+$/ }),
  }
}

function parseDisk(shape: Shape): DiskSpec {
  return {
    sizeBytes: shape.bytes('size') ?? 0,
    format: shape.oneOf('format', ['qcow2', 'raw'] as const, 'qcow2') ?? 'qcow2',
    compress: shape.boolean('compress') ?? false,
    kernelPackage: shape.string('kernelPackage', { pattern: packageName }),
    kernelArguments: shape.string('kernelArguments', { pattern: /^[\x20-\x7e]*$/ }) ?? 'console=ttyS0',
    initramfs: shape.child('initramfs', (initramfs) => ({
      files: initramfs.children('files', parseFile),
      modules: initramfs.strings('modules', { pattern: /^[a-z0-9_-]+$/ }),
      laterModules: initramfs.strings('laterModules', { pattern: /^[a-z0-9_-]+$/ }),
    })),
  }
}
