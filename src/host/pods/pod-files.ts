// Files that Tandem keeps for a Pod below pods/<uid> and pod-logs: who it is, /etc/hosts, termination messages.

import { constants, type FileHandle, mkdir, open, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StatePaths } from '../state.ts'
import type { FoundWorkload } from '../workload.ts'
import { directoriesIn } from './directories.ts'
import { hostNetworkHostsFile, hostsFile } from './hosts-file.ts'
import { removeLogs } from './log-rotation.ts'
import { logDirectoryName, logPath, parseLogDirectoryName } from './names.ts'
import type { PodObject } from './pod.ts'

const maxMessage = 4096

export interface PodFiles {
  /** Once, before anything else of the Pod is made. */
  prepare(pod: PodObject): Promise<void>
  /** Path of the /etc/hosts that its containers mount; written anew where the address changed. */
  hosts(pod: PodObject, podIPs: string[]): Promise<string>
  /** Path of an empty file for the container's last words. */
  terminationMessage(pod: PodObject, container: string, restartCount: number): Promise<string>
  readTerminationMessage(podUid: string, container: string, restartCount: number): Promise<string>
  logDirectory(pod: PodObject): string
  removeLogs(pod: PodObject, container: string, restartCount: number): Promise<void>
  found(): Promise<FoundWorkload[]>
  /** Only what this room made: volumes are not its business. */
  remove(workload: FoundWorkload): Promise<void>
  root(podUid: string): string
}

export function createPodFiles(paths: StatePaths, clusterDomain: string): PodFiles {
  const root = (uid: string) => join(paths.pods, uid)
  const identity = (uid: string) => join(root(uid), 'pod.json')
  const messageFile = (uid: string, container: string, restartCount: number) =>
    join(root(uid), 'containers', container, `${restartCount}`)
  /** undefined also when Tandem ended while it wrote the file. */
  async function readIdentity(uid: string): Promise<FoundWorkload | undefined> {
    try {
      return JSON.parse(await readFile(identity(uid), 'utf8')) as FoundWorkload
    } catch {
      return undefined
    }
  }

  const logDirectory = (pod: PodObject) => join(paths.podLogs, logDirectoryName(pod))

  return {
    root,
    logDirectory,
    async prepare({ metadata: { uid, name, namespace = '' } }) {
      await mkdir(root(uid), { recursive: true, mode: 0o750 })
      if (!(await readIdentity(uid)))
        await writeFile(identity(uid), `${JSON.stringify({ uid, namespace, name })}\n`, { mode: 0o600 })
    },
    async hosts(pod, podIPs) {
      const path = join(root(pod.metadata.uid), 'etc-hosts')
      const text = pod.spec.hostNetwork
        ? hostNetworkHostsFile(pod, await readFile('/etc/hosts', 'utf8').catch(() => ''))
        : hostsFile(pod, podIPs, clusterDomain)
      if ((await readFile(path, 'utf8').catch(() => '')) !== text) await writeFile(path, text, { mode: 0o644 })
      return path
    },
    async terminationMessage({ metadata }, container, restartCount) {
      const path = messageFile(metadata.uid, container, restartCount)
      await mkdir(join(path, '..'), { recursive: true, mode: 0o750 })
      // Whatever user the container runs as may write it.
      const file = await open(path, 'w', 0o666)
      await file.chmod(0o666)
      await file.close()
      return path
    },
    async readTerminationMessage(podUid, container, restartCount) {
      let file: FileHandle | undefined
      try {
        file = await open(messageFile(podUid, container, restartCount), constants.O_RDONLY | constants.O_NOFOLLOW)
        const { bytesRead, buffer } = await file.read(Buffer.alloc(maxMessage), 0, maxMessage, 0)
        return buffer.toString('utf8', 0, bytesRead)
      } catch {
        return ''
      } finally {
        await file?.close()
      }
    },
    async removeLogs(pod, container, restartCount) {
      await removeLogs(join(logDirectory(pod), logPath(container, restartCount)))
      await rm(messageFile(pod.metadata.uid, container, restartCount), { force: true })
    },
    async found() {
      const found = new Map<string, FoundWorkload>()
      for (const name of await directoriesIn(paths.podLogs)) {
        const workload = parseLogDirectoryName(name)
        if (workload) found.set(workload.uid, workload)
      }
      for (const uid of await directoriesIn(paths.pods)) {
        const known = await readIdentity(uid)
        if (known) found.set(uid, known)
        else if (!found.has(uid)) found.set(uid, { uid, namespace: '', name: '' })
      }
      return [...found.values()]
    },
    async remove({ uid }) {
      for (const name of await directoriesIn(paths.podLogs))
        if (parseLogDirectoryName(name)?.uid === uid)
          await rm(join(paths.podLogs, name), { recursive: true, force: true })
      await rm(join(root(uid), 'containers'), { recursive: true, force: true })
      for (const file of ['etc-hosts', 'pod.json']) await rm(join(root(uid), file), { force: true })
      await rmdir(root(uid)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
    },
  }
}
