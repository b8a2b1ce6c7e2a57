// The kinds that Tandem serves. A kind is here when something acts on it, never before.

import type { KindDefinition } from '../api/kind.ts'
import { deployment } from './apps/deployment.ts'
import { replicaSet } from './apps/replicaset.ts'
import { configMap } from './core/configmap.ts'
import { namespace } from './core/namespace.ts'
import { node } from './core/node.ts'
import { pod } from './core/pod.ts'
import { secret } from './core/secret.ts'
import { service } from './core/service.ts'
import { virtualMachine } from './kubevirt/virtualmachine.ts'
import { virtualMachineInstance } from './kubevirt/virtualmachineinstance.ts'

export const kinds: KindDefinition[] = [
  namespace,
  node,
  pod,
  service,
  configMap,
  secret,
  deployment,
  replicaSet,
  virtualMachine,
  virtualMachineInstance,
]
