// Every setting, its default and its environment name, in one place.

import { createHash } from 'node:crypto'
import { resolve } from 'node:path'

export interface Config {
  /** Where everything that must survive lives. TANDEM_STATE_DIR */
  stateDir: string
  /** Address and port of the API. TANDEM_LISTEN */
  listen: { host: string; port: number }
  /** Four hex digits of the state directory's path: keeps the interfaces, tables and cgroups of two Tandems apart. */
  instance: string
  /** Pods and VMs get addresses from here; chosen free at first start unless TANDEM_POD_CIDR says it. */
  podCidr?: string
  /** ClusterIPs. TANDEM_SERVICE_CIDR */
  serviceCidr?: string
  clusterDomain: string
  nodeName: string
}

export const defaults = {
  stateDir: '/var/lib/tandem',
  listen: '127.0.0.1:6443',
  clusterDomain: 'cluster.local',
}

export const instanceOf = (stateDir: string): string =>
  createHash('sha256').update(resolve(stateDir)).digest('hex').slice(0, 4)
