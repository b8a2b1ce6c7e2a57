// Images that may go when the disk is full: nobody uses them, and a registry has them still. The kubelet takes every unused
// one (pkg/kubelet/images/image_gc_manager.go DeleteUnusedImages, 1.36); here many are built or loaded on the machine
// itself, and would be lost.

import { normalizeImageName } from '../../kinds/core/image-name.ts'
import type { Image } from '../images/images.ts'

/** The names that objects use, as they are written there: in `image` of containers, volumes and disks. */
export function imageNames(value: unknown, found = new Set<string>()): Set<string> {
  if (Array.isArray(value)) for (const item of value) imageNames(item, found)
  else if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) {
      const isName = typeof inner === 'string' && (key === 'image' || key === 'reference' || key === 'imageID')
      if (isName && inner) found.add(inner)
      else imageNames(inner, found)
    }
  return found
}

/** Largest first: the fewest go. */
export function unusedImages(images: readonly Image[], used: ReadonlySet<string>): Image[] {
  const names = new Set([...used, ...[...used].map(normalizeImageName)])
  const isUsed = ({ id, repoTags, repoDigests }: Image) =>
    [id, ...repoTags, ...repoDigests].some((name) => names.has(name))
  return images
    .filter((image) => image.repoDigests.length > 0 && !isUsed(image))
    .sort((a, b) => b.sizeBytes - a.sizeBytes)
}
