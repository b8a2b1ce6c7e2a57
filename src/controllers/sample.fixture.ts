// Short ways to write objects in tests.

import type { StoredObject } from '../api/meta.ts'

let nextUid = 1

export function object(kind: string, name: string, fields: Record<string, any> = {}): StoredObject {
  const { metadata, ...rest } = fields
  return {
    apiVersion: 'v1',
    kind,
    ...rest,
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${nextUid++}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...metadata,
    },
  }
}

export const at = (seconds: number): number => Date.UTC(2026, 0, 1) + seconds * 1000
export const stamp = (seconds: number): string => new Date(at(seconds)).toISOString().replace('.000Z', 'Z')

export const ready = (isReady = true, since = 0) => ({
  type: 'Ready',
  status: isReady ? 'True' : 'False',
  lastTransitionTime: stamp(since),
})
