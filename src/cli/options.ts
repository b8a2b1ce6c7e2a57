// The options that name a Tandem: --state-dir and --listen, with their defaults and environment names.

import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { parseQuantity, quantityValue } from '../api/quantity.ts'
import { type Config, defaults, instanceOf, rememberedListen } from '../config.ts'
import { CommandError } from './output.ts'

export interface InstanceOptions {
  stateDir?: string
  listen?: string
}

export const stateDirOption = [
  '--state-dir <dir>',
  `where Tandem keeps everything (default ${defaults.stateDir}; TANDEM_STATE_DIR)`,
] as const
export const listenOption = [
  '--listen <address:port>',
  `where the API listens (default: as the last time, ${defaults.listen} at first; TANDEM_LISTEN)`,
] as const

export function configOf(options: InstanceOptions): Config {
  const stateDir = resolve(options.stateDir ?? process.env.TANDEM_STATE_DIR ?? defaults.stateDir)
  const asked = options.listen ?? process.env.TANDEM_LISTEN
  return {
    stateDir,
    listen: (asked === undefined && rememberedListen(stateDir)) || parseListen(asked ?? defaults.listen),
    instance: instanceOf(stateDir),
    ...(process.env.TANDEM_POD_CIDR && { podCidr: process.env.TANDEM_POD_CIDR }),
    ...(process.env.TANDEM_SERVICE_CIDR && { serviceCidr: process.env.TANDEM_SERVICE_CIDR }),
    ...(process.env.TANDEM_INGRESS && { ingress: parseIngress(process.env.TANDEM_INGRESS) }),
    clusterDomain: defaults.clusterDomain,
    nodeName: hostname().toLowerCase(),
    ...(process.env.TANDEM_MAX_PODS && { maxPods: parseMaxPods(process.env.TANDEM_MAX_PODS) }),
    ...layerLimitsFrom(process.env),
    ...fileFromEnvironment('authenticationConfig', 'TANDEM_AUTHENTICATION_CONFIG'),
    ...fileFromEnvironment('auditPolicy', 'TANDEM_AUDIT_POLICY'),
    ...fileFromEnvironment('auditLog', 'TANDEM_AUDIT_LOG'),
  }
}

function fileFromEnvironment(field: keyof Config, name: string): Partial<Config> {
  const path = process.env[name]
  return path ? { [field]: resolve(path) } : {}
}

export function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port < 1 || port > 65535) {
    throw new CommandError(`--listen ${text}: write ADDRESS:PORT, for example ${defaults.listen}`, 2)
  }
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port }
}

export function parseMaxPods(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1)
    throw new CommandError(
      `TANDEM_MAX_PODS=${text}: write how many Pods the node takes, for example ${defaults.maxPods}`,
      2,
    )
  return number
}

export function layerLimitsFrom(env: NodeJS.ProcessEnv): Pick<Config, 'layerLimits'> {
  const { TANDEM_LAYER_BYTES: bytes, TANDEM_LAYER_ENTRIES: entries } = env
  if (!bytes && !entries) return {}
  return {
    layerLimits: {
      ...(bytes && { bytes: parseLimit('TANDEM_LAYER_BYTES', bytes, '64Gi') }),
      ...(entries && { entries: parseLimit('TANDEM_LAYER_ENTRIES', entries, '1000000') }),
    },
  }
}

function parseLimit(name: string, text: string, example: string): number {
  let value = 0
  try {
    value = Number(quantityValue(parseQuantity(text)))
  } catch {
    // Said below.
  }
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new CommandError(`${name}=${text}: write what one layer of an image may unpack to, for example ${example}`, 2)
}

/** 'off', '192.0.2.10', ':8080,8443' or '192.0.2.10:8080,8443'. */
export function parseIngress(text: string): NonNullable<Config['ingress']> {
  if (text === 'off') return 'off'
  const match = /^([^:,]*)(?::(\d{1,5}),(\d{1,5}))?$/.exec(text)
  const ports = [match?.[2], match?.[3]].map((port) => (port === undefined ? undefined : Number(port)))
  if (!match || ports.some((port) => port !== undefined && (port < 1 || port > 65535)))
    throw new CommandError(
      `TANDEM_INGRESS=${text}: write "off", ADDRESS, or ADDRESS:HTTP,HTTPS, for example 192.0.2.10:8080,8443`,
      2,
    )
  const [httpPort, httpsPort] = ports
  return { ...(match[1] && { host: match[1] }), ...(httpPort && { httpPort }), ...(httpsPort && { httpsPort }) }
}

export function requireRoot(command: string): void {
  if (process.getuid?.() === 0) return
  throw new CommandError(
    `'${command}' starts containers and virtual machines and needs root: run 'sudo ./tandem ${command}'`,
  )
}
