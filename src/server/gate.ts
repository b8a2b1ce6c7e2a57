// What every request passes on its way, whatever it asks: priority and fairness, the counters, the audit log.

import { setImmediate } from 'node:timers/promises'
import type { ApiRequest, ApiResponse, UserInfo } from '../api/exchange.ts'
import type { Audit } from './audit/audit.ts'
import { countedAs } from './counted-as.ts'
import { createFlowControl } from './flow/flow-control.ts'
import { createMeters } from './metrics.ts'
import type { Objects } from './objects.ts'
import type { Registry } from './registry.ts'
import type { RequestInfo } from './request.ts'

export interface Steps {
  /** Whom the request acts as. @throws ApiError */
  permit(): UserInfo
  /** `annotations` take notes for the audit log, when somebody reads it. */
  serve(user: UserInfo, annotations: Record<string, string> | undefined): Promise<ApiResponse>
  /** An error as an answer. */
  failure(error: unknown): ApiResponse
}

export interface StreamSteps extends Pick<Steps, 'permit' | 'failure'> {
  /** @throws ApiError */
  admit(user: UserInfo): Promise<void>
}

export interface Gate {
  /** Never rejects. */
  pass(request: ApiRequest, info: RequestInfo, steps: Steps): Promise<ApiResponse>
  /** The same for a stream, which has no answer of its own: whom it acts as. @throws ApiError */
  stream(request: ApiRequest, info: RequestInfo, steps: StreamSteps): Promise<UserInfo>
  /** /metrics; undefined for every other path. */
  page(request: ApiRequest): ApiResponse | undefined
}

export function createGate(objects: Objects, registry: Registry, audit: Audit | undefined): Gate {
  const flow = createFlowControl(objects, registry)
  const meters = createMeters()
  const countedInfo = (info: RequestInfo): RequestInfo => ({ ...info, ...countedAs(info, registry) })

  const counts = () =>
    registry
      .all()
      .filter(({ kind, verbs }) => !kind.virtual && !kind.storedAs && verbs.has('create'))
      .map((resource) => ({
        group: resource.group,
        resource: resource.plural,
        count: objects.count(resource, ''),
      }))

  return {
    async pass(request, info, steps) {
      const begun = performance.now()
      const counted = countedInfo(info)
      meters.begun(counted)
      const audited = audit?.begin(request, info)
      let response: ApiResponse
      let headers: Record<string, string> | undefined
      try {
        const user = steps.permit()
        audited?.acting(user)
        const entered = flow.enter(user, info)
        const seat = entered instanceof Promise ? await entered : entered
        headers = seat.headers
        try {
          response = await steps.serve(user, audited?.annotations)
        } finally {
          seat.leave()
        }
      } catch (error) {
        headers ??= (error as { headers?: Record<string, string> }).headers
        response = steps.failure(error)
      }
      if (headers) response.headers = response.headers ? { ...response.headers, ...headers } : headers
      const seconds = (performance.now() - begun) / 1000
      meters.done(counted, response.status, seconds, request.query.has('dryRun'))
      audited?.done(response)
      return response
    },
    async stream(request, info, steps) {
      const begun = performance.now()
      const counted = countedInfo(info)
      meters.begun(counted)
      const audited = audit?.begin(request, info)
      let response: ApiResponse = { status: 101 }
      try {
        const user = steps.permit()
        audited?.acting(user)
        await steps.admit(user)
        return user
      } catch (error) {
        response = steps.failure(error)
        throw error
      } finally {
        meters.done(counted, response.status, (performance.now() - begun) / 1000, false)
        audited?.done(response)
      }
    },
    page(request) {
      if (request.path !== '/metrics') return undefined
      return {
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        stream: inTurns(meters.page({ levels: flow.levels(), counts: counts() })),
      }
    },
  }
}

/** Others get their turn between two pieces. */
async function* inTurns(pieces: Iterable<string>): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    yield Buffer.from(piece)
    await setImmediate()
  }
}
