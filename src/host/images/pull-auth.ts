// Which credentials of the pull secrets belong to an image's registry: they are sent to no other.

import type { ImagePullAuth } from './images.ts'

const dockerHub = ['docker.io', 'index.docker.io', 'registry-1.docker.io']

/** "https://index.docker.io/v1/" → host and path */
function parseServer(address: string): { host: string; path: string } {
  const bare = address.replace(/^https?:\/\//, '')
  const slash = bare.indexOf('/')
  const host = slash < 0 ? bare : bare.slice(0, slash)
  const path = slash < 0 ? '' : bare.slice(slash).replace(/\/+$/, '')
  // Docker's own files name the registry's API version; it is no part of the image's name.
  return { host, path: path === '/v1' || path === '/v2' ? '' : path }
}

/** "*.example.com" matches one label per star, as the kubelet has it. */
function hostMatches(pattern: string, host: string): boolean {
  if (dockerHub.includes(pattern)) return dockerHub.includes(host)
  const wanted = pattern.split('.')
  const given = host.split('.')
  if (wanted.length !== given.length) return false
  return wanted.every((label, index) => {
    const expression = label.replace(/[\\^$+?.()|[\]{}]/g, '\\$&').replaceAll('*', '[^.]*')
    return new RegExp(`^${expression}$`).test(given[index]!)
  })
}

/**
 * Most specific first. Without the server's address: containerd would compare it again, in another notation.
 * @param imageName normalized
 */
export function authsFor(imageName: string, auths: ImagePullAuth[]): ImagePullAuth[] {
  const slash = imageName.indexOf('/')
  const host = imageName.slice(0, slash)
  const repository = imageName.slice(slash)
  return auths
    .map((auth) => ({ auth, server: parseServer(auth.serverAddress ?? '') }))
    .filter(({ auth, server }) => auth.serverAddress && hostMatches(server.host, host))
    .filter(
      ({ server }) => server.path === '' || repository === server.path || repository.startsWith(`${server.path}/`),
    )
    .sort((a, b) => b.server.path.length - a.server.path.length)
    .map(({ auth: { serverAddress: _, ...rest } }) => rest)
}
