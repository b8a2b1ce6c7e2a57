// What a machine takes from other objects: cloud-init data, keys and disks out of Secrets and ConfigMaps.

import { isApiError } from '../../api/errors.ts'
import { resourcePath, type StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { networkReference } from '../../kinds/networkattachment/network-config.ts'
import type { ImagePullAuth } from '../images/images.ts'
import type { ConfList } from '../network/cni.ts'
import { readNetwork } from '../network/read-network.ts'
import { fieldValue } from '../pods/field-values.ts'
import type { PodObject } from '../pods/pod.ts'
import { type Configuration, readConfiguration } from './configuration.ts'
import type { IsoFile } from './iso9660.ts'
import { configDriveSeed, noCloudSeed, type Seed } from './seed.ts'
import { type CloudInit, hostnameOf, type KeyedSource, specOf, type Volume } from './vmi.ts'
import { Waiting } from './waiting.ts'

type Data = Map<string, Buffer>

/** A year, as long as a token that a kubelet mounts works at most. */
const tokenSeconds = 365 * 24 * 60 * 60

/** Windows does not mind upper and lower case. */
const answerFiles = ['unattend.xml', 'autounattend.xml']

export interface Sources {
  cloudInit(machine: StoredObject, uuid: string, volume: Volume): Promise<Seed>
  /** The keys of a ConfigMap or Secret as files of a disk. */
  keyed(machine: StoredObject, volume: Volume): Promise<Seed>
  /** What a ConfigMap, a Secret, a service account or the machine's own object says, as files. */
  files(machine: StoredObject, volume: Volume): Promise<Seed>
  /** The answer files of a Windows setup: Unattend.xml and Autounattend.xml. */
  sysprep(machine: StoredObject, volume: Volume): Promise<Seed>
  /** What the machine's own object says, as files: it is written when the machine starts. */
  downward(machine: StoredObject, volume: Volume): Seed
  pullAuths(machine: StoredObject, secretName: string | undefined): Promise<ImagePullAuth[]>
  /** What the administrator allows. */
  configuration(): Promise<Configuration>
  /** How the plugin of a further network is to be called. */
  network(namespace: string, name: string): Promise<ConfList>
}

export function createSources(client: Client): Sources {
  /** undefined when the object does not exist. */
  async function read(kind: 'Secret' | 'ConfigMap', namespace: string, name: string): Promise<Data | undefined> {
    try {
      const resource = kind === 'Secret' ? 'secrets' : 'configmaps'
      const object = await client.get({ group: '', version: 'v1', resource }, name, namespace)
      const plain = Object.entries((kind === 'ConfigMap' && object.data) || {})
      const coded = Object.entries((kind === 'Secret' ? object.data : object.binaryData) || {})
      return new Map([
        ...plain.map(([key, value]) => [key, Buffer.from(String(value))] as const),
        ...coded.map(([key, value]) => [key, Buffer.from(String(value), 'base64')] as const),
      ])
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined
      throw error
    }
  }

  async function secret(machine: StoredObject, name: string): Promise<Data> {
    const data = await read('Secret', machine.metadata.namespace!, name)
    if (!data) throw new Waiting('FailedMount', `secret "${name}" not found`)
    return data
  }

  /** The first key that exists, in whatever writing of it users have (KubeVirt takes both). */
  async function fromSecret(machine: StoredObject, name: string, keys: string[]): Promise<string> {
    const data = await secret(machine, name)
    const key = keys.find((one) => data.has(one))
    if (!key) throw new Waiting('FailedMount', `secret "${name}" has no key ${keys.join(' or ')}`)
    return data.get(key)!.toString()
  }

  async function texts(machine: StoredObject, given: CloudInit) {
    const decoded = (text?: string) => (text ? Buffer.from(text, 'base64').toString() : undefined)
    const userData = given.secretRef?.name
      ? await fromSecret(machine, given.secretRef.name, ['userdata', 'userData'])
      : (given.userData ?? decoded(given.userDataBase64))
    const networkData = given.networkDataSecretRef?.name
      ? await fromSecret(machine, given.networkDataSecretRef.name, ['networkdata', 'networkData'])
      : (given.networkData ?? decoded(given.networkDataBase64))
    return { userData, networkData }
  }

  async function sshKeys(machine: StoredObject, method: 'noCloud' | 'configDrive'): Promise<string[]> {
    const keys: string[] = []
    for (const { sshPublicKey } of specOf(machine).accessCredentials ?? []) {
      const name = sshPublicKey?.source?.secret?.secretName
      if (!name || !sshPublicKey.propagationMethod?.[method]) continue
      for (const value of (await secret(machine, name)).values())
        keys.push(
          ...value
            .toString()
            .split('\n')
            .filter((line) => line.trim() && !line.startsWith('#')),
        )
    }
    return keys
  }

  /** As a Pod finds it; the token is bound to nothing that would end it before the guest does. */
  async function serviceAccount(machine: StoredObject, account: string): Promise<Seed> {
    const { namespace = '' } = machine.metadata
    const path = resourcePath({ group: '', version: 'v1', resource: 'serviceaccounts' }, namespace, account, 'token')
    const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {} }
    const [answer, authority] = await Promise.all([
      client
        .post<{ status?: { token?: string } }>(path, { ...asked, spec: { expirationSeconds: tokenSeconds } })
        .catch((error) => {
          if (!isApiError(error, 'NotFound')) throw error
          throw new Waiting('FailedMount', `serviceaccount "${account}" not found`)
        }),
      read('ConfigMap', namespace, 'kube-root-ca.crt'),
    ])
    const texts = { namespace, token: answer.status?.token ?? '', 'ca.crt': authority?.get('ca.crt') ?? '' }
    return {
      label: 'cfgdata',
      files: Object.entries(texts).map(([path, content]): IsoFile => ({ path, content: Buffer.from(content) })),
    }
  }

  return {
    async files(machine, volume) {
      if (volume.serviceAccount) return await serviceAccount(machine, volume.serviceAccount.serviceAccountName)
      return volume.downwardAPI ? this.downward(machine, volume) : await this.keyed(machine, volume)
    },

    async cloudInit(machine, uuid, volume) {
      const noCloud = volume.cloudInitNoCloud !== undefined
      const given = (noCloud ? volume.cloudInitNoCloud : volume.cloudInitConfigDrive)!
      const { name, namespace = '' } = machine.metadata
      const keys = await sshKeys(machine, noCloud ? 'noCloud' : 'configDrive')
      const base = { name, namespace, uuid, hostname: hostnameOf(machine), sshKeys: keys }
      return (noCloud ? noCloudSeed : configDriveSeed)({ ...base, ...(await texts(machine, given)) })
    },

    async keyed(machine, volume) {
      const kind = volume.secret ? 'Secret' : 'ConfigMap'
      const source = (volume.secret ?? volume.configMap) as KeyedSource
      const name = (volume.secret ? source.secretName : source.name) ?? ''
      const data = await read(kind, machine.metadata.namespace!, name)
      if (!data && !source.optional) throw new Waiting('FailedMount', `${kind.toLowerCase()} "${name}" not found`)
      const files: IsoFile[] = [...(data ?? [])].map(([path, content]) => ({ path, content }))
      return { label: source.volumeLabel || 'cfgdata', files }
    },

    async sysprep(machine, volume) {
      const { configMap, secret } = volume.sysprep!
      const kind = secret ? 'Secret' : 'ConfigMap'
      const name = (secret ?? configMap)?.name ?? ''
      const data = await read(kind, machine.metadata.namespace!, name)
      if (!data) throw new Waiting('FailedMount', `${kind.toLowerCase()} "${name}" not found`)
      const found = answerFiles.filter((file) => [...data.keys()].some((key) => key.toLowerCase() === file))
      if (found.length === 0)
        throw new Waiting('FailedMount', `${kind.toLowerCase()} "${name}" has neither ${answerFiles.join(' nor ')}`)
      return { label: 'sysprep', files: [...data].map(([path, content]): IsoFile => ({ path, content })) }
    },

    downward(machine, volume) {
      const { fields = [], volumeLabel } = volume.downwardAPI!
      // Only fields of the metadata are let in (volume-rules): they are the same for every object.
      const from = { node: { name: '', addresses: [], cpu: 0, memoryBytes: 0 }, podIPs: [] }
      const files = fields.map(({ path, fieldRef }): IsoFile => {
        const content = fieldValue(machine as PodObject, fieldRef?.fieldPath ?? '', from)
        return { path, content: Buffer.from(content) }
      })
      return { label: volumeLabel || 'cfgdata', files }
    },

    configuration: () => readConfiguration(client),

    network: (namespace, name) =>
      readNetwork(client, networkReference(name, namespace)).catch((error) => {
        throw new Waiting('FailedAttachNetwork', (error as Error).message, { cause: error })
      }),

    async pullAuths(machine, secretName) {
      if (!secretName) return []
      const data = await read('Secret', machine.metadata.namespace!, secretName)
      const text = data?.get('.dockerconfigjson') ?? data?.get('.dockercfg')
      // A missing pull secret is no error: the image may be public (as for Pods).
      return text ? registryAuths(text.toString()) : []
    },
  }
}

function registryAuths(text: string): ImagePullAuth[] {
  try {
    const parsed = JSON.parse(text)
    return Object.entries<any>(parsed.auths ?? parsed).map(([serverAddress, entry]) => ({
      serverAddress,
      username: entry?.username,
      password: entry?.password,
      auth: entry?.auth,
      identityToken: entry?.identitytoken,
      registryToken: entry?.registrytoken,
    }))
  } catch {
    return []
  }
}
