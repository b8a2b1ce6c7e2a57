// Rules for processors that a guest has for itself, huge pages, NUMA, real time and I/O threads
// (vmi-create-admitter.go, KubeVirt 1.9).

import type { FieldError } from '../../api/errors.ts'
import { quantityMilli, tryParseQuantity } from '../../api/quantity.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'

export function validateProcessors({ domain }: any, field: string): FieldError[] {
  const at = `${field}.domain`
  return [
    ...validateDedicated(domain, at),
    ...validateNuma(domain, at),
    ...validateHugePages(domain, at),
    ...validateIoThreads(domain, at),
  ]
}

const whole = (value: unknown): number | undefined => {
  const quantity = value === undefined ? undefined : tryParseQuantity(String(value))
  return quantity && Number(quantityMilli(quantity)) / 1000
}

function validateDedicated({ cpu = {}, resources = {} }: any, at: string): FieldError[] {
  const errors: FieldError[] = []
  const { dedicatedCpuPlacement, isolateEmulatorThread, cores = 1, sockets = 1, threads = 1 } = cpu
  if (isolateEmulatorThread && !dedicatedCpuPlacement)
    errors.push(
      invalidValue(
        `${at}.cpu.isolateEmulatorThread`,
        true,
        'IsolateEmulatorThread should be only set in combination with DedicatedCPUPlacement',
      ),
    )
  if (!dedicatedCpuPlacement) return errors
  const place = `${at}.cpu.dedicatedCpuPlacement`
  const [request, limit] = [resources.requests?.cpu, resources.limits?.cpu].map(whole)
  for (const [kind, value] of Object.entries({ limits: limit, requests: request }))
    if (value !== undefined && !Number.isInteger(value))
      errors.push(
        invalidValue(
          `${at}.resources.${kind}.cpu`,
          resources[kind].cpu,
          `provided resources CPU ${kind} must be an interger`,
        ),
      )
  const both = `${at}.resources.requests.cpu or ${at}.resources.limits.cpu`
  if (request && limit && request !== limit)
    errors.push(invalidValue(place, true, `${both} must be equal when DedicatedCPUPlacement is true `))
  const processors = cores * sockets * threads
  const given = cpu.cores || cpu.sockets || cpu.threads
  if (given && (request || limit) && request !== processors && limit !== processors)
    errors.push(
      invalidValue(
        place,
        true,
        `${both} must not be provided at the same time with ${at}.cpu.cores when DedicatedCPUPlacement is true `,
      ),
    )
  const [memory, most] = [resources.requests?.memory, resources.limits?.memory].map(whole)
  if (memory !== undefined && most !== undefined && memory !== most)
    errors.push(
      invalidValue(
        `${at}.resources.requests.memory`,
        resources.requests.memory,
        `${at}.resources.requests.memory must be equal to ${at}.resources.limits.memory`,
      ),
    )
  if (threads > 2)
    errors.push(
      invalidValue(
        place,
        true,
        `Not more than two threads must be provided at ${at}.cpu.threads (got ${threads}) when DedicatedCPUPlacement is true`,
      ),
    )
  return errors
}

function validateNuma({ cpu = {}, memory = {} }: any, at: string): FieldError[] {
  const errors: FieldError[] = []
  const passthrough = cpu.numa?.guestMappingPassthrough
  const numa = `${at}.cpu.numa.guestMappingPassthrough`
  const dedicated = `${at}.cpu.dedicatedCpuPlacement`
  if (passthrough && !cpu.dedicatedCpuPlacement)
    errors.push(
      invalidValue(numa, passthrough, `${dedicated} must be set to true when NUMA topology strategy is set in ${numa}`),
    )
  if (passthrough && !memory.hugepages)
    errors.push(
      invalidValue(
        numa,
        passthrough,
        `${at}.memory.hugepages must be requested when NUMA topology strategy is set in ${numa}`,
      ),
    )
  if (!cpu.realtime) return errors
  if (!cpu.dedicatedCpuPlacement)
    errors.push(requiredValue(dedicated, `${dedicated} must be set to true when ${at}.cpu.realtime is used`))
  if (!passthrough) errors.push(requiredValue(numa, `${numa} must be defined when ${at}.cpu.realtime is used`))
  const { mask } = cpu.realtime
  if (mask && !/^\^?\d+(-\d+)?(,\^?\d+(-\d+)?)*$/.test(mask))
    errors.push(invalidValue(`${at}.cpu.realtime.mask`, mask, 'must be a set of processors such as 0-3,^1'))
  return errors
}

function validateHugePages({ memory = {}, resources = {} }: any, at: string): FieldError[] {
  if (!memory.hugepages) return []
  const { pageSize } = memory.hugepages
  const place = `${at}.memory.hugepages.pageSize`
  const page = whole(pageSize)
  if (!page)
    return [
      invalidValue(
        place,
        pageSize,
        `${place} '${pageSize}': quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`,
      ),
    ]
  const asked = resources.requests?.memory ?? memory.guest ?? resources.limits?.memory
  const bytes = whole(asked)
  const request = `${at}.resources.requests.memory`
  if (bytes === undefined) return []
  if (bytes < page)
    return [
      invalidValue(
        request,
        String(asked),
        `${request} '${asked}' must be equal to or larger than page size ${place} '${pageSize}'`,
      ),
    ]
  return bytes % page
    ? [
        invalidValue(
          request,
          String(asked),
          `${request} '${asked}' is not a multiple of the page size ${place} '${pageSize}'`,
        ),
      ]
    : []
}

const policies = ['shared', 'auto', 'supplementalPool']

function validateIoThreads({ ioThreadsPolicy: policy, ioThreads }: any, at: string): FieldError[] {
  if (policy === undefined) return []
  if (!policies.includes(policy))
    return [invalidValue(`${at}.ioThreadsPolicy`, policy, `Invalid IOThreadsPolicy (${policy})`)]
  return policy === 'supplementalPool' && !(ioThreads?.supplementalPoolThreadCount >= 1)
    ? [
        invalidValue(
          `${at}.ioThreads.count`,
          ioThreads?.supplementalPoolThreadCount ?? 0,
          'the number of iothreads needs to be set and positive for the dedicated policy',
        ),
      ]
    : []
}
