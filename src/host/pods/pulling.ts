// An image for a container: present, or pulled as its policy says, with the kubelet's Events (pkg/kubelet/images, 1.32).

import { type Image, ImageError } from '../images/images.ts'
import type { Shared } from './options.ts'
import { type AnyContainer, fieldPathOf, type PodObject } from './pod.ts'
import { pullAuths } from './pull-auth.ts'
import { findSecret } from './sources.ts'
import type { Waiting } from './view.ts'

/** A pull that has to wait; `waiting` is what the container's status says meanwhile. */
export class ImageNotReady extends Error {
  readonly waiting: Waiting
  constructor(waiting: Waiting) {
    super(waiting.message ?? waiting.reason)
    this.name = 'ImageNotReady'
    this.waiting = waiting
  }
}

const pullKey = (pod: PodObject, container: AnyContainer) => `${pod.metadata.uid}/${container.name}/${container.image}`

/** What was said when the last pull failed, so that ImagePullBackOff can repeat it. */
interface Failure {
  at: number
  message: string
}

export interface Puller {
  /** @throws ImageNotReady */
  ensure(pod: PodObject, container: AnyContainer): Promise<Image>
  forget(podUid: string): void
}

/** How long ErrImagePull is shown before it becomes ImagePullBackOff. */
const showErrorMs = 1500
/** A name does not become right by trying again; the Pod may be given another one. */
const badNameMs = 10_000

export function createPuller(shared: Shared): Puller {
  const { images, clock, pulls, record } = shared
  const failures = new Map<string, Failure>()
  const running = new Map<string, Promise<Image>>()

  async function pull(pod: PodObject, image: string): Promise<Image> {
    const names = (pod.spec.imagePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []))
    const secrets = await Promise.all(names.map((name) => findSecret(shared.client, name, pod.metadata.namespace)))
    const auths = pullAuths(
      image,
      secrets.filter((secret) => secret !== undefined),
    )
    // Pods that want the same image with the same credentials share one pull.
    const key = JSON.stringify([image, auths])
    const shareable = running.get(key)
    if (shareable) return await shareable
    const started = images.pull(image, auths)
    running.set(key, started)
    try {
      return await started
    } finally {
      running.delete(key)
    }
  }

  /** The wait after a failure, if it is not over. */
  function coolingDown(pod: PodObject, container: AnyContainer): Waiting | undefined {
    const key = pullKey(pod, container)
    const failure = failures.get(key)
    const remaining = failure ? pulls.remaining(key, failure.at, clock.now()) : 0
    if (!failure || remaining === 0) return undefined
    const message = `Back-off pulling image "${container.image}"`
    const path = fieldPathOf(pod, container.name)
    record(pod, 'Normal', 'BackOff', message, path)
    record(pod, 'Warning', 'Failed', 'Error: ImagePullBackOff', path)
    return { reason: 'ImagePullBackOff', message: `${message}: ${failure.message}`, until: clock.now() + remaining }
  }

  function failed(pod: PodObject, container: AnyContainer, error: unknown): ImageNotReady {
    const { message } = error as Error
    const reason = error instanceof ImageError ? error.reason : 'ErrImagePull'
    const path = fieldPathOf(pod, container.name)
    const now = clock.now()
    record(pod, 'Warning', 'Failed', `Failed to pull image "${container.image}": ${message}`, path)
    record(pod, 'Warning', 'Failed', `Error: ${reason}`, path)
    const key = pullKey(pod, container)
    pulls.next(key, now, now)
    failures.set(key, { at: now, message: `${reason}: ${message}` })
    return new ImageNotReady({ reason, message, until: now + Math.min(showErrorMs, pulls.delay(key)) })
  }

  /** @throws ImageNotReady for a name that is none */
  async function look(pod: PodObject, container: AnyContainer): Promise<Image | undefined> {
    try {
      return await images.find(container.image ?? '')
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      const { reason, message } = error
      const path = fieldPathOf(pod, container.name)
      record(pod, 'Warning', 'InspectFailed', message, path)
      record(pod, 'Warning', 'Failed', `Error: ${reason}`, path)
      throw new ImageNotReady({ reason, message, until: clock.now() + badNameMs })
    }
  }

  async function pullNow(pod: PodObject, container: AnyContainer): Promise<Image> {
    const image = container.image ?? ''
    const path = fieldPathOf(pod, container.name)
    record(pod, 'Normal', 'Pulling', `Pulling image "${image}"`, path)
    const start = clock.now()
    try {
      const pulled = await pull(pod, image)
      const took = `${((clock.now() - start) / 1000).toFixed(3).replace(/\.?0+$/, '')}s`
      record(
        pod,
        'Normal',
        'Pulled',
        `Successfully pulled image "${image}" in ${took} (${took} including waiting). Image size: ${pulled.sizeBytes} bytes.`,
        path,
      )
      failures.delete(pullKey(pod, container))
      return pulled
    } catch (error) {
      throw failed(pod, container, error)
    }
  }

  return {
    async ensure(pod, container) {
      const image = container.image ?? ''
      const policy = container.imagePullPolicy ?? 'IfNotPresent'
      const path = fieldPathOf(pod, container.name)
      const present = policy === 'Always' ? undefined : await look(pod, container)
      if (present) {
        record(pod, 'Normal', 'Pulled', `Container image "${image}" already present on machine`, path)
        return present
      }
      if (policy === 'Never') {
        const message = `Container image "${image}" is not present with pull policy of Never`
        record(pod, 'Warning', 'ErrImageNeverPull', message, path)
        record(pod, 'Warning', 'Failed', 'Error: ErrImageNeverPull', path)
        throw new ImageNotReady({ reason: 'ErrImageNeverPull', message, until: clock.now() + 10_000 })
      }
      const waiting = coolingDown(pod, container)
      if (waiting) throw new ImageNotReady(waiting)
      return await pullNow(pod, container)
    },
    forget(podUid) {
      pulls.forget(`${podUid}/`)
      for (const key of failures.keys()) if (key.startsWith(`${podUid}/`)) failures.delete(key)
    },
  }
}
