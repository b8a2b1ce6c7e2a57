// Rules that say which requests a webhook or policy is about, and their validation (pkg/apis/admissionregistration/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE']
const scopes = ['*', 'Cluster', 'Namespaced']

export function validateOperations(list: string[], path: string): FieldError[] {
  if (list.length === 0) return [requiredValue(path)]
  const errors: FieldError[] = []
  if (list.length > 1 && list.includes('*'))
    errors.push(invalidValue(path, list, "if '*' is present, must not specify other operations"))
  list.forEach((operation, index) => {
    if (!operations.includes(operation)) errors.push(notSupported(`${path}[${index}]`, operation, operations))
  })
  return errors
}

export function validateRule(rule: Record<string, any>, path: string, subresources: boolean): FieldError[] {
  const errors: FieldError[] = []
  const list = (field: string, what: string): string[] => {
    const items: string[] = rule[field] ?? []
    if (items.length === 0) errors.push(requiredValue(`${path}.${field}`))
    if (items.length > 1 && items.includes('*'))
      errors.push(invalidValue(`${path}.${field}`, items, `if '*' is present, must not specify other ${what}`))
    return items
  }
  list('apiGroups', 'API groups')
  list('apiVersions', 'API versions').forEach((version, index) => {
    if (version === '') errors.push(requiredValue(`${path}.apiVersions[${index}]`))
  })
  errors.push(...(subresources ? validateResources : validateWholeResources)(rule.resources ?? [], `${path}.resources`))
  if (rule.scope !== undefined && !scopes.includes(rule.scope))
    errors.push(notSupported(`${path}.scope`, rule.scope, scopes))
  return errors
}

function validateResources(resources: string[], path: string): FieldError[] {
  const errors: FieldError[] = []
  if (resources.length === 0) errors.push(requiredValue(path))
  /** 'pods' of 'pods/*', and 'status' of '*' + '/status'. */
  const wholeResources = new Set<string>()
  const wholeSubresources = new Set<string>()
  let plain = false
  resources.forEach((name, index) => {
    const at = `${path}[${index}]`
    if (name === '') {
      errors.push(requiredValue(at))
      return
    }
    const slash = name.indexOf('/')
    if (slash < 0) {
      plain = name !== '*'
      return
    }
    const [resource, subresource] = [name.slice(0, slash), name.slice(slash + 1)]
    if (wholeResources.has(resource))
      errors.push(invalidValue(at, name, `if '${resource}/*' is present, must not specify ${name}`))
    if (wholeSubresources.has(subresource))
      errors.push(invalidValue(at, name, `if '*/${subresource}' is present, must not specify ${name}`))
    if (subresource === '*') wholeResources.add(resource)
    if (resource === '*') wholeSubresources.add(subresource)
  })
  if (resources.length > 1 && resources.includes('*/*'))
    errors.push(invalidValue(path, resources, "if '*/*' is present, must not specify other resources"))
  if (resources.includes('*') && plain)
    errors.push(
      invalidValue(path, resources, "if '*' is present, must not specify other resources without subresources"),
    )
  return errors
}

function validateWholeResources(resources: string[], path: string): FieldError[] {
  const errors: FieldError[] = []
  if (resources.length === 0) errors.push(requiredValue(path))
  resources.forEach((name, index) => {
    if (name === '') errors.push(requiredValue(`${path}[${index}]`))
    if (name.includes('/')) errors.push(invalidValue(`${path}[${index}]`, name, 'must not specify subresources'))
  })
  if (resources.length > 1 && resources.includes('*'))
    errors.push(invalidValue(path, resources, "if '*' is present, must not specify other resources"))
  return errors
}
