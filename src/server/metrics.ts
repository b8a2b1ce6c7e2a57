// What the API server counts, as Prometheus reads it at /metrics, under upstream's names
// (apiserver/pkg/endpoints/metrics and util/flowcontrol/metrics, 1.36).

import type { Level } from './flow/levels.ts'
import { serverVersion } from './health.ts'
import type { RequestInfo } from './request.ts'

export interface Meters {
  begun(info: RequestInfo): void
  done(info: RequestInfo, status: number, seconds: number, dryRun: boolean): void
  /** The page, piece by piece: on a server that was asked for everything it is of many megabytes. */
  page(more: { levels: Level[]; counts: { group: string; resource: string; count: number }[] }): Iterable<string>
}

/** Upstream's buckets of request durations, in seconds. */
const buckets = [
  ...[0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2],
  ...[3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60],
]

interface Series {
  labels: string
  codes: Map<number, number>
  counts: number[]
  count: number
  sum: number
}

const verbs: Record<string, string> = {
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
  get: 'GET',
  list: 'LIST',
  watch: 'WATCH',
}
const streams = new Set(['exec', 'attach', 'portforward', 'proxy', 'log', 'console', 'vnc', 'usbredir'])
const writing = new Set(['create', 'update', 'patch', 'delete', 'deletecollection', 'post', 'put'])

export const isLongRunning = ({ verb, subresource }: RequestInfo): boolean =>
  verb === 'watch' || streams.has(subresource)

/** Label values hold what a client sent: quotes and line ends must not break the page. */
const quote = (value: string | number): string =>
  `"${String(value).replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`
