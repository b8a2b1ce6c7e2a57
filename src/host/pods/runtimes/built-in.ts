// The RuntimeClasses that a node comes with: what each costs a Pod beside its containers, and where it can run.

import { nodeLabelOf } from '../../../kinds/node/runtime-readiness.ts'

interface BuiltIn {
  handler: string
  /** Measured or, of Kata, what its own classes say. */
  podFixed?: { cpu: string; memory: string }
}

const classes: Record<string, BuiltIn> = {
  runc: { handler: 'runc' },
  crun: { handler: 'crun' },
  // A kernel of 15 to 25 MiB for each container; most Pods have one.
  gvisor: { handler: 'runsc', podFixed: { cpu: '10m', memory: '32Mi' } },
  // QEMU's own memory and the guest's kernel.
  microvm: { handler: 'microvm', podFixed: { cpu: '50m', memory: '64Mi' } },
  'microvm-clh': { handler: 'microvm-clh', podFixed: { cpu: '50m', memory: '64Mi' } },
  kata: { handler: 'kata', podFixed: { cpu: '250m', memory: '160Mi' } },
  'kata-fc': { handler: 'kata-fc', podFixed: { cpu: '250m', memory: '130Mi' } },
  'kata-clh': { handler: 'kata-clh', podFixed: { cpu: '250m', memory: '130Mi' } },
  wasm: { handler: 'wasm' },
}

/** Of handlers that the node knows; a Pod of the default one may run anywhere. */
export const builtInClasses = (handlers: readonly string[]) =>
  Object.entries(classes)
    .filter(([, { handler }]) => handlers.includes(handler))
    .map(([name, { handler, podFixed }]) => ({
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name },
      handler,
      ...(podFixed && { overhead: { podFixed } }),
      ...(name !== 'runc' && { scheduling: { nodeSelector: { [nodeLabelOf(name)]: 'true' } } }),
    }))
