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

export function health(request: ApiRequest, checks: Checks, stopping: boolean): ApiResponse | undefined {
  const [page = '', only] = request.path.split('/').filter((part) => part !== '')
  if (page !== 'healthz' && page !== 'livez' && page !== 'readyz') return undefined
  const excluded = request.query.getAll('exclude')
  const all: Checks = { ping: () => undefined, ...checks }
  if (page === 'readyz') all.shutdown = () => (stopping ? 'process is shutting down' : undefined)
  const names = Object.keys(all).filter((name) => !excluded.includes(name) && (only === undefined || name === only))
  if (only !== undefined && names.length === 0) return { status: 404, text: '404 page not found\n' }
  const results = names.map((name) => ({ name, problem: all[name]!() }))
  const failed = results.some(({ problem }) => problem !== undefined)
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`,
  )
  const headers = { 'content-type': 'text/plain; charset=utf-8' }
  if (failed) return { status: 500, headers, text: `${lines.join('\n')}\n${page} check failed\n` }
  if (request.query.has('verbose')) return { status: 200, headers, text: `${lines.join('\n')}\n${page} check passed\n` }
  return { status: 200, headers, text: 'ok' }
}
