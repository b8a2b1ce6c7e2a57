// Objects live only in namespaces that exist and are not going away (NamespaceLifecycle), and the namespaces of the
// system stay.

import { ApiError, notFound } from '../../api/errors.ts'
import { forbiddenObject } from '../auth/authz.ts'
import type { AdmissionPlugin } from './admission.ts'
import type { Lookup } from './lookup.ts'

const immortal = ['default', 'kube-system', 'kube-public']

export const namespaceLifecycle = (lookup: Lookup): AdmissionPlugin => ({
  name: 'NamespaceLifecycle',
  // Upstream refuses here before anything else looks at the object.
  admit(request) {
    const { operation, resource, namespace, name } = request
    if (operation === 'DELETE') {
      if (resource.group === '' && resource.plural === 'namespaces' && immortal.includes(name))
        throw forbiddenObject('', 'namespaces', name, 'this namespace may not be deleted')
      return
    }
    if (operation !== 'CREATE' || !resource.namespaced || request.subresource) return
    const found = lookup.get('', 'namespaces', '', namespace)
    if (!found) {
      if (!lookup.serves('', 'namespaces')) return
      throw notFound('namespaces', namespace)
    }
    if (!found.metadata.deletionTimestamp && found.status?.phase !== 'Terminating') return
    const text = `unable to create new content in namespace ${namespace} because it is being terminated`
    const error = forbiddenObject(resource.group, resource.plural, name, text)
    throw new ApiError('Forbidden', error.message, {
      ...error.details,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    })
  },
})
