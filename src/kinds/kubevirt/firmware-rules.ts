// Rules for what a VirtualMachineInstance boots from and is probed by, and for the directories it mounts
// (vmi-create-admitter.go, KubeVirt 1.9).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'

export function validateFirmware(spec: any, field: string): FieldError[] {
  const { kernelBoot } = spec.domain.firmware ?? {}
  return [
    ...(kernelBoot ? validateKernelBoot(kernelBoot, `${field}.domain.firmware.kernelBoot`) : []),
    ...validateFilesystems(spec, field),
    ...['gpus', 'hostDevices'].flatMap((kind) =>
      validateHostDevices(spec.domain.devices?.[kind], `${field}.domain.devices.${kind}`),
    ),
    ...['readinessProbe', 'livenessProbe'].flatMap((name) => validateProbe(spec[name], `${field}.${name}`)),
  ]
}

function validateKernelBoot({ container, kernelArgs }: any, field: string): FieldError[] {
  if (!container)
    return kernelArgs
      ? [
          invalidValue(
            `${field}.kernelArgs`,
            kernelArgs,
            'kernel arguments cannot be provided without an external kernel',
          ),
        ]
      : []
  const at = `${field}.container`
  const errors: FieldError[] = []
  if (!container.image) errors.push(requiredValue(`${at}.image`, `${at} must be defined with an image`))
  if (!container.kernelPath && !container.initrdPath)
    errors.push(requiredValue(at, `${at} must be defined with at least one of the following: kernelPath, initrdPath`))
  for (const name of ['kernelPath', 'initrdPath'])
    if (container[name]) errors.push(...validatePath(container[name], `${at}.${name}`))
  return errors
}

/** pkg/storage/admitters/disks.go: ValidatePath. */
function validatePath(path: string, field: string): FieldError[] {
  if (path === '/') return [invalidValue(field, path, `${field} must not point to root`)]
  const parts = path.replace(/\/$/, '').split('/')
  const plain = parts[0] === '' && parts.slice(1).every((part) => part && part !== '.' && part !== '..')
  return plain
    ? []
    : [invalidValue(field, path, `${field} must be an absolute path to a file without relative components`)]
}

const shareable = ['persistentVolumeClaim', 'dataVolume', 'configMap', 'secret', 'serviceAccount', 'downwardAPI']
/** What virtio-fs takes as a tag: 36 bytes (virtio 1.2, 5.11.4). */
const longestTag = 36

function validateFilesystems({ domain, volumes = [] }: any, field: string): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  const disks = new Set((domain.devices?.disks ?? []).map((disk: any) => disk?.name))
  for (const [index, filesystem] of (domain.devices?.filesystems ?? []).entries()) {
    const at = `${field}.domain.devices.filesystems[${index}]`
    const name = filesystem?.name
    const volume = volumes.find((one: any) => one?.name === name)
    if (!name) errors.push(requiredValue(`${at}.name`))
    else if (!volume) errors.push(invalidValue(`${at}.name`, name, `${at}.name '${name}' not found.`))
    else if (!shareable.some((source) => volume[source]))
      errors.push(invalidValue(`${at}.name`, name, `a filesystem can be one of ${shareable.join(', ')}`))
    if (names.has(name) || disks.has(name))
      errors.push(invalidValue(`${at}.name`, name, 'a volume can be one disk or one filesystem'))
    names.add(name)
    if (name?.length > longestTag)
      errors.push(invalidValue(`${at}.name`, name, `must be no more than ${longestTag} characters`))
    if (!filesystem?.virtiofs) errors.push(requiredValue(`${at}.virtiofs`))
  }
  return errors
}

function validateHostDevices(devices: any[] = [], field: string): FieldError[] {
  return devices.flatMap((device, index) =>
    ['name', 'deviceName'].flatMap((name) => (device?.[name] ? [] : [requiredValue(`${field}[${index}].${name}`)])),
  )
}

const handlers = ['httpGet', 'tcpSocket', 'exec', 'guestAgentPing']

function validateProbe(probe: any, field: string): FieldError[] {
  if (!probe) return []
  const given = handlers.filter((name) => probe[name])
  if (given.length > 1) return [invalidValue(field, given.join(', '), `${field} must have exactly one probe type set`)]
  if (given.length === 0)
    return [
      requiredValue(
        field,
        `either ${field}.tcpSocket, ${field}.exec or ${field}.httpGet must be set if a ${field} is specified`,
      ),
    ]
  return probe.exec && !probe.exec.command?.length ? [requiredValue(`${field}.exec.command`)] : []
}
