// tandem image: builds images from recipes, and looks after those on this machine.

import type { Command } from 'commander'
import { configOf, type InstanceOptions, requireRoot, stateDirOption } from '../options.ts'
import { createSteps, megabytes, print, remark, table } from '../output.ts'
import type { ImageTools, Tools } from '../tools.ts'

export function image(program: Command, tools: Tools): void {
  const group = program.command('image').description('build, load, list and remove images')

  async function withImages<T>(options: InstanceOptions, body: (images: ImageTools) => Promise<T>): Promise<T> {
    requireRoot('image')
    const images = await tools.openImages(configOf(options))
    try {
      return await body(images)
    } finally {
      await images.close()
    }
  }

  group
    .command('build <recipe>')
    .description('make an OCI image from a recipe (see images/README.md) and load it')
    .option(
      '-f, --file <archive>',
      'where to write the archive (default: beside the other images of the state directory)',
    )
    .option('--no-load', 'only write the archive')
    .option(...stateDirOption)
    .action(async (recipe: string, options: InstanceOptions & { file?: string; load: boolean }) => {
      requireRoot('image build')
      const steps = createSteps()
      const built = await steps.step(`build ${recipe}`, () => tools.buildImage(recipe, options.file, steps.note))
      if (options.load)
        await steps.step(`load ${built.names.join(', ')}`, () =>
          withImages(options, (images) => images.load(built.path)),
        )
      print(`${built.names.join(', ')} ${built.digest}${options.load && !options.file ? '' : ` ${built.path}`}`)
    })

  group
    .command('load <archive>')
    .description('load a docker-archive or OCI layout tarball')
    .option(...stateDirOption)
    .action(async (archive: string, options: InstanceOptions) => {
      const loaded = await withImages(options, (images) => images.load(archive))
      for (const { names, id } of loaded) print(`${names.join(', ')} ${id}`)
    })

  group
    .command('list')
    .description('list the images on this machine')
    .option(...stateDirOption)
    .option('-o, --output <format>', 'json')
    .action(async (options: InstanceOptions & { output?: string }) => {
      const found = await withImages(options, (images) => images.list())
      if (options.output === 'json') return print(JSON.stringify(found))
      const rows = found.flatMap(({ names, id, sizeBytes }) =>
        (names.length ? names : ['<none>']).map((name) => [name, id.slice(7, 19), megabytes(sizeBytes)]),
      )
      print(
        table(
          ['IMAGE', 'ID', 'SIZE'],
          rows.toSorted((a, b) => (a[0]! < b[0]! ? -1 : 1)),
        ),
      )
    })

  group
    .command('remove <name...>')
    .description('remove images from this machine')
    .option(...stateDirOption)
    .action(async (names: string[], options: InstanceOptions) => {
      await withImages(options, async (images) => {
        for (const name of names) {
          await images.remove(name)
          remark(`removed ${name}`)
        }
      })
    })
}
