// Where a webhook answers: the rules of its URL or Service (apiserver/pkg/util/webhook/validation.go, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dnsSubdomainProblems, portNumberProblems } from '../../api/names.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'

const form = '; desired format: https://host[/path]'

export function validateWebhookUrl(text: string, path: string): FieldError[] {
  const parts = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?#]*))?[^?#]*(\?[^#]*)?(#.*)?$/s.exec(text)
  if (!parts) return [requiredValue(path, `url must be a valid URL: ${text}${form}`)]
  const [, scheme = '', authority = '', query = '', fragment = ''] = parts
  const at = authority.lastIndexOf('@')
  const host = authority.slice(at + 1)
  const errors: FieldError[] = []
  if (scheme !== 'https') errors.push(invalidValue(path, scheme, `'https' is the only allowed URL scheme${form}`))
  if (host === '') errors.push(invalidValue(path, host, `host must be specified${form}`))
  if (at >= 0) errors.push(invalidValue(path, authority.slice(0, at), 'user information is not permitted in the URL'))
  if (fragment.length > 1) errors.push(invalidValue(path, fragment.slice(1), 'fragments are not permitted in the URL'))
  if (query.length > 1) errors.push(invalidValue(path, query.slice(1), 'query parameters are not permitted in the URL'))
  return errors
}

export function validateWebhookService(service: Record<string, any>, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!service.name) errors.push(requiredValue(`${path}.name`))
  if (!service.namespace) errors.push(requiredValue(`${path}.namespace`))
  const problems = portNumberProblems(service.port ?? 0)
  if (problems.length > 0)
    errors.push(invalidValue(`${path}.port`, service.port, `port is not valid: ${problems.join(', ')}`))
  const urlPath: string | undefined = service.path
  if (urlPath === undefined || urlPath === '' || urlPath === '/') return errors
  return [...errors, ...validateUrlPath(urlPath, `${path}.path`)]
}

function validateUrlPath(urlPath: string, path: string): FieldError[] {
  if (urlPath === '//') return [invalidValue(path, urlPath, 'segment[0] may not be empty')]
  const errors: FieldError[] = []
  if (!urlPath.startsWith('/')) errors.push(invalidValue(path, urlPath, "must start with a '/'"))
  const segments = urlPath.slice(1).replace(/\/$/, '').split('/')
  segments.forEach((segment, index) => {
    if (segment === '') errors.push(invalidValue(path, urlPath, `segment[${index}] may not be empty`))
    else
      for (const problem of dnsSubdomainProblems(segment))
        errors.push(invalidValue(path, urlPath, `segment[${index}]: ${problem}`))
  })
  return errors
}
