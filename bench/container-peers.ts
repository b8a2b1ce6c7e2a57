// Who runs the same container beside Tandem: `ctr run` on the containerd of the Tandem that is measured, and podman, each
// with runc and with runsc. On the machine's network: neither makes one of its own here.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../src/host/exec.ts'
import { gvisorWrapper } from '../src/host/pods/runtimes/discover.ts'

export interface ContainerPeer {
  name: string
  /** runc or runsc */
  runtime: string
  /** Resolves when it runs. @returns what is in the path of its control group */
  start(id: string, command: string[]): Promise<string>
  remove(id: string): Promise<void>
}

const runtimes = { runc: '/usr/sbin/runc', runsc: gvisorWrapper }

export function ctrPeers(socket: string, image: string): ContainerPeer[] {
  const ctr = ['ctr', '--address', socket, '--namespace', 'k8s.io']
  return Object.entries(runtimes).map(([runtime, program]) => ({
    name: `\`ctr run\`, ${runtime}`,
    runtime,
    async start(id, command) {
      await run([...ctr, 'run', '-d', '--net-host', '--runc-binary', program, image, id, ...command])
      return `/${id}`
    },
    async remove(id) {
      await run([...ctr, 'task', 'kill', '--signal', 'KILL', id], { allowFailure: true })
      await run([...ctr, 'task', 'delete', '--force', id], { allowFailure: true })
      await run([...ctr, 'container', 'delete', id])
    },
  }))
}

/** What podman needs of Debian and this machine lacks, as the command that brings it; undefined when all is there. */
export function podmanMissing(): string | undefined {
  const programs = { podman: '/usr/bin/podman', conmon: '/usr/bin/conmon' }
  const missing = Object.entries(programs)
    .filter(([, path]) => !existsSync(path))
    .map(([name]) => name)
  return missing.length ? `apt-get install --no-install-recommends ${missing.join(' ')}` : undefined
}

/** podman in directories of its own; nothing comes from a registry. */
export async function podmanPeers(root: string, archive: string, image: string): Promise<ContainerPeer[]> {
  const [store, state] = [join(root, 'podman'), join(root, 'podman-run')]
  for (const folder of [store, state]) mkdirSync(folder, { recursive: true })
  const podman = [
    ...['podman', '--root', store, '--runroot', state, '--tmpdir', join(state, 'tmp')],
    ...['--storage-driver', 'overlay', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
  ]
  await run([...podman, 'load', '--quiet', '--input', archive], { timeoutMs: 300_000 })
  return Object.entries(runtimes).map(([runtime, program]) => {
    const own = [...podman, '--runtime', program]
    return {
      name: `\`podman run\`, ${runtime}`,
      runtime,
      async start(id, command) {
        // Its own limits are higher than some machines let it set.
        const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=4096:4096']
        const options = ['--network', 'host', '--log-driver', 'k8s-file', '--pull', 'never', ...limits]
        const { stdout } = await run([...own, 'run', '-d', ...options, '--name', id, image, ...command])
        return `libpod-${stdout.trim()}`
      },
      async remove(id) {
        await run([...own, 'rm', '--force', '--time', '0', id])
      },
    }
  })
}
