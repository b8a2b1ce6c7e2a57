// HorizontalPodAutoscaler: changes the size of a workload by its metrics, every 15 seconds. Behaviour, conditions and
// events of pkg/controller/podautoscaler (1.36).

import { firstAt } from '../api/jsonpath.ts'
import { type KindDefinition, resourceOf } from '../api/kind.ts'
import { objectKey, parseGroupVersion, type ResourceRef, type StoredObject } from '../api/meta.ts'
import { parseLabelSelector, selectorMatcher, selectorText } from '../api/selector.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type Condition, withCondition } from './conditions.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { limitChange, newHistory, noteChange, type ScaleHistory } from './hpa-behavior.ts'
import { askMetric, type MetricAnswer, MetricFailure } from './hpa-metrics.ts'
import { milli } from './hpa-replicas.ts'
import { autoscalers, pods } from './resources.ts'

const periodMs = 15_000
const standardTolerance = 0.1

export const horizontalPodAutoscaler: ControllerDefinition = {
  name: 'horizontal-pod-autoscaler',
  start(context) {
    const nothing = () => []
    const watched = [
      { ref: autoscalers, keys: itself },
      { ref: pods, keys: nothing },
    ]
    return reconcileOn(context, 'horizontal-pod-autoscaler', watched, createSync(context))
  },
}

/** The size of the workload that an autoscaler names. */
interface Target {
  ref: ResourceRef
  object: StoredObject
  specReplicas: number
  statusReplicas: number
  selector: string
}

/** One look at an autoscaler: what its status will say. */
interface Round {
  hpa: StoredObject
  status: Record<string, any>
  say: (type: string, status: boolean, reason: string, message: string) => void
}

interface Decision {
  desired: number
  reason: string
  /** Some metrics said nothing, which the reconcile reports when it is done. */
  failure?: Error
}

