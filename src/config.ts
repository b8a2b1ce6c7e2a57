// Every setting, its default and its environment name, in one place.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export interface Config {
  /** Where everything that must survive lives. TANDEM_STATE_DIR */
  stateDir: string
  /** Address and port of the API; without --listen and TANDEM_LISTEN those of the last start. */
  listen: { host: string; port: number }
  /** Four hex digits of the state directory's path: keeps the interfaces, tables and cgroups of two Tandems apart. */
  instance: string
  /** Pods and VMs get addresses from here; chosen free at first start unless TANDEM_POD_CIDR says it. */
  podCidr?: string
  /** ClusterIPs. TANDEM_SERVICE_CIDR */
  serviceCidr?: string
  /** Where Ingresses are served: by default at this machine's address, ports 80 and 443. TANDEM_INGRESS */
  ingress?: 'off' | { host?: string; httpPort?: number; httpsPort?: number }
  clusterDomain: string
  nodeName: string
  /** How many Pods this node takes. TANDEM_MAX_PODS */
  maxPods?: number
  /** What one layer of an image may unpack to. TANDEM_LAYER_BYTES, TANDEM_LAYER_ENTRIES */
  layerLimits?: { bytes?: number; entries?: number }
  /** Who may come in beside Tandem's own credentials: a file with an AuthenticationConfiguration. TANDEM_AUTHENTICATION_CONFIG */
  authenticationConfig?: string
  /** What the audit log holds: a file with an audit Policy; without one there is no log. TANDEM_AUDIT_POLICY */
  auditPolicy?: string
  /** Where the audit log is (default audit.log in the state directory). TANDEM_AUDIT_LOG */
  auditLog?: string
}

export const defaults = {
  stateDir: '/var/lib/tandem',
  listen: '127.0.0.1:6443',
  clusterDomain: 'cluster.local',
  maxPods: 1000,
}

export const instanceOf = (stateDir: string): string =>
  createHash('sha256').update(resolve(stateDir)).digest('hex').slice(0, 4)

/** Which state directory the id belongs to on this machine, from its start until `down --all`. */
export const ownerPath = (instance: string, run = '/run'): string => join(run, `tandem-${instance}`, 'state-dir')

/**
 * Two paths may have the same four digits; then the second must touch nothing.
 * @throws Error when another state directory has them
 */
export function requireOwnInstance({ instance, stateDir }: Pick<Config, 'instance' | 'stateDir'>, run?: string): void {
  const path = ownerPath(instance, run)
  if (!existsSync(path)) return
  const owner = readFileSync(path, 'utf8')
  if (owner !== resolve(stateDir))
    throw new Error(
      `${stateDir} and ${owner} have the same short id (${instance}), and the second is in use: choose another --state-dir`,
    )
}

/** Choices of earlier starts that later ones keep; written by src/main/settings.ts. */
export const settingsPath = (stateDir: string): string => join(stateDir, 'settings.json')

/** Where the Tandem of this directory listened when it last ran. */
export function rememberedListen(stateDir: string): Config['listen'] | undefined {
  try {
    return JSON.parse(readFileSync(settingsPath(stateDir), 'utf8')).listen
  } catch {
    return undefined
  }
}
