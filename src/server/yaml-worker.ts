// Reads and writes YAML off the main thread: half a megabyte takes the library half a second, and its loading a tenth.

import { fromYaml } from './body.ts'
import { answerCalls } from './side-thread.ts'
import { yaml } from './yaml.ts'

const work = {
  read: fromYaml,
  write: (json: string): string => yaml().stringify(JSON.parse(json)),
}

export type YamlWork = typeof work

answerCalls(work)