const labelsOf = (labels: Record<string, string | number>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${quote(value)}`)
    .join(',')

function scopeOf(info: RequestInfo): string {
  if (info.name) return 'resource'
  if (info.namespace) return 'namespace'
  return info.isResource ? 'cluster' : ''
}

export function createMeters(): Meters {
  const series = new Map<string, Series>()
  const inFlight = { mutating: 0, readOnly: 0 }
  let longRunning = 0
  const started = Date.now() / 1000

  const kindOf = (info: RequestInfo) => (writing.has(info.verb) ? 'mutating' : 'readOnly')

  function find(info: RequestInfo, dryRun: boolean): Series {
    const verb = verbs[info.verb] ?? (info.verb.toUpperCase() || 'other')
    const scope = scopeOf(info)
    const key = `${verb} ${info.group}/${info.version}/${info.resource}/${info.subresource} ${scope} ${dryRun}`
    const found = series.get(key)
    if (found) return found
    const { group, version, resource, subresource } = info
    const labels = labelsOf({
      component: 'apiserver',
      dry_run: dryRun ? 'All' : '',
      group,
      resource,
      scope,
      subresource,
      verb,
      version,
    })
    const made: Series = { labels, codes: new Map(), counts: buckets.map(() => 0), count: 0, sum: 0 }
    series.set(key, made)
    return made
  }

  return {
    begun(info) {
      if (isLongRunning(info)) longRunning++
      else inFlight[kindOf(info)]++
    },
    done(info, status, seconds, dryRun) {
      if (isLongRunning(info)) longRunning--
      else inFlight[kindOf(info)]--
      const one = find(info, dryRun)
      one.codes.set(status, (one.codes.get(status) ?? 0) + 1)
      one.count++
      one.sum += seconds
      const bucket = buckets.findIndex((limit) => seconds <= limit)
      if (bucket >= 0) one.counts[bucket]!++
    },
    *page({ levels, counts }) {
      const page = createPage()
      page.family('apiserver_request_total', 'counter', 'Requests by verb, resource and answer.')
      for (const one of series.values()) {
        for (const [code, count] of one.codes)
          page.line('apiserver_request_total', `code="${code}",${one.labels}`, count)
        if (page.isLong()) yield page.take()
      }
      page.family('apiserver_request_duration_seconds', 'histogram', 'How long answers took.')
      for (const one of series.values()) {
        histogram(page, one)
        if (page.isLong()) yield page.take()
      }
      page.family('apiserver_current_inflight_requests', 'gauge', 'Requests in work.')
      for (const [kind, count] of Object.entries(inFlight))
        page.line('apiserver_current_inflight_requests', labelsOf({ request_kind: kind }), count)
      page.family('apiserver_longrunning_requests', 'gauge', 'Watches and streams whose answer is being made.')
      page.line('apiserver_longrunning_requests', '', longRunning)
      page.family('apiserver_resource_objects', 'gauge', 'Objects in the store.')
      for (const { group, resource, count } of counts)
        page.line('apiserver_resource_objects', labelsOf({ group, resource }), count)
      flowLines(page, levels)
      processLines(page, started)
      yield page.take()
    },
  }
}

const linesInPiece = 1000

function createPage() {
  let lines: string[] = []
  return {
    family(name: string, type: string, help: string): void {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    },
    line(name: string, labels: string, value: number): void {
      lines.push(labels ? `${name}{${labels}} ${value}` : `${name} ${value}`)
    },
    isLong: () => lines.length >= linesInPiece,
    take(): string {
      const text = `${lines.join('\n')}\n`
      lines = []
      return text
    },
  }
}
type Page = ReturnType<typeof createPage>

function histogram(page: Page, { labels, counts, count, sum }: Series): void {
  const name = 'apiserver_request_duration_seconds'
  let below = 0
  buckets.forEach((limit, index) => {
    below += counts[index]!
    page.line(`${name}_bucket`, `${labels},le="${limit}"`, below)
  })
  page.line(`${name}_bucket`, `${labels},le="+Inf"`, count)
  page.line(`${name}_sum`, labels, sum)
  page.line(`${name}_count`, labels, count)
}

function flowLines(page: Page, levels: Level[]): void {
  const gauge = (name: string, help: string, of: (level: Level) => number, type = 'gauge') => {
    page.family(`apiserver_flowcontrol_${name}`, type, help)
    for (const level of levels)
      page.line(`apiserver_flowcontrol_${name}`, labelsOf({ priority_level: level.name }), of(level))
  }
  gauge('nominal_limit_seats', 'Seats of the priority level.', (level) => level.nominal)
  gauge('lower_limit_seats', 'Seats that it lends to nobody.', (level) => level.nominal - level.lendable)
  gauge('current_executing_seats', 'Seats that are taken.', (level) => level.executing)
  gauge('current_inqueue_requests', 'Requests that wait.', (level) => level.waiting)
  gauge('dispatched_requests_total', 'Requests that were let in.', (level) => level.dispatched, 'counter')
  page.family('apiserver_flowcontrol_rejected_requests_total', 'counter', 'Requests that were told to come again.')
  for (const level of levels)
    for (const [reason, count] of Object.entries(level.rejected))
      page.line(
        'apiserver_flowcontrol_rejected_requests_total',
        labelsOf({ priority_level: level.name, reason }),
        count,
      )
}

function processLines(page: Page, started: number): void {
  const usage = process.resourceUsage()
  const one = (name: string, type: string, help: string, value: number, labels = '') => {
    page.family(name, type, help)
    page.line(name, labels, value)
  }
  const cpu = (usage.userCPUTime + usage.systemCPUTime) / 1e6
  one('process_cpu_seconds_total', 'counter', 'Processor time of this process.', cpu)
  one('process_resident_memory_bytes', 'gauge', 'Resident memory of this process.', process.memoryUsage.rss())
  one('process_start_time_seconds', 'gauge', 'When this process started.', started)
  const { buildDate, compiler, gitCommit, gitTreeState, gitVersion, goVersion, major, minor, platform } = serverVersion
  one(
    'kubernetes_build_info',
    'gauge',
    'The version whose behaviour this server mirrors.',
    1,
    labelsOf({
      build_date: buildDate,
      compiler,
      git_commit: gitCommit,
      git_tree_state: gitTreeState,
      git_version: gitVersion,
      go_version: goVersion,
      major,
      minor,
      platform,
    }),
  )
}
