// Names of images, as the kubelet reads them (distribution/reference).

/** Name as the kubelet normalizes it: "nginx" → "docker.io/library/nginx:latest". */
export function normalizeImageName(name: string): string {
  let rest = name
  let digest = ''
  const at = rest.indexOf('@')
  if (at >= 0) {
    digest = rest.slice(at)
    rest = rest.slice(0, at)
  }
  const slash = rest.indexOf('/')
  const first = slash < 0 ? '' : rest.slice(0, slash)
  const hasRegistry = slash >= 0 && (first.includes('.') || first.includes(':') || first === 'localhost')
  if (!hasRegistry) rest = `docker.io/${slash < 0 ? 'library/' : ''}${rest}`
  const lastColon = rest.lastIndexOf(':')
  const hasTag = lastColon > rest.lastIndexOf('/')
  return digest ? rest + digest : hasTag ? rest : `${rest}:latest`
}
