// What a Pod may ask for that a runtime cannot give: refused by name when the Pod is made, not found out inside. By handler
// of its RuntimeClass. gVisor: seen with runsc 20240729, one gVisor kernel per container, the network of the Pod. A micro-VM
// has the Pod's network card and the folders that it is given, and nothing else of this machine.

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

const microvm = 'in a micro-VM'
const elsewhere = 'choose another runtimeClassName'

function microvmLimits(spec: Spec): string[] {
  const found: string[] = []
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'])
    if (spec[field])
      found.push(`spec.${field} cannot be had ${microvm}: it sees nothing of the machine's own; ${elsewhere}`)
  for (const { name, hostPath } of spec.volumes ?? [])
    if (['Socket', 'CharDevice', 'BlockDevice'].includes(hostPath?.type))
      found.push(`volume ${name}: a ${hostPath.type} of the machine cannot be had ${microvm}: only files and folders`)
  for (const container of containersOf(spec)) found.push(...microvmContainerLimits(container))
  return found
}

function microvmContainerLimits({ name, volumeDevices, volumeMounts, securityContext, resources }: Spec): string[] {
  const found: string[] = []
  const not = (what: string, why: string) => found.push(`container ${name}: ${what} cannot be had ${microvm}: ${why}`)
  if (securityContext?.privileged) not('privileged', `it has no devices of the machine; ${elsewhere}`)
  if (volumeDevices?.length) not('volumeDevices', 'it has no devices of the machine; use volumeMode: Filesystem')
  for (const { name: volume, mountPropagation } of volumeMounts ?? [])
    if (mountPropagation && mountPropagation !== 'None')
      not(`mountPropagation ${mountPropagation} of ${volume}`, 'mounts do not travel between kernels')
  const pages = Object.keys({ ...resources?.requests, ...resources?.limits }).find((one) =>
    one.startsWith('hugepages-'),
  )
  if (pages) not(pages, 'its memory is its own; leave huge pages out')
  return found
}

/** Profiles are loaded into the machine's kernel. */
function profileLimits(spec: Spec, where: string): string[] {
  const contexts: [string, Spec | undefined][] = [
    ['spec', spec.securityContext],
    ...containersOf(spec).map((one): [string, Spec | undefined] => [`container ${one.name}`, one.securityContext]),
  ]
  const theirs = "another kernel than the machine's runs it"
  return contexts.flatMap(([owner, context]) =>
    context?.appArmorProfile?.type === 'Localhost'
      ? [`${owner}: the AppArmor profile ${context.appArmorProfile.localhostProfile} cannot be had ${where}: ${theirs}`]
      : [],
  )
}

const byHandler: Record<string, (spec: Spec) => string[]> = {
  runsc: (spec) => [...gvisorLimits(spec), ...profileLimits(spec, gvisor)],
  microvm: (spec) => [...microvmLimits(spec), ...profileLimits(spec, microvm)],
}

/** Why a running Pod cannot be given other resources; undefined when it can. */
export const resizeLimitOf = (handler: string): string | undefined =>
  handler === 'microvm' ? 'a micro-VM has the size of its start: make the Pod anew with other resources' : undefined

/** Texts for whoever makes the Pod; none when it can run. */
export const limitsOfRuntime = (handler: string, spec: Spec): string[] => byHandler[handler]?.(spec) ?? []
