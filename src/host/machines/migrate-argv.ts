// The guest finds the same hardware in its next QEMU, whatever a newer Tandem would give it: devices, machine and processors
// are those of the QEMU that it is in; what the guest cannot see (files, sockets, limits) is today's.

import { constants, openSync, readFileSync } from 'node:fs'
import { firstFile, type ProcessIdentity } from './process.ts'

/** What a guest sees, and what its memory is called. */
const hardware = new Set([
  ...['-machine', '-cpu', '-smp', '-m', '-device', '-object', '-numa'],
  ...['-global', '-smbios', '-rtc', '-boot', '-uuid'],
])

type Option = [name: string, value?: string]

function optionsOf(args: string[]): Option[] {
  const options: Option[] = []
  for (let index = 0; index < args.length; index++) {
    const next = args[index + 1]
    if (next === undefined || next.startsWith('-')) options.push([args[index]!])
    else options.push([args[index]!, args[++index]])
  }
  return options
}

const isHardware = ([name]: Option): boolean => hardware.has(name)

/** q35 is another name for a certain machine. */
const withoutType = ([name, value = '']: Option): string =>
  name === '-machine' ? `${name} ${value.slice(value.indexOf(','))}` : `${name} ${value}`

const asText = (options: Option[]): string => options.filter(isHardware).map(withoutType).sort().join('\n')

/** `handOver` opens a file of the source for the target, by its number, and gives it another. Pure but for that. */
export function withHardwareOf(
  source: string[],
  today: string[],
  machineType: string,
  handOver: (file: number) => number,
): string[] {
  const [before, now] = [optionsOf(source), optionsOf(today)]
  if (asText(before) === asText(now)) return today
  const kept = before.filter(isHardware).map(([name, value = '']): Option => {
    if (name === '-machine') return [name, machineType + value.slice(value.indexOf(','))]
    return [name, value.replace(/\/proc\/self\/fd\/(\d+)/g, (_, file) => `/proc/self/fd/${handOver(Number(file))}`)]
  })
  return [...now.filter((option) => !isHardware(option)), ...kept].flat() as string[]
}

export const argsOf = ({ pid }: ProcessIdentity): string[] =>
  readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1)

/** Opens files of a process anew, as they are open there, behind those in `files`. */
export const filesOf =
  ({ pid }: ProcessIdentity, files: number[]) =>
  (file: number): number => {
    const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${file}`, 'utf8'))![1]!, 8)
    files.push(openSync(`/proc/${pid}/fd/${file}`, flags & (constants.O_RDWR | constants.O_WRONLY)))
    return firstFile + files.length - 1
  }
