// /version and the health pages.

import { arch, version as nodeVersion, platform } from 'node:process'
import type { ApiRequest, ApiResponse } from '../api/exchange.ts'

/** The version of Kubernetes whose behaviour this server mirrors; kubectl warns when it is too far from its own. */
export const serverVersion = {
  major: '1',
  minor: '36',
  gitVersion: 'v1.36.0+tandem',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2026-11-22T00:00:00Z',
  goVersion: `node ${nodeVersion}`,
  compiler: 'v8',
  platform: `${platform}/${arch === 'x64' ? 'amd64' : arch}`,
}

/** Named checks; a text says what is wrong. */
export type Checks = Record<string, () => string | undefined>

const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }

/**
 * `checks` say what this server waits for before it is ready; a process that waits is alive all the same
 * (apiserver/pkg/server/healthz, 1.36).
 */
export function health(request: ApiRequest, checks: Checks, stopping: boolean): ApiResponse | undefined {
  const [page = '', ...rest] = request.path.split('/').filter((part) => part !== '')
  if (page !== 'healthz' && page !== 'livez' && page !== 'readyz') return undefined
  const all: Checks = { ping: () => undefined, ...(page === 'readyz' && checks) }
  if (page === 'readyz') all.shutdown = () => (stopping ? 'process is shutting down' : undefined)
  if (rest.length > 0) return oneCheck(page, all[rest.join('/')])
  const excluded = new Set(request.query.getAll('exclude').flatMap((text) => text.split(',')))
  const lines: string[] = []
  let failed = false
  for (const [name, check] of Object.entries(all)) {
    if (excluded.delete(name)) {
      lines.push(`[+]${name} excluded: ok`)
      continue
    }
    const problem = check()
    failed ||= problem !== undefined
    lines.push(problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`)
  }
  if (excluded.size > 0) {
    const names = [...excluded].map((name) => JSON.stringify(name)).join(',')
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names}`)
  }
  if (failed) return { status: 500, headers, text: `${lines.join('\n')}\n${page} check failed\n` }
  if (request.query.has('verbose')) return { status: 200, headers, text: `${lines.join('\n')}\n${page} check passed\n` }
  return { status: 200, headers, text: 'ok' }
}

function oneCheck(page: string, check: (() => string | undefined) | undefined): ApiResponse {
  if (!check) return { status: 404, headers, text: '404 page not found\n' }
  const problem = check()
  if (problem === undefined) return { status: 200, headers, text: 'ok' }
  return { status: 500, headers, text: `internal server error: ${page}: ${problem}\n` }
}
