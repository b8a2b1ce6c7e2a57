// What a Pod may ask for that a runtime cannot give: refused by name when the Pod is made, not found out inside. By handler
// of its RuntimeClass. gVisor: seen with runsc 20240729, one gVisor kernel per container, the network of the Pod.

type Spec = Record<string, any>

const containersOf = (spec: Spec): Spec[] => [
  ...(spec.initContainers ?? []),
  ...(spec.containers ?? []),
  ...(spec.ephemeralContainers ?? []),
]

const gvisor = 'with gVisor'
const ownKernel = 'each container has a kernel of its own'

function gvisorLimits(spec: Spec): string[] {
  const found: string[] = []
  for (const field of ['shareProcessNamespace', 'hostPID', 'hostIPC'])
    if (spec[field]) found.push(`spec.${field} cannot be had ${gvisor}: ${ownKernel}`)
  for (const { name } of spec.securityContext?.sysctls ?? [])
    if (!/^net[./]/.test(name)) found.push(`the sysctl ${name} cannot be had ${gvisor}: ${ownKernel}`)
  for (const container of containersOf(spec)) found.push(...gvisorContainerLimits(container))
  return found
}

function gvisorContainerLimits({ name, volumeDevices, volumeMounts, targetContainerName }: Spec): string[] {
  const found: string[] = []
  if (volumeDevices?.length)
    found.push(
      `container ${name}: volumeDevices cannot be had ${gvisor}: it passes no devices on; use volumeMode: Filesystem`,
    )
  for (const { name: volume, mountPropagation } of volumeMounts ?? [])
    if (mountPropagation && mountPropagation !== 'None')
      found.push(
        `container ${name}: mountPropagation ${mountPropagation} of ${volume} cannot be had ${gvisor}: ${ownKernel}`,
      )
  if (targetContainerName)
    found.push(
      `container ${name}: the processes of ${targetContainerName} cannot be seen from another container ${gvisor}: ${ownKernel}; leave targetContainerName (kubectl debug --target) out`,
    )
  return found
}

const byHandler: Record<string, (spec: Spec) => string[]> = { runsc: gvisorLimits }

/** Texts for whoever makes the Pod; none when it can run. */
export const limitsOfRuntime = (handler: string, spec: Spec): string[] => byHandler[handler]?.(spec) ?? []
