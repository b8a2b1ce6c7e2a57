// Directories of the local StorageClass on this machine.

import { chmod, mkdir, rm } from 'node:fs/promises'
import type { LocalVolumes } from '../controllers/controller.ts'

export const localVolumes = (dir: string): LocalVolumes => ({
  dir,
  async create(path) {
    await mkdir(path, { recursive: true })
    // A Pod of any user may write, as with the local provisioners of the field; past the umask.
    await chmod(path, 0o777)
  },
  remove: (path) => rm(path, { recursive: true, force: true }),
})
