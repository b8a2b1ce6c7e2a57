// What the image commands and the demo do with images: on the containerd of a state directory, started if need be.

import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { BuildResult, ImageSummary, ImageTools } from '../cli/tools.ts'
import type { Config } from '../config.ts'
import { buildImage } from '../host/images/build/build-image.ts'
import type { Image } from '../host/images/images.ts'
import { waitForLock } from '../host/lock.ts'
import { statePaths } from '../host/state.ts'
import { home, openEngine } from './engine.ts'

const summary = ({ id, repoTags, sizeBytes }: Image): ImageSummary => ({ id, names: repoTags, sizeBytes })

export async function openImages(config: Config): Promise<ImageTools> {
  const paths = statePaths(config.stateDir, config.instance)
  mkdirSync(paths.root, { recursive: true, mode: 0o711 })
  const { containerd, images } = openEngine(paths, config.instance)
  const ours = !(await containerd.healthy())
  if (ours) await containerd.start()
  return {
    list: async () => (await images.list()).map(summary),
    load: async (path) => (await images.load(path)).map(summary),
    remove: (name) => images.remove(name),
    async close() {
      // Without a Tandem that uses it, a containerd that we started ends with us.
      if (ours) await containerd.stop()
      else containerd.release()
    },
  }
}

/** Packages and archives that were made once are kept here, below the program. */
const cacheDir = join(home, '.cache/images')

/** The same recipe gives the same archive: it is made once. */
export async function buildOnce(
  recipe: string,
  output: string | undefined,
  onProgress: (line: string) => void,
): Promise<BuildResult> {
  const file = statSync(recipe).isDirectory() ? join(recipe, 'recipe.yaml') : recipe
  mkdirSync(cacheDir, { recursive: true })
  if (output) return await buildImage(file, { output, cacheDir, onProgress })
  const archive = join(cacheDir, `${digestOf(file)}.tar`)
  const note = `${archive}.json`
  // The installation may have been moved since: the note does not say where it was.
  const known = (): BuildResult | undefined =>
    existsSync(archive) && existsSync(note) ? { ...JSON.parse(readFileSync(note, 'utf8')), path: archive } : undefined
  const before = known()
  if (before) return before
  const lock = await waitForLock(`tandem-image-${basename(archive)}`)
  try {
    // Somebody may have made it while we waited.
    const meanwhile = known()
    if (meanwhile) return meanwhile
    const built = await buildImage(file, { output: `${archive}.new`, cacheDir, onProgress })
    const said = { names: built.names, digest: built.digest }
    renameSync(`${archive}.new`, archive)
    writeFileSync(note, JSON.stringify(said))
    return { ...said, path: archive }
  } finally {
    lock.close()
  }
}

/** Of the recipe and all files beside it. */
function digestOf(recipe: string): string {
  const folder = join(recipe, '..')
  const hash = createHash('sha256').update(recipe.split('/').at(-1)!)
  for (const file of globSync('**/*', { cwd: folder }).sort()) {
    const path = join(folder, file)
    if (statSync(path).isFile()) hash.update(`\0${file}\0`).update(readFileSync(path))
  }
  return hash.digest('hex').slice(0, 32)
}
