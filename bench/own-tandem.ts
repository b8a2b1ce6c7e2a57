// A Tandem of a benchmark's own (root): its state directory, a client, and its end without a trace.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ResourceRef, StoredObject } from '../src/api/meta.ts'
import { type Client, createClient } from '../src/client/client.ts'
import { createHttpsTransport } from '../src/client/https.ts'
import { accessFromKubeconfig, type ServerAccess } from '../src/client/kubeconfig.ts'
import { instanceOf } from '../src/config.ts'
import { run } from '../src/host/exec.ts'

export const home = resolve(import.meta.dirname, '..')
export const podsRef: ResourceRef = { group: '', version: 'v1', resource: 'pods' }

export interface OwnTandem {
  stateDir: string
  /** Sockets and pid files. */
  runDir: string
  kubeconfig: string
  access: ServerAccess
  client: Client
  pid: number
  close(): Promise<void>
}

/** @param images recipes of images/ that it gets */
export async function startOwnTandem(
  port: number,
  images: string[],
  env: Record<string, string> = {},
): Promise<OwnTandem> {
  const stateDir = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
  const runDir = `/run/tandem-${instanceOf(stateDir)}`
  Object.assign(process.env, env)
  const tandem = (...argv: string[]) =>
    run([join(home, 'tandem'), ...argv, '--state-dir', stateDir], { timeoutMs: 900_000 })
  const end = async () => {
    await tandem('down', '--all').catch((error) => console.error(String(error)))
    rmSync(stateDir, { recursive: true, force: true })
  }
  try {
    await tandem('up', '--listen', `127.0.0.1:${port}`)
    for (const image of images) await tandem('image', 'build', join(home, 'images', image))
  } catch (error) {
    await end()
    throw error
  }
  const kubeconfig = join(stateDir, 'kubeconfig')
  const access = accessFromKubeconfig(readFileSync(kubeconfig, 'utf8'))
  const { transport, close } = createHttpsTransport(access)
  return {
    ...{ stateDir, runDir, kubeconfig, access, client: createClient(transport) },
    pid: Number(readFileSync(join(runDir, 'tandem.pid'), 'utf8')),
    async close() {
      close()
      await end()
    },
  }
}

/** Made, and watched until `done` says so. @returns the Pod as it is then, and milliseconds since it was asked for */
export async function createPod(client: Client, pod: any, done: (pod: StoredObject) => boolean, limitMs = 600_000) {
  const started = performance.now()
  await client.create(podsRef, pod)
  const events = client.watch(podsRef, {
    namespace: pod.metadata.namespace,
    fieldSelector: `metadata.name=${pod.metadata.name}`,
    signal: AbortSignal.timeout(limitMs),
  })
  let last = ''
  for await (const { object } of events) {
    if (done(object)) return { pod: object, started, tookMs: performance.now() - started }
    last = JSON.stringify(object.status)
  }
  throw new Error(`Pod ${pod.metadata.name} is not there within ${limitMs / 1000} s: ${last}`)
}

export async function removePod(client: Client, name: string): Promise<void> {
  await client.delete(podsRef, name, 'default', { gracePeriodSeconds: 0 })
  const look = () => client.list(podsRef, { namespace: 'default', fieldSelector: `metadata.name=${name}` })
  while ((await look()).items.length > 0) await sleep(20)
}
