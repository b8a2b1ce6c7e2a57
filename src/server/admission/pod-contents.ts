// What in a request decides what runs in Pods: the templates of controllers, and which changes of a Pod count
// (pod-security-admission/admission, 1.36).

import type { ApiObject } from '../../api/meta.ts'

/** Where the template of Pods is in the kinds that have one. */
export const podTemplates: Record<string, (object: ApiObject) => any> = {
  podtemplates: ({ template }) => template,
  replicationcontrollers: ({ spec }) => spec?.template,
  'replicasets.apps': ({ spec }) => spec?.template,
  'deployments.apps': ({ spec }) => spec?.template,
  'statefulsets.apps': ({ spec }) => spec?.template,
  'daemonsets.apps': ({ spec }) => spec?.template,
  'jobs.batch': ({ spec }) => spec?.template,
  'cronjobs.batch': ({ spec }) => spec?.jobTemplate?.spec?.template,
}

/** Subresources of a Pod that do not change what runs in it. */
export const harmlessToPods = new Set([
  'exec',
  'attach',
  'binding',
  'eviction',
  'log',
  'portforward',
  'proxy',
  'status',
])

/** Only images of containers, and more of these, can make a Pod worse than it was. */
export function changesContainers({ spec }: ApiObject, { spec: before }: ApiObject): boolean {
  const changed = (list: any[] = [], old: any[] = []) =>
    list.length !== old.length || list.some(({ image }, index) => image !== old[index].image)
  if (changed(spec?.containers, before?.containers) || changed(spec?.initContainers, before?.initContainers))
    return true
  const known = new Map<string, string>(
    (before?.ephemeralContainers ?? []).map((one: { name: string; image: string }) => [one.name, one.image]),
  )
  return (spec?.ephemeralContainers ?? []).some(
    ({ name, image }: { name: string; image: string }) => known.get(name) !== image,
  )
}