function createSync(context: ControllerContext) {
  const { client, informers, clock, kinds } = context
  const record = context.recorder('horizontal-pod-autoscaler')
  const known = informers.informer(autoscalers)
  const podInformer = informers.informer(pods)
  const histories = new Map<string, ScaleHistory>()

  function kindOf({ apiVersion = '', kind }: any): KindDefinition {
    const { group } = parseGroupVersion(apiVersion)
    const found = kinds().find((each) => each.group === group && each.kind === kind)
    if (!found) throw new Error(`no matches for kind ${JSON.stringify(kind)} in group ${JSON.stringify(group)}`)
    if (!found.subresources?.scale) throw new Error('the server could not find the requested resource')
    return found
  }

  async function readTarget({ spec, metadata }: StoredObject): Promise<Target> {
    const kind = kindOf(spec.scaleTargetRef)
    const scale = kind.subresources!.scale!
    const ref = resourceOf(kind)
    const object = await client.get(ref, spec.scaleTargetRef.name, metadata.namespace)
    const selector =
      typeof scale.selector === 'function'
        ? scale.selector(object)
        : scale.selector
          ? String(firstAt(object, scale.selector) ?? '')
          : selectorText(selectorMatcher(object.spec?.selector))
    return {
      ...{ ref, object, selector },
      specReplicas: Number(firstAt(object, scale.specReplicasPath) ?? 0),
      statusReplicas: Number(firstAt(object, scale.statusReplicasPath) ?? 0),
    }
  }

  function tolerancesOf({ spec }: StoredObject) {
    const of = (rules: any) => (rules?.tolerance === undefined ? standardTolerance : milli(rules.tolerance) / 1000)
    return { up: of(spec.behavior?.scaleUp), down: of(spec.behavior?.scaleDown) }
  }

  /** The largest size that a metric asks for. @throws Error when too few of them say anything */
  async function ask(round: Round, target: Target) {
    const { hpa, say } = round
    if (!target.selector) {
      record(hpa, 'Warning', 'SelectorRequired', 'selector is required')
      say('ScalingActive', false, 'InvalidSelector', "the HPA target's scale is missing a selector")
      throw new Error('selector is required')
    }
    const { matches } = parseLabelSelector(target.selector)
    const question = {
      namespace: hpa.metadata.namespace!,
      selector: target.selector,
      pods: podInformer.list(hpa.metadata.namespace).filter((pod) => matches(pod.metadata.labels)),
      current: target.specReplicas,
      tolerances: tolerancesOf(hpa),
      now: clock.now(),
    }
    const answers: MetricAnswer[] = []
    const failures: MetricFailure[] = []
    for (const metric of hpa.spec.metrics ?? []) {
      try {
        answers.push(await askMetric(client, metric, question))
      } catch (error) {
        if (!(error instanceof MetricFailure)) throw error
        record(hpa, 'Warning', error.reason, error.message)
        failures.push(error)
      }
    }
    round.status.currentMetrics = answers.map(({ status }) => status)
    const best = answers.reduce<MetricAnswer | undefined>(
      (most, each) => (!most || each.replicas > most.replicas ? each : most),
      undefined,
    )
    const total = (hpa.spec.metrics ?? []).length
    const failure = failures[0]
      ? new Error(
          `invalid metrics (${failures.length} invalid out of ${total}), first error is: ${failures[0].message}`,
        )
      : undefined
    // Fewer replicas are only believed when every metric has spoken.
    if (failure && (!best || best.replicas < target.specReplicas)) {
      const { reason, message } = failures[0]!
      say('ScalingActive', false, reason, `the HPA was unable to compute the replica count: ${message}`)
      throw failure
    }
    const text = `the HPA was able to successfully calculate a replica count from ${best?.name ?? 'no metric'}`
    say('ScalingActive', true, 'ValidMetricFound', text)
    return { best, failure }
  }

  async function decide(round: Round, target: Target): Promise<Decision> {
    const { hpa, say } = round
    const { specReplicas: current } = target
    const { minReplicas = 1, maxReplicas } = hpa.spec
    if (current === 0 && minReplicas !== 0) {
      const text = 'scaling is disabled since the replica count of the target is zero'
      say('ScalingActive', false, 'ScalingDisabled', text)
      return { desired: 0, reason: '' }
    }
    if (current > maxReplicas)
      return { desired: maxReplicas, reason: 'Current number of replicas above Spec.MaxReplicas' }
    if (current < minReplicas)
      return { desired: minReplicas, reason: 'Current number of replicas below Spec.MinReplicas' }
    const { best, failure } = await ask(round, target)
    const wanted = best?.replicas ?? current
    const history = historyOf(hpa, current)
    const { replicas, able, limited } = limitChange(hpa.spec, history, current, wanted, clock.now())
    say('AbleToScale', able.status, able.reason, able.message)
    say('ScalingLimited', limited.status, limited.reason, limited.message)
    const reason = wanted > current ? `${best!.name} above target` : 'All metrics below target'
    return { desired: replicas, reason, ...(failure && { failure }) }
  }

  function historyOf(hpa: StoredObject, current: number): ScaleHistory {
    let history = histories.get(hpa.metadata.uid)
    if (!history) {
      history = newHistory()
      // What it was before we looked counts as a recommendation, so that nothing shrinks at our start.
      history.recommended.push({ at: clock.now(), replicas: current })
      histories.set(hpa.metadata.uid, history)
    }
    return history
  }

  async function rescale({ hpa, say }: Round, { ref, specReplicas }: Target, { desired, reason }: Decision) {
    const { name } = hpa.spec.scaleTargetRef
    try {
      const patch = { spec: { replicas: desired } }
      await client.patch(ref, name, hpa.metadata.namespace, 'merge', patch, { subresource: 'scale' })
    } catch (error) {
      const { message } = error as Error
      record(hpa, 'Warning', 'FailedRescale', `New size: ${desired}; reason: ${reason}; error: ${message}`)
      say(
        'AbleToScale',
        false,
        'FailedUpdateScale',
        `the HPA controller was unable to update the target scale: ${message}`,
      )
      throw error
    }
    say('AbleToScale', true, 'SucceededRescale', `the HPA controller was able to update the target scale to ${desired}`)
    record(hpa, 'Normal', 'SuccessfulRescale', `New size: ${desired}; reason: ${reason}`)
    noteChange(historyOf(hpa, specReplicas), specReplicas, desired, clock.now())
  }

  async function run(round: Round): Promise<void> {
    const { hpa, status, say } = round
    let target: Target
    try {
      target = await readTarget(hpa)
    } catch (error) {
      const { message } = error as Error
      record(hpa, 'Warning', 'FailedGetScale', message)
      const text = `the HPA controller was unable to get the target's current scale: ${message}`
      say('AbleToScale', false, 'FailedGetScale', text)
      throw error
    }
    say('AbleToScale', true, 'SucceededGetScale', "the HPA controller was able to get the target's current scale")
    status.currentReplicas = target.statusReplicas
    const decision = await decide(round, target).catch((error: Error) => {
      record(hpa, 'Warning', 'FailedComputeMetricsReplicas', error.message)
      throw error
    })
    if (decision.desired !== target.specReplicas) {
      await rescale(round, target, decision)
      status.lastScaleTime = formatTime(clock.now())
    }
    status.desiredReplicas = decision.desired
    if (decision.failure) throw decision.failure
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const hpa = known.get(key)
    const uids = new Set(known.list().map(({ metadata }) => metadata.uid))
    for (const uid of histories.keys()) if (!uids.has(uid)) histories.delete(uid)
    if (!hpa || hpa.metadata.deletionTimestamp) return undefined
    const status: Record<string, any> = { ...hpa.status }
    const round: Round = {
      ...{ hpa, status },
      say: (type, isTrue, reason, message) => {
        const condition: Condition = { type, status: isTrue ? 'True' : 'False', reason, message }
        status.conditions = withCondition(status.conditions, condition, formatTime(clock.now()))
      },
    }
    try {
      await run(round)
    } catch {
      // Said in conditions and events; it is looked at again in any case.
    }
    status.desiredReplicas ??= 0
    const now = known.get(objectKey(hpa))
    if (now && !semanticallyEqual(status, now.status)) await client.updateStatus(autoscalers, { ...now, status })
    return { requeueAfter: periodMs }
  }
}
