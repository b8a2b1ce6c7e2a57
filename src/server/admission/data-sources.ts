// Data of others is cloned only by who may: whoever writes something that names a claim in another namespace as a source
// needs the rights that CDI asks for (1.65, authorize_utils.go). And only who may reach into a node lets Tandem fetch
// from an address of this machine itself.

import { type FieldError, invalid } from '../../api/errors.ts'
import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue } from '../../api/walk/rules.ts'
import { type CloneSource, resolveSource } from '../../kinds/cdi/clone-source.ts'
import { namesThisMachine } from '../../kinds/cdi/own-address.ts'
import type { Attributes, Authorizer } from '../auth/authz.ts'
import type { AdmissionPlugin } from './admission.ts'
import type { Lookup } from './lookup.ts'

const group = 'cdi.kubevirt.io'

interface Place {
  spec: any
  field: string
}

const template = (one: any, field: string): Place => ({ spec: one?.spec, field: `${field}.spec` })

/** The specs of DataVolumes that stand in an object. */
const placesIn: Record<string, (object: ApiObject) => Place[]> = {
  'datavolumes.cdi.kubevirt.io': ({ spec }) => [{ spec, field: 'spec' }],
  'dataimportcrons.cdi.kubevirt.io': ({ spec }) => [template(spec?.template, 'spec.template')],
  'datasources.cdi.kubevirt.io': ({ spec }) => [{ spec, field: 'spec' }],
  'virtualmachines.kubevirt.io': ({ spec }) => templates(spec, 'spec'),
  'virtualmachinepools.pool.kubevirt.io': ({ spec }) =>
    templates(spec?.virtualMachineTemplate?.spec, 'spec.virtualMachineTemplate.spec'),
}

const templates = (spec: any, field: string): Place[] =>
  (spec?.dataVolumeTemplates ?? []).map((one: any, index: number) =>
    template(one, `${field}.dataVolumeTemplates[${index}]`),
  )

export const dataSources = (authorizer: Authorizer, lookup: Lookup): AdmissionPlugin => ({
  name: 'DataSources',
  resources: Object.keys(placesIn),
  validate({ operation, subresource, resource, object, old, namespace, name, user }) {
    if ((operation !== 'CREATE' && operation !== 'UPDATE') || subresource || !object) return
    const places = placesIn[resource.groupResource]!(object)
    if (places.length === 0) return
    const before = old ? placesIn[resource.groupResource]!(old) : undefined
    const errors = places.flatMap((place, index) =>
      before && equalJson(place.spec ?? null, before[index]?.spec ?? null)
        ? []
        : check(authorizer, lookup, user, namespace, place),
    )
    if (errors.length > 0) throw invalid(resource.kind.kind, name, errors, resource.group)
  },
})

function check(authorizer: Authorizer, lookup: Lookup, user: UserInfo, namespace: string, place: Place): FieldError[] {
  const { spec, field } = place
  if (!spec) return []
  const url = spec.source?.http?.url
  if (url && URL.canParse(url) && namesThisMachine(new URL(url)) && !mayReachNode(authorizer, user))
    return [
      forbidden(
        `${field}.source.http.url`,
        'this is an address of the machine itself: only who may use nodes/proxy fetches from it',
      ),
    ]
  const source = sourceOf(lookup, spec, namespace)
  if (!source || source.namespace === namespace || mayClone(authorizer, user, source)) return []
  const text = `User ${user.name} has insufficient permissions in clone source namespace ${source.namespace}`
  return [invalidValue(`${field}.source.${source.isSnapshot ? 'Snapshot' : 'PVC'}.namespace`, source.namespace, text)]
}

/** A DataSource that is not there yet is checked when it is written. */
function sourceOf(lookup: Lookup, spec: any, namespace: string): CloneSource | undefined {
  const volume = { metadata: { namespace }, spec } as unknown as Parameters<typeof resolveSource>[0]
  // A DataSource names another one as a DataVolume names it.
  const chained = spec.source?.dataSource
  const asked = chained ? { ...volume, spec: { sourceRef: { kind: 'DataSource', ...chained } } } : volume
  const found = resolveSource(asked, (key) => {
    const [space = '', name = ''] = key.split('/')
    return lookup.get(group, 'datasources', space, name)
  })
  if (found && 'name' in found) return found
  // Nobody knows yet what it will name: whoever may read its claims may read the rest.
  const other = asked.spec.sourceRef?.namespace
  return other ? { namespace: other as string, name: asked.spec.sourceRef.name as string } : undefined
}

const resourceRequest = (attributes: Partial<Attributes>): Attributes => ({
  verb: 'create',
  isResource: true,
  path: '',
  group: '',
  version: '*',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  ...attributes,
})

/** Who may make Pods there may read its claims; to read a snapshot takes a claim that is filled from it, too. */
function mayClone(authorizer: Authorizer, user: UserInfo, { namespace, name, isSnapshot }: CloneSource): boolean {
  const may = (need: Partial<Attributes>) =>
    authorizer.decide(user, resourceRequest({ namespace, name, ...need })).allowed
  if (may({ group, resource: 'datavolumes', subresource: 'source' })) return true
  return may({ resource: 'pods' }) && (!isSnapshot || may({ resource: 'persistentvolumeclaims' }))
}

const mayReachNode = (authorizer: Authorizer, user: UserInfo): boolean =>
  authorizer.decide(user, resourceRequest({ verb: 'get', resource: 'nodes', subresource: 'proxy' })).allowed
