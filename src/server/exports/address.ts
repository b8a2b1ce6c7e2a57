// Which export a request means: by its path on the API's address, or by the name of its Service. Pure.

/** Everything behind the name of an export, e.g. /volumes/data/disk.img.gz. */
export interface ExportAddress {
  namespace: string
  /** Of the export, or of its Service. */
  name: string
  by: 'name' | 'service'
  path: string
}

const outside = '/api/export.kubevirt.io/'
const insidePrefix = 'virt-export-'
const outsidePath =
  /^\/api\/export\.kubevirt\.io\/(?:v1|v1beta1)\/namespaces\/([^/]+)\/virtualmachineexports\/([^/]+)(\/.*)$/
const serviceHost = /^(virt-export-[a-z0-9.-]*?)\.([a-z0-9-]+)(?:\.svc(?:\.[a-z0-9.-]+)?)?(?::\d+)?$/

/** undefined for every other request: the way of all requests leads through here. */
export function exportAddress(url: string, host: string): ExportAddress | undefined {
  if (url.startsWith(outside)) {
    const match = outsidePath.exec(withoutQuery(url))
    return match ? { namespace: match[1]!, name: match[2]!, by: 'name', path: match[3]! } : undefined
  }
  if (!host.startsWith(insidePrefix)) return undefined
  const service = serviceOf(host)
  return service && { ...service, by: 'service', path: withoutQuery(url) }
}

/** virt-export-db.default.svc */
export function serviceOf(host: string): { namespace: string; name: string } | undefined {
  if (!host.startsWith(insidePrefix)) return undefined
  const match = serviceHost.exec(host.toLowerCase())
  return match ? { name: match[1]!, namespace: match[2]! } : undefined
}

/** Paths behind every export's name. Who comes by another name (a forwarded port, a NodePort) is known by the token alone. */
const anyPath = /^\/(?:volumes|internal\/manifests|external\/manifests)\//

export const namelessPath = (url: string): string | undefined => (anyPath.test(url) ? withoutQuery(url) : undefined)

const withoutQuery = (url: string): string => url.split('?')[0]!
