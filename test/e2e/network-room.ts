// A room for network tests: a network namespace of its own stands for the machine, so that nothing of the real one is
// touched and everything that is left behind is seen. The test file runs itself again inside.

import { spawnSync } from 'node:child_process'
import type { StoredObject } from '../../src/api/meta.ts'
import type { Informer, InformerFactory } from '../../src/client/informer.ts'
import { InformerCache } from '../../src/client/informer-cache.ts'

const mark = 'TANDEM_NETWORK_ROOM'

/** True inside the room. Outside: makes it, runs `file` in it and ends this process with the same result. */
export function enterRoom(file: string): boolean {
  if (process.env[mark]) return true
  const name = `tdtest-${process.pid}`
  const ip = (...args: string[]) => spawnSync('ip', args, { stdio: 'inherit' })
  ip('netns', 'add', name)
  try {
    ip('-n', name, 'link', 'set', 'lo', 'up')
    const argv = [`--net=/run/netns/${name}`, process.execPath, '--test', '--test-isolation=none', file]
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { status } = spawnSync('nsenter', argv, { stdio: 'inherit', env: { ...env, [mark]: name } })
    process.exitCode = status ?? 1
  } finally {
    ip('netns', 'delete', name)
  }
  return false
}

export interface FakeCluster extends InformerFactory {
  put(resource: string, object: Record<string, any>): void
  drop(resource: string, key: string): void
}

/** Informers whose objects the test puts in by hand: no server is needed to prove the network. */
export function fakeCluster(): FakeCluster {
  const caches = new Map<string, InformerCache<StoredObject>>()
  let revision = 0
  const cacheOf = (resource: string) => {
    const cache = caches.get(resource) ?? new InformerCache<StoredObject>((error) => console.error(error))
    caches.set(resource, cache)
    return cache
  }
  return {
    informer: (ref) => {
      const cache = cacheOf(ref.resource)
      return {
        ref,
        get: cache.get,
        list: (namespace?: string) => cache.list(namespace),
        byIndex: (name: string, value: string) => cache.byIndex(name, value),
        addIndex: (name: string, values: any) => cache.addIndex(name, values),
        addHandler: (handler: any) => cache.addHandler(handler),
        synced: async () => {},
        stop: () => {},
      } as unknown as Informer<any>
    },
    forget: () => {},
    stop: () => {},
    put(resource, { metadata, ...object }) {
      const meta = {
        namespace: 'default',
        uid: `uid-${metadata.name}`,
        ...metadata,
        resourceVersion: String(++revision),
      }
      cacheOf(resource).put({ apiVersion: 'v1', kind: resource, ...object, metadata: meta } as StoredObject)
    },
    drop(resource, key) {
      const object = cacheOf(resource).get(key)
      if (object) cacheOf(resource).drop(object)
    },
  }
}
