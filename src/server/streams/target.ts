// Which workload a stream request means, and how: read from the path and query of exec, attach, port-forward, log and
// KubeVirt's console family (core/v1 PodExecOptions, PodLogOptions 1.36; kubevirt pkg/virt-api/api.go 1.9).

import { ApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { ExecOptions, LogOptions, WorkloadRef } from '../../api/streams.ts'

const truthy = (query: URLSearchParams, name: string): boolean => /^(1|true)$/i.test(query.get(name) ?? '')

export const workloadRef = (object: StoredObject): WorkloadRef => ({
  namespace: object.metadata.namespace ?? '',
  name: object.metadata.name,
  uid: object.metadata.uid,
})

const badRequest = (message: string) => new ApiError('BadRequest', message)

interface Container {
  name: string
}

/** The container that is meant: named, or the only one. Texts of the kubelet and registry/core/pod/strategy.go. */
export function containerOf(pod: StoredObject, asked: string | null): string {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec as Record<string, Container[]>
  const names = (list: Container[]) => list.map(({ name }) => name).join(' ')
  const everyone = [...containers, ...initContainers, ...ephemeralContainers]
  if (asked) {
    if (everyone.some(({ name }) => name === asked)) return asked
    throw badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`)
  }
  if (containers.length === 1) return containers[0]!.name
  const annotated = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container']
  if (annotated && containers.some(({ name }) => name === annotated)) return annotated
  const others = initContainers.length ? ` or one of the init containers: [${names(initContainers)}]` : ''
  throw badRequest(
    `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${names(containers)}]${others}`,
  )
}

/** @throws ApiError for an exec without command or without any stream. */
export function execOptions(pod: StoredObject, query: URLSearchParams, attach: boolean): ExecOptions {
  const tty = truthy(query, 'tty')
  const options: ExecOptions = {
    container: containerOf(pod, query.get('container')),
    command: query.getAll('command'),
    stdin: truthy(query, 'stdin'),
    stdout: truthy(query, 'stdout'),
    stderr: truthy(query, 'stderr') && !tty,
    tty,
  }
  if (!attach && options.command.length === 0) throw badRequest('you must specify at least 1 command for the container')
  if (!options.stdin && !options.stdout && !options.stderr)
    throw badRequest('you must specify at least 1 of stdin, stdout, stderr')
  return options
}

export function logOptions(pod: StoredObject, query: URLSearchParams): LogOptions {
  const options: LogOptions = { container: containerOf(pod, query.get('container')) }
  for (const name of ['follow', 'previous', 'timestamps'] as const) if (truthy(query, name)) options[name] = true
  for (const name of ['tailLines', 'limitBytes', 'sinceSeconds'] as const) {
    const text = query.get(name)
    if (text === null || text === '') continue
    const number = Number(text)
    const least = name === 'tailLines' ? 0 : 1
    if (!Number.isInteger(number) || number < least)
      throw new ApiError(
        'Invalid',
        `PodLogOptions "" is invalid: ${name}: Invalid value: ${JSON.stringify(text)}: must be greater than or equal to ${least}`,
      )
    options[name] = number
  }
  const sinceTime = query.get('sinceTime')
  if (sinceTime) {
    if (Number.isNaN(Date.parse(sinceTime))) throw badRequest(`sinceTime "${sinceTime}" is not an RFC 3339 time`)
    if (options.sinceSeconds !== undefined)
      throw new ApiError(
        'Invalid',
        'PodLogOptions "" is invalid: sinceSeconds: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
      )
    options.sinceTime = sinceTime
  }
  const stream = query.get('stream') || 'All'
  if (!['All', 'Stdout', 'Stderr'].includes(stream))
    throw new ApiError(
      'Invalid',
      `PodLogOptions "" is invalid: stream: Unsupported value: ${JSON.stringify(stream)}: supported values: "All", "Stderr", "Stdout"`,
    )
  if (stream !== 'All' && options.tailLines !== undefined)
    throw new ApiError(
      'Invalid',
      'PodLogOptions "" is invalid: tailLines: Forbidden: `tailLines` and specific `stream` are mutually exclusive for now',
    )
  if (stream !== 'All') options.stream = stream === 'Stdout' ? 'stdout' : 'stderr'
  return options
}

/** 'portforward/22/tcp' of a VM. */
export function machinePort(rest: string[]): { port: number; protocol: 'tcp' | 'udp' } {
  const port = Number(rest[0])
  const protocol = rest[1] ?? 'tcp'
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw badRequest(`${rest[0] ?? ''} is not a port`)
  if (protocol !== 'tcp' && protocol !== 'udp') throw badRequest(`protocol ${protocol} is neither tcp nor udp`)
  return { port, protocol }
}
