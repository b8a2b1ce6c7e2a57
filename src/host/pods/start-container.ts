// Creates and starts one container in a running sandbox.

import { join } from 'node:path'
import type { Image } from '../images/images.ts'
import { containerEnv, expand } from './env.ts'
import type { Shared } from './options.ts'
import { type AnyContainer, ContainerProblem, fieldPathOf, type PodObject } from './pod.ts'
import type { PodFiles } from './pod-files.ts'
import { onHostKernel, userOf } from './process-user.ts'
import { type ContainerRecord, containerRecord, type SandboxRecord } from './records.ts'
import type { MountedVolumes } from './sandbox.ts'
import type { ImageUser } from './security.ts'
import { envSources } from './sources.ts'
import { containerConfig, type SandboxConfig } from './spec.ts'
import { bindSubPath } from './subpath.ts'

export interface StartRequest {
  pod: PodObject
  container: AnyContainer
  restartCount: number
  image: Image
  sandbox: SandboxRecord
  sandboxConfig: SandboxConfig
  volumes: MountedVolumes
  podIPs: string[]
  /** Container id that an ephemeral container looks at. */
  targetId?: string
  /** Told before the container runs, so that an early exit is not missed. */
  created(containerId: string): void
}

export interface ContainerStarter {
  /** @throws ContainerProblem with the waiting reason */
  start(request: StartRequest): Promise<ContainerRecord>
}

export const subPathRoot = (files: PodFiles, podUid: string): string => join(files.root(podUid), 'volume-subpaths')

export function createStarter(shared: Shared, files: PodFiles): ContainerStarter {
  const { cri } = shared.containerd
  /** An image never changes under its id. */
  const users = new Map<string, ImageUser>()

  async function imageUser(id: string): Promise<ImageUser> {
    const known = users.get(id)
    if (known) return known
    const { image } = await cri.imageStatus({ image: { image: id } })
    const user: ImageUser = { uid: image?.uid?.value, username: image?.username || undefined }
    users.set(id, user)
    return user
  }

  async function subPaths(request: StartRequest, env: Map<string, string>): Promise<Map<number, string>> {
    const { pod, container, volumes } = request
    const found = new Map<number, string>()
    for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
      const subPath = mount.subPathExpr ? expand(mount.subPathExpr, (name) => env.get(name)) : mount.subPath
      const volume = volumes.get(mount.name)
      if (!subPath || !volume) continue
      const target = join(subPathRoot(files, pod.metadata.uid), container.name, `${index}`)
      found.set(index, await bindSubPath(volume.path, subPath, target))
    }
    return found
  }

  async function create(request: StartRequest): Promise<string> {
    const { pod, container, restartCount, image, sandbox } = request
    const [sources, user, hostsFile, terminationMessageFile] = await Promise.all([
      envSources(shared.client, pod, container, shared.node, request.podIPs),
      imageUser(image.id),
      files.hosts(pod, request.podIPs),
      files.terminationMessage(pod, container.name, restartCount),
    ])
    const env = containerEnv(pod, container, sources)
    const config = containerConfig(pod, container, {
      restartCount,
      image: image.id,
      imageUser: user,
      env,
      volumes: request.volumes,
      subPaths: await subPaths(request, env),
      hostsFile,
      terminationMessageFile,
      node: shared.node,
      targetId: request.targetId,
      handler: sandbox.handler,
    })
    try {
      const input = { podSandboxId: sandbox.id, config, sandboxConfig: request.sandboxConfig }
      return (await cri.createContainer(input)).containerId
    } catch (error) {
      throw new ContainerProblem('CreateContainerError', (error as Error).message, { cause: error })
    }
  }

  async function start(request: StartRequest): Promise<ContainerRecord> {
    const { pod, container, sandbox } = request
    const path = fieldPathOf(pod, container.name)
    try {
      const containerId = await create(request)
      request.created(containerId)
      shared.record(pod, 'Normal', 'Created', `Created container: ${container.name}`, path)
      let problem: ContainerProblem | undefined
      try {
        await cri.startContainer({ containerId })
        shared.record(pod, 'Normal', 'Started', `Started container ${container.name}`, path)
      } catch (error) {
        problem = new ContainerProblem('RunContainerError', (error as Error).message, { cause: error })
      }
      const { status, info } = await cri.containerStatus({ containerId, verbose: true })
      // A container that could not be started is left as exited (128): it counts for the back-off like any other.
      if (problem && status?.state !== 2) throw problem
      if (problem) shared.record(pod, 'Warning', 'Failed', `Error: ${problem.message}`, path)
      return { ...containerRecord(status!, sandbox.id), ...(onHostKernel(sandbox) && userOf(info.info)) }
    } catch (error) {
      const problem =
        error instanceof ContainerProblem
          ? error
          : new ContainerProblem('CreateContainerConfigError', (error as Error).message, { cause: error })
      shared.record(pod, 'Warning', 'Failed', `Error: ${problem.message}`, path)
      throw problem
    }
  }
  return { start }
}
