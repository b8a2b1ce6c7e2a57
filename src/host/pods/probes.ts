// Startup, readiness and liveness probes of one running container: when they run and what their answers add up to.
// Rules mirrored from the kubelet (pkg/kubelet/prober, 1.32).

import type { Probe } from 'kubernetes-types/core/v1.js'
import type { Clock, Timer } from '../../base/clock.ts'

export type ProbeKind = 'startup' | 'readiness' | 'liveness'

export interface ProbeAnswer {
  ok: boolean
  /** What goes into the Unhealthy event. */
  output: string
}

export interface ProbeVerdict {
  /** Undefined until a threshold was reached. */
  good: boolean | undefined
  inARow: number
  lastOk: boolean | undefined
}

/** One more answer: the verdict turns when a threshold of equal answers in a row is reached. */
export function count(verdict: ProbeVerdict, probe: Probe, ok: boolean): ProbeVerdict {
  const inARow = verdict.lastOk === ok ? verdict.inARow + 1 : 1
  const threshold = ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3)
  return { good: inARow >= threshold ? ok : verdict.good, inARow, lastOk: ok }
}

export interface WatchedContainer {
  startedAt: number
  startupProbe?: Probe
  readinessProbe?: Probe
  livenessProbe?: Probe
  /** What was known before Tandem was restarted. */
  started: boolean
  ready: boolean
}

export interface ProbeRunner {
  run(kind: ProbeKind, probe: Probe): Promise<ProbeAnswer>
  /** Started or ready changed. */
  changed(verdicts: { started: boolean; ready: boolean }): void
  /** Liveness or startup failed for good: the container has to go. */
  failed(kind: ProbeKind): void
  /** Each answer that is not good. */
  unhealthy(kind: ProbeKind, output: string): void
}

export interface ProbeWatch {
  /** Liveness and startup are over; whether it can be asked is still of interest. */
  onlyReadiness(): void
  stop(): void
}

const second = 1000

export function watchProbes(container: WatchedContainer, runner: ProbeRunner, clock: Clock): ProbeWatch {
  const state = {
    started: container.started || !container.startupProbe,
    ready: container.ready,
    over: false,
  }
  const timers = new Map<ProbeKind, Timer>()
  const ended = new Set<ProbeKind>()

  const tell = () => runner.changed({ started: state.started, ready: state.ready })
  const stop = () => {
    state.over = true
    for (const timer of timers.values()) timer.cancel()
  }

  function settle(kind: ProbeKind, verdict: ProbeVerdict): void {
    if (kind === 'startup' && verdict.good) {
      state.started = true
      tell()
      begin('readiness', container.readinessProbe)
      begin('liveness', container.livenessProbe)
    }
    if (kind === 'readiness' && verdict.good !== undefined && verdict.good !== state.ready) {
      state.ready = verdict.good
      tell()
    }
    if (kind !== 'readiness' && verdict.good === false) {
      stop()
      runner.failed(kind)
    }
  }

  function begin(kind: ProbeKind, probe: Probe | undefined): void {
    if (!probe || state.over) return
    let verdict: ProbeVerdict = { good: undefined, inARow: 0, lastOk: undefined }
    const period = Math.max(probe.periodSeconds ?? 10, 1) * second
    const once = async () => {
      const started = clock.now()
      const answer = await runner
        .run(kind, probe)
        .catch((error: Error) => ({ ok: false, output: error.message }) satisfies ProbeAnswer)
      if (state.over || ended.has(kind)) return
      if (!answer.ok) runner.unhealthy(kind, answer.output)
      verdict = count(verdict, probe, answer.ok)
      settle(kind, verdict)
      // The startup probe has done its work; the others go on.
      if (state.over || (kind === 'startup' && state.started)) return
      schedule(Math.max(period - (clock.now() - started), 0))
    }
    const schedule = (ms: number) =>
      timers.set(
        kind,
        clock.after(ms, () => void once()),
      )
    const delay = container.startedAt + (probe.initialDelaySeconds ?? 0) * second - clock.now()
    schedule(Math.max(delay, 0))
  }

  if (!state.started) begin('startup', container.startupProbe)
  else {
    begin('readiness', container.readinessProbe)
    begin('liveness', container.livenessProbe)
  }
  return {
    stop,
    onlyReadiness() {
      for (const kind of ['startup', 'liveness'] as const) {
        ended.add(kind)
        timers.get(kind)?.cancel()
      }
    },
  }
}
