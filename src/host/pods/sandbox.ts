// Makes the sandbox of a Pod: its volumes first (a Pod without its data has no business running), then namespaces and
// address.

import { mkdir, readFile } from 'node:fs/promises'
import type { StoredObject } from '../../api/meta.ts'
import { VolumeNotReady } from '../volumes/volumes.ts'
import { besideHandler, netnsOfMachine, wantsMachineNetwork } from './beside/beside-machine.ts'
import { parseResolvConf, podResolver } from './dns.ts'
import { joinFurtherNetworks } from './further-networks.ts'
import type { ImageVolumes } from './image-volumes.ts'
import type { Shared } from './options.ts'
import type { PodObject } from './pod.ts'
import type { PodFiles } from './pod-files.ts'
import { ImageNotReady } from './pulling.ts'
import { type SandboxRecord, sandboxRecord } from './records.ts'
import { find } from './sources.ts'
import { type SandboxConfig, sandboxConfig } from './spec.ts'

export type MountedVolumes = Map<string, { path: string; readOnly: boolean }>

/** Something that the Pod waits for; the Event has been recorded. */
export class SandboxProblem extends Error {
  override name = 'SandboxProblem'
}

export async function mountVolumes(shared: Shared, images: ImageVolumes, pod: PodObject): Promise<MountedVolumes> {
  const volumes = await Promise.all(
    (pod.spec.volumes ?? []).map(async (volume) => {
      const { image } = volume as { image?: { reference?: string; pullPolicy?: string } }
      try {
        if (image) return { name: volume.name, path: await images.mount(pod, volume.name, image), readOnly: true }
        return await shared.volumes.mount(pod, volume as { name: string; [source: string]: unknown })
      } catch (error) {
        // The puller has told of it.
        if (error instanceof ImageNotReady) throw new SandboxProblem(error.message, { cause: error })
        const reason = error instanceof VolumeNotReady ? error.reason : 'FailedMount'
        const message = `MountVolume.SetUp failed for volume "${volume.name}" : ${(error as Error).message}`
        shared.record(pod, 'Warning', reason, message)
        throw new SandboxProblem(message, { cause: error })
      }
    }),
  )
  return new Map(volumes.map(({ name, path, readOnly }) => [name, { path, readOnly }]))
}

async function runtimeHandler(shared: Shared, pod: PodObject): Promise<string> {
  if (wantsMachineNetwork(pod)) return besideHandler
  const name = pod.spec.runtimeClassName
  if (!name) return ''
  const ref = { group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses' }
  const runtimeClass = await find(shared.client, ref, name)
  if (!runtimeClass) throw new Error(`failed to get sandbox runtime: runtimeclass.node.k8s.io "${name}" not found`)
  return (runtimeClass as { handler?: string }).handler ?? ''
}

/** The same for each call while the Pod lives: containers are made with it, too. */
export async function configOfSandbox(shared: Shared, pod: PodObject, attempt: number): Promise<SandboxConfig> {
  const netns = wantsMachineNetwork(pod) ? await netnsOfMachine(shared, pod) : undefined
  const machine = parseResolvConf(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''))
  return sandboxConfig(pod, {
    attempt,
    resolver: podResolver(pod, shared.network.resolver(pod.metadata.namespace ?? ''), machine),
    clusterDomain: shared.clusterDomain,
    cgroupParent: shared.cgroupParent,
    logRoot: shared.paths.podLogs,
    ...(netns && { netns }),
  })
}

export async function runSandbox(
  shared: Shared,
  files: PodFiles,
  pod: PodObject,
  attempt: number,
): Promise<{ record: SandboxRecord; config: SandboxConfig }> {
  const { cri } = shared.containerd
  try {
    const [handler, config] = await Promise.all([
      runtimeHandler(shared, pod),
      configOfSandbox(shared, pod, attempt),
      mkdir(files.logDirectory(pod), { recursive: true, mode: 0o755 }),
    ])
    await shared.prepareRuntime?.(handler)
    const { podSandboxId } = await cri.runPodSandbox({ config, runtimeHandler: handler })
    const { status } = await cri.podSandboxStatus({ podSandboxId })
    const record = sandboxRecord(status!)
    // Nothing runs in the sandbox yet: the policies are there before the first packet.
    if (record.addresses[0]) await shared.network.protect(pod as unknown as StoredObject, record.addresses[0])
    await joinFurtherNetworks(shared, pod, podSandboxId, record.addresses[0])
    return { record, config }
  } catch (error) {
    const message = `Failed to create pod sandbox: ${(error as Error).message}`
    shared.record(pod, 'Warning', 'FailedCreatePodSandBox', message)
    throw new SandboxProblem(message, { cause: error })
  }
}
