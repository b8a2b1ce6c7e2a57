// The CNI configuration inside a NetworkAttachmentDefinition (CNI spec 1.0.0): one plugin, or a list of them. Its plugins
// run as root, so only those that make an interface of the workload's own are let in, and none may name a path.

export interface NetworkPlugin {
  type: string
  ipam?: { type?: string; [field: string]: unknown }
  [field: string]: unknown
}

export interface NetworkConfig {
  cniVersion: string
  name: string
  plugins: NetworkPlugin[]
}

/** Each makes the interface; `tuning` may follow it in a list and changes it. */
export const mainPlugins = ['bridge', 'macvlan', 'ptp', 'vlan']
export const chainedPlugins = ['tuning']
export const ipamPlugins = ['dhcp', 'host-local', 'static']

/** What a name becomes: a directory of host-local, so that nothing but a name may be in it. */
const plainName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/
const linkName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/

/** Fields that would be paths of this machine. */
const paths = ['dataDir', 'resolvConf', 'daemonSocketPath', 'dataPath']

/** @throws Error that says what is wrong and what would be right. */
export function networkConfig(text: string, name: string): NetworkConfig {
  const given = parsed(text)
  const plugins: unknown = given.plugins ?? [given]
  if (!Array.isArray(plugins) || !plugins.length || plugins.some((plugin) => typeof plugin?.type !== 'string'))
    throw new Error('a CNI configuration needs the field "type", or "plugins" with a "type" each')
  const network = given.name ?? name
  if (typeof network !== 'string' || !plainName.test(network))
    throw new Error(`the network's name ${JSON.stringify(network)} may have letters, digits, '-', '_' and '.' only`)
  plugins.forEach((plugin, index) => {
    const allowed = index === 0 ? mainPlugins : chainedPlugins
    if (!allowed.includes(plugin.type))
      throw new Error(`CNI plugin "${plugin.type}" is not supported here: use one of ${allowed.join(', ')}`)
    check(plugin)
  })
  const [main, ...others] = plugins.map(({ cniVersion: _, name: __, ...plugin }) => plugin) as [NetworkPlugin]
  const cniVersion = typeof given.cniVersion === 'string' ? given.cniVersion : '0.3.1'
  return { cniVersion, name: network, plugins: [main, ...others] }
}

function parsed(text: string): any {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch (error) {
    throw new Error(`is not JSON: ${(error as Error).message}`, { cause: error })
  }
  if (!given || typeof given !== 'object' || Array.isArray(given)) throw new Error('must be a JSON object')
  return given
}

function check(plugin: NetworkPlugin): void {
  const { ipam, bridge, master } = plugin
  if (ipam?.type && !ipamPlugins.includes(ipam.type))
    throw new Error(`IPAM plugin "${ipam.type}" is not supported here: use one of ${ipamPlugins.join(', ')}`)
  for (const [field, value] of Object.entries({ bridge, master }))
    if (value !== undefined && (typeof value !== 'string' || !linkName.test(value)))
      throw new Error(`${field} must be the name of a network interface, at most 15 letters long`)
  for (const field of paths)
    if (plugin[field] !== undefined || ipam?.[field] !== undefined)
      throw new Error(`the field "${field}" is not allowed: Tandem keeps such files itself`)
}

export function configProblem(text: string, name: string): string | undefined {
  try {
    networkConfig(text, name)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** "<namespace>/<name>", or a name in the workload's own namespace. */
export function networkReference(text: string, namespace: string): { namespace: string; name: string } {
  const parts = text.split('/')
  return parts.length === 2
    ? { namespace: parts[0] || namespace, name: parts[1]! }
    : { namespace, name: parts[0] ?? text }
}
