// The Secrets that accessCredentials name → who gets which SSH keys and which password. Each key of a Secret is a file of
// authorized keys, or the name of a user whose password it holds (KubeVirt 1.9).

import { createHash } from 'node:crypto'
import type { Client } from '../../client/client.ts'
import type { AccessCredential } from './vmi.ts'

export interface SecretCredentials {
  /** By user. */
  keys: Map<string, string[]>
  passwords: Map<string, string>
  /** Why something is missing. */
  problems: string[]
  /** Another one when anything of it is another. */
  digest: string
}

const secrets = { group: '', version: 'v1', resource: 'secrets' }

export async function readCredentials(
  client: Client,
  namespace: string,
  credentials: AccessCredential[],
): Promise<SecretCredentials> {
  const keys = new Map<string, string[]>()
  const passwords = new Map<string, string>()
  const problems: string[] = []
  for (const credential of credentials) {
    const name = (credential.sshPublicKey ?? credential.userPassword)?.source?.secret?.secretName ?? ''
    const texts = await read(client, namespace, name).catch((error: Error) => {
      problems.push(error.message)
      return undefined
    })
    if (!texts) continue
    const users = credential.sshPublicKey?.propagationMethod?.qemuGuestAgent?.users ?? []
    for (const user of users) keys.set(user, [...(keys.get(user) ?? []), ...texts.flatMap(([, text]) => lines(text))])
    if (credential.sshPublicKey) continue
    for (const [user, text] of texts) if (text.trim()) passwords.set(user, text.trim())
  }
  const digest = createHash('sha256').update(JSON.stringify([[...keys], [...passwords]]))
  return { keys, passwords, problems, digest: digest.digest('hex') }
}

async function read(client: Client, namespace: string, name: string): Promise<[key: string, text: string][]> {
  const { data } = await client.get(secrets, name, namespace)
  return Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(`${value}`, 'base64').toString()])
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
