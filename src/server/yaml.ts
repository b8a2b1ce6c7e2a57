// The YAML library, loaded when the first YAML comes: nearly all requests are JSON, and it is 5 MB.

import { createRequire } from 'node:module'

type Library = typeof import('yaml')

const require = createRequire(import.meta.url)
let library: Library | undefined

export function yaml(): Library {
  library ??= require('yaml') as Library
  return library
}
