// The image that a disk or a kernel of a machine comes from: present on this machine, or pulled as its policy says.

import type { StoredObject } from '../../api/meta.ts'
import type { Images } from '../images/images.ts'
import type { Sources } from './sources.ts'
import { Waiting } from './waiting.ts'

export interface ImageSource {
  image: string
  imagePullSecret?: string
  imagePullPolicy?: string
}

/** The registry was asked and says no: what others have pulled is not for this one. */
const denied = /authoriz|denied|forbidden/i

export async function ensureImage(
  { images, sources }: { images: Images; sources: Sources },
  machine: StoredObject,
  { image, imagePullSecret, imagePullPolicy }: ImageSource,
  signal: AbortSignal,
): Promise<void> {
  const policy = imagePullPolicy || (/(:latest|^[^:@]+|\/[^:@/]+)$/.test(image) ? 'Always' : 'IfNotPresent')
  const present = policy === 'Always' ? undefined : await images.find(image)
  if (present) return
  if (policy === 'Never')
    throw new Waiting('ErrImageNeverPull', `image "${image}" is not on this machine and its pull policy is Never`)
  try {
    await unlessAborted(images.pull(image, await sources.pullAuths(machine, imagePullSecret)), signal)
  } catch (error) {
    // An image that was loaded by hand is in no registry; who writes Always wants the registry's.
    if (signal.aborted || imagePullPolicy || denied.test(String(error)) || !(await images.find(image))) throw error
  }
}

/** A pull may take minutes; a machine that was deleted meanwhile does not wait for it. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
