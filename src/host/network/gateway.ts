// The host's end of the pod network: an interface that carries the gateway, API and DNS addresses, and the routes that
// keep packets for Services and for Pods that are gone from leaving the machine.

import { run } from '../exec.ts'
import { overlaps, parseRange, rangeOf } from './addresses.ts'
import { readRoutes } from './ranges.ts'

export interface GatewaySettings {
  interfaceName: string
  gateway: string
  apiAddress: string
  dnsAddress: string
  podCidr: string
  serviceCidr: string
}

/** High, so that any other route for the same destination wins; also how our own route is known again. */
const metric = 0x7d000000

const exists = async (name: string) =>
  (await run(['ip', 'link', 'show', 'dev', name], { allowFailure: true })).code === 0

/** Runs a batch of `ip` commands in one process. */
export const ipBatch = (lines: string[]) => run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })

/** @throws Error when somebody else on this machine already uses one of the ranges. */
async function checkRanges(settings: GatewaySettings): Promise<void> {
  const ranBefore = await exists(settings.interfaceName)
  for (const route of await readRoutes()) {
    const range = parseRange(route.dst)
    // Without our interface, a route that looks like ours is another Tandem's.
    const own = ranBefore && (route.dev === settings.interfaceName || route.metric === metric)
    if (!range || range.prefix === 0 || own) continue
    for (const cidr of [settings.podCidr, settings.serviceCidr]) {
      // Single addresses are our own workloads' that a former run left.
      if (overlaps(range, rangeOf(cidr)) && range.prefix < 32)
        throw new Error(
          `the address range ${cidr} is already used on this machine (route ${route.dst}${route.dev ? ` through ${route.dev}` : ''}): set TANDEM_POD_CIDR and TANDEM_SERVICE_CIDR to free ranges`,
        )
    }
  }
}

export async function setUpGateway(settings: GatewaySettings): Promise<void> {
  const { interfaceName: name, gateway, apiAddress, dnsAddress } = settings
  await checkRanges(settings)
  const lines = (await exists(name)) ? [] : [`link add ${name} type bridge`]
  // No IPv6 link-local address: nothing of ours speaks IPv6 here.
  lines.push(`link set dev ${name} addrgenmode none`)
  for (const address of [gateway, apiAddress, dnsAddress]) lines.push(`address replace ${address}/32 dev ${name}`)
  lines.push(`link set dev ${name} up`)
  // With a route, the host's own connections to Services get a source address that Pods can answer to.
  lines.push(`route replace ${settings.serviceCidr} dev ${name} src ${gateway}`)
  // Each running Pod and VM has a route of its own; everything else in the range is nobody.
  lines.push(`route replace unreachable ${settings.podCidr} metric ${metric}`)
  await ipBatch(lines)
}

export async function removeGateway(interfaceName: string, podCidr: string | undefined): Promise<void> {
  const there = await exists(interfaceName)
  // The interface goes last: by it the next start knows whose the route is.
  for (const route of there ? await readRoutes() : [])
    if (podCidr && route.metric === metric && route.dst === podCidr)
      await run(['ip', 'route', 'delete', 'unreachable', podCidr, 'metric', String(metric)], { allowFailure: true })
  if (there) await run(['ip', 'link', 'delete', 'dev', interfaceName])
}

/** Interfaces of workloads: links with a route to a single address of the pod network. */
export async function workloadInterfaces(podCidr: string): Promise<string[]> {
  const pods = rangeOf(podCidr)
  const names = (await readRoutes()).flatMap(({ dst, dev }) => {
    const range = parseRange(dst)
    return dev?.startsWith('veth') && range?.prefix === 32 && overlaps(range, pods) ? [dev] : []
  })
  return [...new Set(names)]
}

/** MTU of the way out of this machine; workloads get the same, so that nothing needs to be fragmented. */
export async function outerMtu(): Promise<number> {
  const outer = (await readRoutes()).find((route) => route.dst === 'default')?.dev
  if (!outer) return 1500
  const { stdout } = await run(['ip', '-j', 'link', 'show', 'dev', outer])
  const mtu = (JSON.parse(stdout) as { mtu?: number }[])[0]?.mtu ?? 1500
  return Math.min(Math.max(mtu, 576), 9000)
}
