// An APIService for every group version that this server answers itself, made and removed as groups come and go
// (kube-aggregator/pkg/controllers/autoregister, 1.36).

import type { ApiObject } from '../../api/meta.ts'
import type { Registry } from '../registry.ts'
import { isKubernetes, prioritiesOf } from './priorities.ts'

export const automanaged = 'kube-aggregator.kubernetes.io/automanaged'

/** By name. 'onstart': made when it is missing; 'true': also removed with its group. */
export function localServices(
  registry: Registry,
  more: ReadonlyMap<string, readonly string[]>,
): Map<string, ApiObject> {
  const services = new Map<string, ApiObject>()
  for (const [group, versions] of [...registry.groups(), ...more])
    for (const version of versions) {
      const name = `${version}.${group}`
      services.set(name, {
        apiVersion: 'apiregistration.k8s.io/v1',
        kind: 'APIService',
        metadata: { name, labels: { [automanaged]: isKubernetes(group) ? 'onstart' : 'true' } },
        spec: { ...(group && { group }), version, ...prioritiesOf(group, version) },
      })
    }
  return services
}
