// Which credentials of a Pod's pull secrets fit an image. Pure. Formats: kubernetes.io/dockerconfigjson and
// kubernetes.io/dockercfg Secrets.

import { normalizeImageName } from '../../kinds/core/image-name.ts'
import type { ImagePullAuth } from '../images/images.ts'

interface Entry {
  username?: string
  password?: string
  auth?: string
  identitytoken?: string
  registrytoken?: string
}

/** "https://index.docker.io/v1/" and "docker.io" are one registry. */
function registryKey(key: string): string {
  const plain = key.replace(/^https?:\/\//, '').replace(/\/(v[12]\/?)?$/, '')
  return plain.replace(/^(index|registry-1)\.docker\.io/, 'docker.io')
}

function fits(key: string, image: string): boolean {
  const [host = '', ...path] = registryKey(key).split('/')
  const [imageHost = '', ...imagePath] = image.split('/')
  const pattern = host.split('.')
  const parts = imageHost.split('.')
  if (pattern.length !== parts.length) return false
  const sameHost = pattern.every((part, index) => part === '*' || part === parts[index])
  return sameHost && path.every((part, index) => part === imagePath[index])
}

function toAuth(key: string, entry: Entry): ImagePullAuth {
  const decoded = entry.auth ? Buffer.from(entry.auth, 'base64').toString() : ''
  const colon = decoded.indexOf(':')
  return {
    username: entry.username ?? (colon > 0 ? decoded.slice(0, colon) : undefined),
    password: entry.password ?? (colon > 0 ? decoded.slice(colon + 1) : undefined),
    serverAddress: registryKey(key).split('/')[0],
    identityToken: entry.identitytoken,
    registryToken: entry.registrytoken,
  }
}

function entriesOf(secret: { data?: Record<string, string> }): Record<string, Entry> {
  const json = (key: string): any => {
    const text = secret.data?.[key]
    if (!text) return undefined
    try {
      return JSON.parse(Buffer.from(text, 'base64').toString())
    } catch {
      // A Secret that cannot be read is as good as none; the pull will say what it needs.
      return undefined
    }
  }
  return json('.dockerconfigjson')?.auths ?? json('.dockercfg') ?? {}
}

/** The most specific first. */
export function pullAuths(image: string, secrets: { data?: Record<string, string> }[]): ImagePullAuth[] {
  const name = normalizeImageName(image)
  return secrets
    .flatMap((secret) => Object.entries(entriesOf(secret)))
    .filter(([key, entry]) => typeof entry === 'object' && entry !== null && fits(key, name))
    .sort(([a], [b]) => registryKey(b).length - registryKey(a).length)
    .map(([key, entry]) => toAuth(key, entry))
}
