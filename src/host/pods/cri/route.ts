// One Cri over several runtimes: containerd, and whatever runs sandboxes in another way in this process (microvm).
//
// A second runtime is a `SandboxRuntime`: the calls of CRI about sandboxes and containers, in process. It registers by
// being in `PodsOptions.runtimes`, which src/main/daemon.ts gives to createPods. What it has to know:
// - A Pod comes to it when the `handler` of its RuntimeClass is in `handlers`; '' and all others are containerd's.
// - Its ids are its own. `owns(id)` says of each, at once and without looking anything up, whether it made it (a prefix
//   is the simplest). No id may be 64 hexadecimal digits: those are containerd's, and what carries such an id and is
//   unknown is swept away (strays.ts).
// - `start` finds again what a former Tandem left running; only then is anybody asked for anything.
// - Lists honour the filters of the request: id, podSandboxId, labelSelector. Labels and annotations come back as given.
// - A sandbox or container that it does not know is a `notFound(…)`, other refusals are Errors with a text for a person.
// - Images are containerd's: `config.image.image` of a container is the id that containerd knows it by.
// - exec, attach and port-forward are answered with the session itself, no URL.
// - `usage` is what is measured of a container when it is not the control group `<cgroup of the Pod>/<id>`.

import type { Decoded } from '../../../wire/protobuf.ts'
import type { Cri, TaskEvent } from './client.ts'
import type { Container, ContainerStats, PodSandbox } from './messages.ts'

type Owned = Pick<
  Cri,
  | 'runPodSandbox'
  | 'stopPodSandbox'
  | 'removePodSandbox'
  | 'podSandboxStatus'
  | 'listPodSandbox'
  | 'createContainer'
  | 'startContainer'
  | 'stopContainer'
  | 'removeContainer'
  | 'listContainers'
  | 'containerStatus'
  | 'updateContainerResources'
  | 'reopenContainerLog'
  | 'execSync'
  | 'signal'
  | 'listContainerStats'
  | 'openExec'
  | 'openAttach'
  | 'openPort'
>

export interface SandboxRuntime extends Owned {
  /** Values of RuntimeClass.handler. */
  handlers: readonly string[]
  owns(id: string): boolean
  start(): Promise<void>
  /** Ends of containers ('/tasks/exit', also of a sandbox) as they happen. Returns a function that ends it. */
  subscribe(listener: (event: TaskEvent) => void): () => void
  usage?(containerId: string): { pid: number } | { group: string } | undefined
  /** Lets go; what runs, runs on. */
  close(): void
}

/** Without a second runtime it is containerd's own Cri, nothing in between. */
export function routed(containerd: Cri, runtimes: readonly SandboxRuntime[]): Cri {
  if (runtimes.length === 0) return containerd
  const all: readonly (Owned & Pick<Cri, 'subscribe'>)[] = [containerd, ...runtimes]
  const by = (id = ''): Owned => runtimes.find((runtime) => runtime.owns(id)) ?? containerd
  const together = async <T>(ask: (runtime: Owned) => Promise<T[]>): Promise<T[]> =>
    (await Promise.all(all.map(ask))).flat()
  return {
    ...containerd,
    runPodSandbox: (input, options) => {
      const handler = input.runtimeHandler ?? ''
      const runtime = runtimes.find(({ handlers }) => handlers.includes(handler)) ?? containerd
      return runtime.runPodSandbox(input, options)
    },
    stopPodSandbox: (input, options) => by(input.podSandboxId).stopPodSandbox(input, options),
    removePodSandbox: (input, options) => by(input.podSandboxId).removePodSandbox(input, options),
    podSandboxStatus: (input, options) => by(input.podSandboxId).podSandboxStatus(input, options),
    createContainer: (input, options) => by(input.podSandboxId).createContainer(input, options),
    startContainer: (input, options) => by(input.containerId).startContainer(input, options),
    stopContainer: (input, options) => by(input.containerId).stopContainer(input, options),
    removeContainer: (input, options) => by(input.containerId).removeContainer(input, options),
    containerStatus: (input, options) => by(input.containerId).containerStatus(input, options),
    updateContainerResources: (input, options) => by(input.containerId).updateContainerResources(input, options),
    reopenContainerLog: (input, options) => by(input.containerId).reopenContainerLog(input, options),
    signal: (containerId, signal) => by(containerId).signal(containerId, signal),
    execSync: (input, options) => by(input.containerId).execSync(input, options),
    listPodSandbox: async (input, options) => ({
      items: await together<Decoded<typeof PodSandbox>>(
        async (runtime) => (await runtime.listPodSandbox(input, options)).items,
      ),
    }),
    listContainers: async (input, options) => ({
      containers: await together<Decoded<typeof Container>>(
        async (runtime) => (await runtime.listContainers(input, options)).containers,
      ),
    }),
    listContainerStats: async (input, options) => ({
      stats: await together<Decoded<typeof ContainerStats>>(
        async (runtime) => (await runtime.listContainerStats(input, options)).stats,
      ),
    }),
    openExec: (request) => by(request.containerId).openExec(request),
    openAttach: (request) => by(request.containerId).openAttach(request),
    openPort: (podSandboxId, port) => by(podSandboxId).openPort(podSandboxId, port),
    subscribe(listener, lost) {
      const ends = [containerd.subscribe(listener, lost), ...runtimes.map((runtime) => runtime.subscribe(listener))]
      return () => {
        for (const end of ends) end()
      }
    },
    close() {
      for (const runtime of runtimes) runtime.close()
      containerd.close()
    },
  }
}
