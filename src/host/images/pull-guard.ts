// A pull that ends before the machine's disk is full: a registry may send more than it said, and of what is on its way
// containerd asks nobody.

import { noRoomIn } from './layer-limits.ts'

const lookMs = 500

export class NoRoom extends Error {}

/** @throws NoRoom, and what `task` throws */
export async function whileThereIsRoom<T>(
  task: (signal: AbortSignal) => Promise<T>,
  noRoom: () => string | undefined,
  everyMs = lookMs,
): Promise<T> {
  const controller = new AbortController()
  const look = () => {
    const words = noRoom()
    if (words !== undefined) controller.abort(new NoRoom(words))
  }
  const timer = setInterval(look, everyMs)
  try {
    return await task(controller.signal)
  } catch (error) {
    throw controller.signal.reason instanceof NoRoom ? controller.signal.reason : error
  } finally {
    clearInterval(timer)
  }
}

export const roomOf = (directory: string) => (): string | undefined => noRoomIn(directory, 0)
