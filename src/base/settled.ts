// Several pieces of work side by side, none of which goes on behind the back of one that failed.

/**
 * All results, or the first error once the others are through; what those made is closed then, if it can be.
 */
export async function settled<T extends readonly unknown[]>(work: [...{ [K in keyof T]: Promise<T[K]> }]): Promise<T> {
  const results = await Promise.allSettled(work)
  const failed = results.find((one) => one.status === 'rejected')
  if (!failed) return results.map((one) => (one as PromiseFulfilledResult<unknown>).value) as unknown as T
  for (const one of results)
    if (one.status === 'fulfilled') (one.value as { close?: () => void } | undefined)?.close?.()
  throw (failed as PromiseRejectedResult).reason
}
