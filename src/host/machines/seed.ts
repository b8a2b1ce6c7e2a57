// What cloud-init reads: a NoCloud or ConfigDrive disk as a list of files. Layout and defaults as KubeVirt 1.8 writes
// them (pkg/cloud-init/cloud-init.go). Pure; disks.ts reads the Secrets and writes the image.

import type { IsoFile } from './iso9660.ts'

export interface SeedInput {
  name: string
  namespace: string
  uuid: string
  hostname: string
  userData?: string
  networkData?: string
  sshKeys: string[]
}

export interface Seed {
  label: string
  files: IsoFile[]
}

const file = (path: string, content: string): IsoFile => ({ path, content: Buffer.from(content) })

/**
 * The instance id is the machine's name, not its uid: a VM that stops and starts again is the same instance, and
 * cloud-init does not run its once-per-instance modules again.
 */
const instanceId = (input: SeedInput): string => `${input.name}.${input.namespace}`

const keysOf = (input: SeedInput) => Object.fromEntries(input.sshKeys.map((key, index) => [String(index), key]))

export function noCloudSeed(input: SeedInput): Seed {
  const metaData = {
    'instance-id': instanceId(input),
    'local-hostname': input.hostname,
    ...(input.sshKeys.length && { 'public-keys': keysOf(input) }),
  }
  // One "key: value" for each line: YAML for cloud-init, and easy for a guest that has only a shell.
  const lines = Object.entries(metaData).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
  const files = [file('meta-data', lines.join('')), file('user-data', input.userData ?? '')]
  if (input.networkData) files.push(file('network-config', input.networkData))
  return { label: 'cidata', files }
}

export function configDriveSeed(input: SeedInput): Seed {
  const metaData = {
    instance_id: instanceId(input),
    local_hostname: input.hostname,
    uuid: input.uuid,
    ...(input.sshKeys.length && { public_keys: keysOf(input) }),
  }
  const files = [
    file('openstack/latest/meta_data.json', `${JSON.stringify(metaData)}\n`),
    file('openstack/latest/user_data', input.userData ?? ''),
  ]
  if (input.networkData) files.push(file('openstack/latest/network_data.json', input.networkData))
  return { label: 'config-2', files }
}
