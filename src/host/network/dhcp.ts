// One small dnsmasq in each VM's namespace gives the guest its one address. It outlives Tandem and is found again by its
// pid file; no lease file is needed, as there is nothing to choose.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../exec.ts'
import { maskOf } from './addresses.ts'
import { dhcpBase } from './dhcp-base.ts'
import { bridge, type MachinePlan } from './machine-plan.ts'

export interface GuestNames {
  hostname: string
  domain?: string
  nameservers: string[]
  searches: string[]
}

const dnsName = /^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9])?\.?$/i
const addressPattern = /^\d{1,3}(\.\d{1,3}){3}$/

/** The configuration file of dnsmasq. Every name is checked: a line break in one would be an option of its own. */
export function dhcpConfig(plan: MachinePlan, names: GuestNames, pidFile: string): string {
  const wrong = [names.hostname, names.domain, ...names.searches].find(
    (name) => name !== undefined && !dnsName.test(name),
  )
  if (wrong !== undefined) throw new Error(`"${wrong}" is not a DNS name, so no guest can be given it`)
  const servers = names.nameservers.filter((server) => addressPattern.test(server))
  const mask = maskOf(plan.guestPrefix)
  const lines = [
    ...dhcpBase(bridge, pidFile),
    `dhcp-range=${plan.guestAddress},static,${mask},infinite`,
    `dhcp-host=${plan.mac},${plan.guestAddress},${names.hostname.split('.')[0]},infinite`,
    `dhcp-option-force=12,${names.hostname.split('.')[0]}`,
    `dhcp-option=option:netmask,${mask}`,
    `dhcp-option=option:router,${plan.router}`,
    `dhcp-option-force=option:mtu,${plan.mtu}`,
  ]
  // The bridge has no address in the guest's network, so dnsmasq must be told that it serves it.
  if (plan.binding === 'bridge') lines.push(`shared-network=${bridge},${plan.guestAddress}`)
  if (servers.length > 0) lines.push(`dhcp-option=option:dns-server,${servers.join(',')}`)
  if (names.domain) lines.push(`dhcp-option-force=option:domain-name,${names.domain}`)
  if (names.searches.length > 0) lines.push(`dhcp-option-force=option:domain-search,${names.searches.join(',')}`)
  return `${lines.join('\n')}\n`
}

const files = (dir: string, uid: string) => ({ conf: join(dir, `${uid}.conf`), pid: join(dir, `${uid}.pid`) })

/** The process of the pid file, if it is still that dnsmasq and not another program with a pid used again. */
function runningPid(dir: string, uid: string): number | undefined {
  const { conf, pid: pidFile } = files(dir, uid)
  if (!existsSync(pidFile)) return undefined
  const pid = Number(readFileSync(pidFile, 'utf8'))
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`--conf-file=${conf}\0`) ? pid : undefined
  } catch {
    return undefined
  }
}

export const serveDhcp = (dir: string, uid: string, netns: string, plan: MachinePlan, names: GuestNames) =>
  serve(dir, uid, netns, (pidFile) => dhcpConfig(plan, names, pidFile))

/** Starts the server, or leaves it alone when it runs with the same configuration. */
export async function serve(dir: string, uid: string, netns: string, config: (pidFile: string) => string) {
  const { conf, pid } = files(dir, uid)
  const text = config(pid)
  const unchanged = existsSync(conf) && readFileSync(conf, 'utf8') === text
  if (unchanged && runningPid(dir, uid)) return
  await stopDhcp(dir, uid)
  mkdirSync(dir, { recursive: true })
  writeFileSync(conf, text)
  // Returns when it listens: dnsmasq goes to the background by itself.
  await run(['nsenter', `--net=${netns}`, 'dnsmasq', `--conf-file=${conf}`])
}

export async function stopDhcp(dir: string, uid: string): Promise<void> {
  const pid = runningPid(dir, uid)
  if (pid) {
    process.kill(pid, 'SIGKILL')
    const end = Date.now() + 2000
    while (runningPid(dir, uid) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  const { conf, pid: pidFile } = files(dir, uid)
  for (const path of [conf, pidFile]) rmSync(path, { force: true })
}
