// Rules for where the data of a DataVolume comes from. Texts and order: CDI 1.65 (pkg/apiserver/webhooks); what Tandem
// does not do is refused by name.

import type { FieldError } from '../../api/errors.ts'
import { forbidden, invalidValue } from '../../api/walk/rules.ts'
import { parseChecksum } from './checksum.ts'

const sources = ['http', 's3', 'gcs', 'registry', 'pvc', 'upload', 'blank', 'imageio', 'vddk', 'snapshot']

const unsupported: Record<string, string> = {
  s3: 'this source is not supported by Tandem: give an http URL to the object (a presigned one, where it is not public)',
  gcs: 'this source is not supported by Tandem: give an http URL to the object (a signed one, where it is not public)',
  imageio: 'this source is not supported by Tandem: export the disk and give an http URL to it',
  vddk: 'this source is not supported by Tandem: export the disk and give an http URL to it',
}

const wrong = (field: string, detail: string, value: unknown = ''): FieldError[] => [invalidValue(field, value, detail)]

/** @param field where the spec is: 'spec', or 'spec.template.spec' */
export function validateSource(source: any, contentType: string | undefined, field: string): FieldError[] {
  const at = `${field}.source`
  const given = sources.filter((name) => source?.[name] !== undefined && source[name] !== null)
  const [kind] = given
  if (kind === undefined) return wrong(at, 'Missing Data volume source')
  if (given.length > 1) return wrong(at, 'Multiple Data volume sources', given.join(', '))
  if (contentType && contentType !== 'kubevirt' && contentType !== 'archive')
    return wrong(`${field}.contentType`, 'ContentType not one of: kubevirt, archive', contentType)
  const reason = unsupported[kind]
  if (reason) return [forbidden(`${at}.${kind}`, reason)]
  if (kind === 'http') return validateHttp(source.http, at)
  if (kind === 'registry') return validateRegistry(source.registry, contentType, field)
  if (kind === 'blank' && contentType === 'archive')
    return wrong(`${field}.contentType`, 'SourceType cannot be blank and the contentType be archive', contentType)
  if (kind === 'pvc' && !(source.pvc.namespace && source.pvc.name))
    return wrong(`${at}.PVC`, `${at}.PVC source PVC is not valid`)
  if (kind === 'snapshot' && !(source.snapshot.namespace && source.snapshot.name))
    return wrong(`${at}.Snapshot`, `${at}.Snapshot source snapshot is not valid`)
  return []
}

function validateHttp(http: any, at: string): FieldError[] {
  const problem = urlProblem(http.url)
  if (problem) return wrong(`${at}.HTTP.url`, `${at} ${problem}`, http.url ?? '')
  for (const [index, header] of (http.extraHeaders ?? []).entries())
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*$/.test(header))
      return wrong(`${at}.http.extraHeaders[${index}]`, 'must be a header: "Name: value"', header)
  const checked = http.checksum ? parseChecksum(http.checksum) : undefined
  return typeof checked === 'string'
    ? wrong(`${at}.HTTP.checksum`, `Invalid checksum format: ${checked}`, http.checksum)
    : []
}

function urlProblem(text: unknown): string | undefined {
  if (!text) return 'source URL is empty'
  if (!URL.canParse(String(text))) return `Invalid source URL: ${text}`
  return /^https?:$/.test(new URL(String(text)).protocol) ? undefined : `Invalid source URL scheme: ${text}`
}

function validateRegistry(registry: any, contentType: string | undefined, field: string): FieldError[] {
  const at = `${field}.source.Registry`
  const { url, imageStream, pullMethod } = registry
  if (contentType && contentType !== 'kubevirt')
    return wrong(`${field}.contentType`, 'ContentType must be kubevirt when Source is Registry', contentType)
  if ((url === undefined) === (imageStream === undefined))
    return wrong(at, 'Source registry should have either URL or ImageStream')
  if (imageStream !== undefined)
    return [forbidden(`${field}.source.registry.imageStream`, 'there are no ImageStreams here: give a url')]
  if (registry.certConfigMap)
    return [
      forbidden(
        `${field}.source.registry.certConfigMap`,
        "images are pulled with this machine's trusted authorities: add the registry's to them",
      ),
    ]
  if (!URL.canParse(url)) return wrong(`${at}.URL`, `Illegal registry source URL ${url}`, url)
  const { protocol } = new URL(url)
  if (protocol === 'oci-archive:')
    return [
      forbidden(
        `${field}.source.registry.url`,
        "archives are not read from this machine's files: load it with 'tandem image load' and give docker:// and its name",
      ),
    ]
  if (protocol !== 'docker:') return wrong(`${at}.URL`, `Illegal registry source URL scheme ${url}`, url)
  if (pullMethod !== undefined && pullMethod !== 'pod' && pullMethod !== 'node')
    return wrong(`${at}.importMethod`, `ImportMethod ${pullMethod} is neither pod, node or ""`, pullMethod)
  return []
}
