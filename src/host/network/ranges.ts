// Chooses address ranges for Pods and Services that no route of this machine uses.

import { run } from '../exec.ts'
import { formatRange, overlaps, parseRange, type Range } from './addresses.ts'

export interface Ranges {
  podCidr: string
  serviceCidr: string
}

/** Pairs in the order of preference: 10.42/16 with 10.43/16 as k3s has them, then the next ones, then smaller ones. */
function* candidates(): Generator<[Range, Range]> {
  const pair = (text: string, prefix: number, step: number): [Range, Range] => {
    const pods = { ...parseRange(text)!, prefix }
    return [pods, { first: pods.first + step, prefix }]
  }
  for (let second = 42; second < 254; second += 2) yield pair(`10.${second}.0.0`, 16, 2 ** 16)
  for (let second = 16; second < 32; second += 2) yield pair(`172.${second}.0.0`, 16, 2 ** 16)
  for (let third = 0; third < 256; third += 32) yield pair(`192.168.${third}.0`, 20, 2 ** 12)
  for (let second = 64; second < 128; second += 2) yield pair(`100.${second}.0.0`, 16, 2 ** 16)
}

/**
 * Free ranges, given the destinations in use ('10.0.0.0/8', '192.0.2.7'). A default route does not count.
 * @throws Error when every candidate is taken.
 */
export function chooseRanges(used: string[], wanted: Partial<Ranges> = {}): Ranges {
  const taken = used.map(parseRange).filter((range) => range !== undefined && range.prefix > 0) as Range[]
  const free = (range: Range) => !taken.some((other) => overlaps(range, other))
  const fixed = [wanted.podCidr, wanted.serviceCidr].map((text) => (text === undefined ? undefined : parseRange(text)))
  if (wanted.podCidr && wanted.serviceCidr) return { podCidr: wanted.podCidr, serviceCidr: wanted.serviceCidr }
  for (const [pods, services] of candidates()) {
    const pair = [fixed[0] ?? pods, fixed[1] ?? services] as const
    if (overlaps(...pair)) continue
    if ((fixed[0] || free(pods)) && (fixed[1] || free(services)))
      return { podCidr: formatRange(pair[0]), serviceCidr: formatRange(pair[1]) }
  }
  throw new Error(
    'no free private address range is left on this machine: set TANDEM_POD_CIDR and TANDEM_SERVICE_CIDR to ranges that nothing else uses',
  )
}

interface Route {
  dst: string
  dev?: string
  type?: string
  metric?: number
  gateway?: string
}

export async function readRoutes(): Promise<Route[]> {
  const { stdout } = await run(['ip', '-4', '-j', 'route', 'show', 'table', 'all'])
  return JSON.parse(stdout || '[]') as Route[]
}

/** Destinations of this machine's routes and the addresses of its interfaces. */
export async function usedRanges(): Promise<string[]> {
  return (await readRoutes()).map((route) => route.dst).filter((dst) => dst !== 'default')
}
