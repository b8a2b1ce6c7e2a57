// Defaults of a HorizontalPodAutoscaler (pkg/apis/autoscaling/v2/defaults.go, 1.36).

const scaleUp = () => ({
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
})

/** Without a window of its own, the controller's counts (300 s). */
const scaleDown = () => ({
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
})

const filled = (rules: any, standard: Record<string, unknown>): Record<string, unknown> => ({ ...standard, ...rules })

export const scaleUpRules = (rules: any): any => filled(rules, scaleUp())
export const scaleDownRules = (rules: any): any => filled(rules, scaleDown())

export function defaultAutoscalerSpec(spec: any): void {
  spec.minReplicas ??= 1
  if (!spec.metrics?.length)
    spec.metrics = [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
    ]
  if (!spec.behavior) return
  spec.behavior = { scaleUp: scaleUpRules(spec.behavior.scaleUp), scaleDown: scaleDownRules(spec.behavior.scaleDown) }
}
