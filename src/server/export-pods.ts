// Exports among the Pods: virtctl vmexport --port-forward looks for the Pod behind an export's Service and forwards a port to
// it; the port leads to the door where Tandem itself hands the disks out.

import { ApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { exportPod, mayBeExportPod } from '../kinds/export/export-pod.ts'
import type { Call } from './call.ts'
import type { Objects, Stored } from './objects.ts'
import type { Registry } from './registry.ts'
import { type ShownKind, viewsBy } from './shown-pods.ts'

const viewOf = viewsBy(exportPod)

const exportsOf = (registry: Registry) => registry.preferred('export.kubevirt.io', 'virtualmachineexports')

export function shownExports(registry: Registry): ShownKind[] {
  const resource = exportsOf(registry)
  if (!resource) return []
  return [{ resource, viewOf, behind: (objects, namespace, name) => exportBehind(objects, registry, namespace, name) }]
}

/** Long names are cut where they become names of Services and Pods, so it is looked for and not computed. */
function exportBehind(objects: Objects, registry: Registry, namespace: string, name: string): Stored | undefined {
  const resource = mayBeExportPod(name) ? exportsOf(registry) : undefined
  if (!resource || objects.count(resource, namespace) === 0) return undefined
  return objects.list(resource, namespace).find(({ object }) => viewOf(object)?.object.metadata.name === name)
}

/** The Pod that shows an export, for streams. */
export function podOfExport(objects: Objects, registry: Registry, namespace: string, name: string) {
  const found = exportBehind(objects, registry, namespace, name)
  return found && (viewOf(found.object)?.object as StoredObject)
}

/** @throws ApiError Forbidden when a Pod of this name shows an export */
export function noWriteToExport({ engine, info }: Call): undefined {
  const found = exportBehind(engine.objects, engine.registry, info.namespace, info.name)
  if (!found) return undefined
  throw new ApiError(
    'Forbidden',
    `pods "${info.name}" is forbidden: it shows the VirtualMachineExport "${found.object.metadata.name}" and has nothing of its own to change; change or delete the export`,
  )
}
