// The audit log: who did what and how it ended, as Events of audit.k8s.io/v1, for the requests that the policy names.

import { randomUUID } from 'node:crypto'
import type { ApiRequest, ApiResponse, UserInfo } from '../../api/exchange.ts'
import { isLongRunning } from '../metrics.ts'
import type { RequestInfo } from '../request.ts'
import { type AuditDecision, type AuditPolicy, type AuditStage, decide } from './policy.ts'

export interface AuditOptions {
  policy: AuditPolicy
  /** Takes one line; never waits and never fails. */
  write(line: string): void
  now?: () => number
}

/** One request under audit. */
export interface AuditVisit {
  /** Notes of admission and authorization. */
  readonly annotations: Record<string, string>
  acting(user: UserInfo): void
  done(response: ApiResponse): void
}

export interface Audit {
  /** Undefined when the policy is not interested. */
  begin(request: ApiRequest, info: RequestInfo): AuditVisit | undefined
}

export function createAudit({ policy, write, now = Date.now }: AuditOptions): Audit {
  return {
    begin(request, info) {
      const user = request.user
      if (!user) return undefined
      const decision = decide(policy, user, info)
      if (decision.level === 'None') return undefined
      const event = describe(request, info, user, decision, now())
      const tell = (stage: AuditStage) => {
        if (decision.omitStages.includes(stage)) return
        write(JSON.stringify({ ...event, stage, stageTimestamp: micro(now()) }))
      }
      tell('RequestReceived')
      const annotations: Record<string, string> = {}
      return {
        annotations,
        acting(as) {
          if (as !== user) event.impersonatedUser = shown(as)
        },
        done(response) {
          event.responseStatus = statusOf(response)
          annotations['authorization.k8s.io/decision'] = isRefused(response) ? 'forbid' : 'allow'
          event.annotations = annotations
          if (decision.level === 'RequestResponse' && response.object && !response.events)
            event.responseObject = withoutManagers(response.object, decision)
          // Of a watch the log sees that it began: it ends with its client.
          tell(isLongRunning(info) && response.status < 400 ? 'ResponseStarted' : 'ResponseComplete')
        },
      }
    },
  }
}

const micro = (ms: number): string => new Date(ms).toISOString().replace(/Z$/, '000Z')

const shown = ({ name, uid, groups, extra }: UserInfo) => ({
  username: name,
  ...(uid && { uid }),
  groups,
  ...(extra && { extra }),
})

function describe(
  request: ApiRequest,
  info: RequestInfo,
  user: UserInfo,
  decision: AuditDecision,
  time: number,
): Record<string, unknown> {
  const query = request.query.toString()
  const { resource, namespace, name, group, version, subresource } = info
  const objectRef = {
    resource,
    ...(namespace && { namespace }),
    ...(name && { name }),
    ...(group && { apiGroup: group }),
    apiVersion: version,
    ...(subresource && { subresource }),
  }
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: decision.level,
    auditID: auditId(request),
    requestURI: query ? `${request.path}?${query}` : request.path,
    verb: info.verb,
    user: shown(user),
    sourceIPs: [request.source ?? '127.0.0.1'],
    userAgent: request.headers['user-agent'] ?? '',
    ...(info.isResource && { objectRef }),
    requestReceivedTimestamp: micro(time),
    ...(decision.level !== 'Metadata' && request.body && { requestObject: bodyOf(request.body, decision) }),
  }
}

/** A client may name its request; one that writes a book into the header gets a name of ours. */
const auditId = (request: ApiRequest): string => {
  const given = request.headers['audit-id']
  return given && /^[\w-]{1,64}$/.test(given) ? given : randomUUID()
}

function bodyOf(body: Uint8Array | object, decision: AuditDecision): unknown {
  if (!(body instanceof Uint8Array)) return withoutManagers(body, decision)
  try {
    return withoutManagers(JSON.parse(new TextDecoder().decode(body)), decision)
  } catch {
    // YAML and protobuf are not taken apart for the log.
    return undefined
  }
}

function withoutManagers(object: any, decision: AuditDecision): unknown {
  if (!decision.omitManagedFields || !object?.metadata?.managedFields) return object
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

const isRefused = ({ status, object }: ApiResponse): boolean =>
  status === 403 && (object as { reason?: string }).reason === 'Forbidden'

function statusOf({ status, object }: ApiResponse): object {
  const failure = status >= 400 ? (object as { status?: string; reason?: string; message?: string }) : undefined
  return {
    metadata: {},
    ...(failure && { status: failure.status ?? 'Failure', reason: failure.reason, message: failure.message }),
    code: status,
  }
}
