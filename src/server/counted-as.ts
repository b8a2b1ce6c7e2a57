// Under which name a request is counted. A client chooses paths as it likes and must not be able to make names that the
// metrics page carries from then on: only what is served here counts by its name, everything else is counted together.

import type { Registry } from './registry.ts'
import type { RequestInfo } from './request.ts'
import { aggregatedGroup, aggregatedVersions, kubevirtSubresources, subresourceTable } from './subresources/table.ts'

export type CountedAs = Pick<RequestInfo, 'group' | 'version' | 'resource' | 'subresource'>

const nowhere: CountedAs = { group: '', version: '', resource: '', subresource: '' }

const connections = new Set([...kubevirtSubresources.keys()].map((path) => path.split('/')[0]))
const subresources = new Set([
  'status',
  'scale',
  ...Object.values(subresourceTable).flatMap((infos) => infos.map(({ subresource }) => subresource)),
  ...[...kubevirtSubresources.keys()].map((path) => path.slice(path.indexOf('/') + 1)),
])

export function countedAs({ group, version, resource, subresource }: RequestInfo, registry: Registry): CountedAs {
  const isServed =
    registry.find(group, version, resource) ??
    (group === aggregatedGroup && aggregatedVersions.includes(version) && connections.has(resource))
  if (!isServed) return nowhere
  return { group, version, resource, subresource: subresources.has(subresource) ? subresource : '' }
}
