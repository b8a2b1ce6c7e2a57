// All shared types of all kinds, as the generator wrote them (scripts/schema), in one table.

import type { Schema, SchemaTypes } from '../api/schema.ts'
import admissionregistration from './admissionregistration/admissionregistration.schema.json' with { type: 'json' }
import apiextensions from './apiextensions/apiextensions.schema.json' with { type: 'json' }
import apiregistration from './apiregistration/apiregistration.schema.json' with { type: 'json' }
import apps from './apps/apps.schema.json' with { type: 'json' }
import authentication from './authentication/authentication.schema.json' with { type: 'json' }
import authorization from './authorization/authorization.schema.json' with { type: 'json' }
import autoscaling from './autoscaling/autoscaling.schema.json' with { type: 'json' }
import batch from './batch/batch.schema.json' with { type: 'json' }
import cdi from './cdi/cdi.schema.json' with { type: 'json' }
import certificates from './certificates/certificates.schema.json' with { type: 'json' }
import coordination from './coordination/coordination.schema.json' with { type: 'json' }
import core from './core/core.schema.json' with { type: 'json' }
import discovery from './discovery/discovery.schema.json' with { type: 'json' }
import events from './events/events.schema.json' with { type: 'json' }
import flowcontrol from './flowcontrol/flowcontrol.schema.json' with { type: 'json' }
import gateway from './gateway/gateway.schema.json' with { type: 'json' }
import kubevirt from './kubevirt/kubevirt.schema.json' with { type: 'json' }
import meta from './meta/meta.schema.json' with { type: 'json' }
import metrics from './metrics/metrics.schema.json' with { type: 'json' }
import networking from './networking/networking.schema.json' with { type: 'json' }
import node from './node/node.schema.json' with { type: 'json' }
import policy from './policy/policy.schema.json' with { type: 'json' }
import rbac from './rbac/rbac.schema.json' with { type: 'json' }
import resource from './resource/resource.schema.json' with { type: 'json' }
import scheduling from './scheduling/scheduling.schema.json' with { type: 'json' }
import storage from './storage/storage.schema.json' with { type: 'json' }
import volumesnapshot from './volumesnapshot/volumesnapshot.schema.json' with { type: 'json' }

export const types: SchemaTypes = Object.assign(
  {},
  ...[meta, core, apps, batch, discovery, storage, node, coordination, rbac, policy, scheduling],
  ...[autoscaling, authentication, authorization, kubevirt, admissionregistration, apiextensions, apiregistration],
  ...[certificates, events, flowcontrol, metrics, networking, resource, cdi, gateway, volumesnapshot],
)

/** The schema of a kind's own type without apiVersion, kind and metadata. */
export function schemaOf(name: string): Schema {
  const { properties: { apiVersion, kind, metadata, ...properties } = {}, ...rest } = types[name] ?? {}
  const required = rest.required?.filter((field) => field in properties)
  return { ...rest, properties, ...(required && { required }) }
}
