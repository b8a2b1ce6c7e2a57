// Exported disks leave by the API's own addresses: the API's objects, the node's volumes and the authority tied together.

import { ApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import type { Logger } from '../base/log.ts'
import { createLookup } from '../server/admission/lookup.ts'
import type { ApiServer } from '../server/apiserver.ts'
import type { Pki } from '../server/auth/pki.ts'
import { createExportCertificates } from '../server/exports/certificates.ts'
import { createExports } from '../server/exports/exports.ts'
import type { HttpOptions } from '../server/http.ts'
import { writtenOut } from '../server/subresources/kubevirt-expand.ts'
import type { NodeParts } from './platform.ts'

interface ExportRooms {
  server: ApiServer
  pki: Pick<Pki, 'issueServing'>
  node: () => NodeParts
  log: Logger
}

export function openExports({
  server,
  pki,
  node,
  log,
}: ExportRooms): Required<Pick<HttpOptions, 'other' | 'certificateFor'>> {
  const lookup = createLookup(server.objects, server.registry)
  return {
    other: createExports({
      lookup,
      async open(claim, file) {
        const { openClaim } = node()
        if (!openClaim) throw new ApiError('ServiceUnavailable', 'this node has no volumes')
        return await openClaim(claim, file)
      },
      expand: (machine) => writtenOut(lookup.get, machine, machine.metadata.namespace ?? '') as StoredObject,
      log,
    }),
    certificateFor: createExportCertificates(lookup, pki),
  }
}
