// Other firewalls of this machine: a chain elsewhere that drops what is forwarded stops Pods and VMs whatever our own
// table says (an accept in nftables ends one table only), so it is named in the log.

import { run } from '../exec.ts'

interface Chain {
  family: string
  table: string
  name: string
  hook?: string
  policy?: string
}

/** 'ip filter FORWARD', from the output of `nft -j list chains`. */
export function droppingChains(json: string): string[] {
  const { nftables = [] } = JSON.parse(json) as { nftables?: { chain?: Chain }[] }
  return nftables
    .flatMap(({ chain }) => chain ?? [])
    .filter(({ hook, policy, family }) => hook === 'forward' && policy === 'drop' && ['ip', 'inet'].includes(family))
    .map(({ family, table, name }) => `${family} ${table} ${name}`)
}

/** What to tell the person, or undefined when nobody else drops forwarded packets. */
export async function firewallWarning(podCidr: string): Promise<string | undefined> {
  const { code, stdout } = await run(['nft', '-j', 'list', 'chains'], { allowFailure: true })
  const chains = code === 0 ? droppingChains(stdout) : []
  if (chains.length === 0) return undefined
  const [family, table, name] = chains[0]!.split(' ')
  return (
    `another firewall drops forwarded packets by default (${chains.join(', ')}): if Pods or VMs do not reach each other, ` +
    `allow them with "nft insert rule ${family} ${table} ${name} ip saddr ${podCidr} accept" and the same with daddr`
  )
}
