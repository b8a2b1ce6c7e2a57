// From a kubeconfig to what the HTTPS transport needs: server, CA, and the credentials of one context.

import { parse } from 'yaml'

/** How to reach a server and who we are there. All certificates and keys are PEM text. */
export interface ServerAccess {
  /** https://127.0.0.1:6443 */
  server: string
  ca?: string
  clientCertificate?: string
  clientKey?: string
  token?: string
  /** Skips the check of the server's certificate; only when the kubeconfig says insecure-skip-tls-verify. */
  insecure?: boolean
  /** Name to expect in the server's certificate instead of the host of `server`. */
  serverName?: string
  /** The context's namespace, default 'default'. */
  namespace?: string
}

interface Named {
  name: string
  [field: string]: unknown
}

interface Kubeconfig {
  'current-context'?: string
  clusters?: Named[]
  users?: Named[]
  contexts?: Named[]
}

/**
 * @param readFile reads a file that the kubeconfig names instead of embedding data; relative names are the caller's matter.
 */
export function accessFromKubeconfig(
  text: string,
  options: { context?: string; readFile?: (path: string) => string } = {},
): ServerAccess {
  const config = (parse(text) ?? {}) as Kubeconfig
  const contextName = options.context ?? config['current-context']
  if (!contextName) throw new Error('the kubeconfig has no current-context: set one, or name a context')
  const context = entry(config.contexts, 'context', contextName)
  const cluster = entry(config.clusters, 'cluster', String(context.cluster))
  const user = context.user ? entry(config.users, 'user', String(context.user)) : {}
  if (user.exec || user['auth-provider'])
    throw new Error(
      `user "${context.user}" of the kubeconfig logs in with a plugin: use a certificate or a token instead`,
    )
  const pem = (from: Record<string, unknown>, field: string): string | undefined => {
    const data = from[`${field}-data`]
    if (typeof data === 'string' && data) return atob(data)
    const path = from[field]
    if (typeof path !== 'string' || !path) return undefined
    if (!options.readFile) throw new Error(`the kubeconfig names the file ${path}: embed it as ${field}-data instead`)
    return options.readFile(path)
  }
  const access: ServerAccess = { server: String(cluster.server) }
  const assign = (field: keyof ServerAccess, value: unknown) => {
    if (value) Object.assign(access, { [field]: value })
  }
  assign('ca', pem(cluster, 'certificate-authority'))
  assign('insecure', cluster['insecure-skip-tls-verify'])
  assign('serverName', cluster['tls-server-name'])
  assign('clientCertificate', pem(user, 'client-certificate'))
  assign('clientKey', pem(user, 'client-key'))
  assign('token', user.token ?? (user.tokenFile && options.readFile?.(String(user.tokenFile)).trim()))
  assign('namespace', context.namespace)
  return access
}

function entry(list: Named[] | undefined, field: string, name: string): Record<string, unknown> {
  const found = list?.find((item) => item.name === name)
  if (!found) throw new Error(`the kubeconfig has no ${field} named "${name}"`)
  return (found[field] ?? {}) as Record<string, unknown>
}
