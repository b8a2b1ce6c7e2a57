// What is accepted of a Pod although it does less here than its author may think.

import type { ApiObject } from '../../api/meta.ts'

export function podWarnings({ spec }: ApiObject): string[] {
  const warnings: string[] = []
  for (const [index, volume] of (spec?.volumes ?? []).entries())
    if (volume.csi)
      warnings.push(
        `spec.volumes[${index}].csi: no CSI driver runs on this node; the Pod waits until a driver "${volume.csi.driver}" is there`,
      )
  const mounts = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].flatMap((one) => one.volumeMounts ?? [])
  if (mounts.some(({ recursiveReadOnly }) => recursiveReadOnly === 'IfPossible'))
    warnings.push(
      'recursiveReadOnly: the container runtime of this node cannot do it; IfPossible mounts are read-only at their top only',
    )
  if (spec?.securityContext?.seLinuxChangePolicy)
    warnings.push('spec.securityContext.seLinuxChangePolicy: has no effect, this node has no SELinux')
  return warnings
}
