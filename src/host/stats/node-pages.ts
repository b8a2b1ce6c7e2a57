// The pages of a kubelet, served through the API at nodes/<name>/proxy/…

import { readdir, readFile, stat, statfs } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import type { ApiResponse } from '../../api/exchange.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { WorkloadRef } from '../../api/streams.ts'
import { cadvisorMetrics, type DiskSpace, resourceMetrics, type SummaryInput, summary } from './summary.ts'
import type { Usage } from './usage.ts'

export interface PageRequest {
  method: string
  path: string
  query: URLSearchParams
  signal?: AbortSignal
}

export interface NodePagesOptions {
  nodeName: string
  stateDir: string
  startedAt: number
  usage(): Promise<Usage>
  /** Pods that this node runs, as the API has them. */
  pods(): StoredObject[]
  logs(pod: WorkloadRef, options: Record<string, unknown>, signal: AbortSignal): AsyncIterable<Uint8Array>
  settings: Record<string, unknown>
}

type Page = (request: PageRequest, rest: string[]) => Promise<ApiResponse | undefined>

const text = (body: string, type = 'text/plain; version=0.0.4; charset=utf-8'): ApiResponse => ({
  status: 200,
  text: body,
  headers: { 'content-type': type },
})

const json = (object: object): ApiResponse => ({ status: 200, object: object as never })

/** Where a machine keeps its own logs. */
const machineLogs = '/var/log'
const biggestLog = 10 * 1024 * 1024

export function createNodePages(options: NodePagesOptions): (request: PageRequest) => Promise<ApiResponse | undefined> {
  const input = async (): Promise<SummaryInput> => ({
    usage: await options.usage(),
    nodeName: options.nodeName,
    startedAt: options.startedAt,
    disk: await diskSpace(options.stateDir),
  })

  const pages: Record<string, Page> = {
    healthz: async () => text('ok', 'text/plain; charset=utf-8'),
    'stats/summary': async () => json(summary(await input())),
    'metrics/resource': async () => text(resourceMetrics(await input())),
    'metrics/cadvisor': async () => text(cadvisorMetrics(await input())),
    'metrics/probes': async () => text(''),
    metrics: async () => text(ownMetrics(options)),
    pods: async () => json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.pods() }),
    runningpods: async () =>
      json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.pods().filter(isRunning) }),
    configz: async () => json({ kubeletconfig: options.settings }),
    logs: async (_request, rest) => machineLog(rest),
    containerLogs: async ({ query, signal }, rest) => containerLog(options, rest, query, signal),
  }

  return async (request) => {
    const parts = request.path.split('/').filter(Boolean)
    for (const length of [2, 1]) {
      const name = parts.slice(0, length).join('/')
      const page = Object.hasOwn(pages, name) ? pages[name] : undefined
      const rest = parts.slice(length)
      if (page && (rest.length === 0 || name === 'logs' || name === 'containerLogs')) return await page(request, rest)
    }
    return undefined
  }
}

const isRunning = ({ status }: StoredObject): boolean => status?.phase === 'Running'

async function diskSpace(path: string): Promise<DiskSpace> {
  const { blocks, bavail, bsize, files, ffree, bfree } = await statfs(path)
  return {
    availableBytes: bavail * bsize,
    capacityBytes: blocks * bsize,
    usedBytes: (blocks - bfree) * bsize,
    inodesFree: ffree,
    inodes: files,
    inodesUsed: files - ffree,
  }
}

function ownMetrics({ pods, nodeName, startedAt }: NodePagesOptions): string {
  const running = pods().filter(isRunning)
  const containers = running
    .flatMap((pod) => pod.status?.containerStatuses ?? [])
    .filter(({ state }: any) => state?.running)
  const { user, system } = process.cpuUsage()
  const gauge = (name: string, help: string, value: number, labels = '') =>
    `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name}${labels} ${value}\n`
  return [
    gauge('kubelet_node_name', "[ALPHA] The node's name. The count is always 1.", 1, `{node="${nodeName}"}`),
    gauge('kubelet_running_pods', '[STABLE] Number of pods that have a running pod sandbox', running.length),
    gauge(
      'kubelet_running_containers',
      '[STABLE] Number of containers currently running',
      containers.length,
      '{container_state="running"}',
    ),
    gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', startedAt / 1000),
    gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', process.memoryUsage.rss()),
    `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ${(user + system) / 1e6}\n`,
  ].join('')
}

/** Files below /var/log, and lists of directories as links. */
async function machineLog(rest: string[]): Promise<ApiResponse | undefined> {
  const path = normalize(join(machineLogs, ...rest))
  if (path !== machineLogs && !path.startsWith(`${machineLogs}/`)) return undefined
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) {
    const names = (await readdir(path, { withFileTypes: true })).map((one) =>
      one.isDirectory() ? `${one.name}/` : one.name,
    )
    const links = names.sort().map((name) => `<a href="${encodeURI(name)}">${name.replaceAll('<', '&lt;')}</a>\n`)
    return text(`<pre>\n${links.join('')}</pre>\n`, 'text/html; charset=utf-8')
  }
  if (!found?.isFile() || found.size > biggestLog) return undefined
  return text(await readFile(path, 'utf8'), 'text/plain; charset=utf-8')
}

async function containerLog(
  { pods, logs }: NodePagesOptions,
  [namespace, name, container]: string[],
  query: URLSearchParams,
  signal = new AbortController().signal,
): Promise<ApiResponse | undefined> {
  const pod = pods().find(({ metadata }) => metadata.namespace === namespace && metadata.name === name)
  if (!pod || !container) return undefined
  const number = (key: string) => (query.has(key) ? { [key]: Number(query.get(key)) } : {})
  const flag = (key: string) => ({ [key]: query.get(key) === 'true' })
  const options = {
    container,
    ...number('tailLines'),
    ...number('limitBytes'),
    ...number('sinceSeconds'),
    ...flag('previous'),
    ...flag('timestamps'),
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of logs({ namespace: namespace!, name: name!, uid: pod.metadata.uid }, options, signal))
    chunks.push(chunk)
  return text(Buffer.concat(chunks).toString('utf8'), 'text/plain; charset=utf-8')
}
