// UploadTokenRequest: asks for the token with which a claim may be filled. Answered, never stored
// (upload.cdi.kubevirt.io/v1beta1, CDI 1.65).

import { defineKind } from '../../api/kind.ts'
import { types } from '../types.ts'

export const uploadTokenRequest = defineKind({
  group: 'upload.cdi.kubevirt.io',
  version: 'v1beta1',
  kind: 'UploadTokenRequest',
  plural: 'uploadtokenrequests',
  singular: 'uploadtokenrequest',
  shortNames: ['utr', 'utrs'],
  scope: 'Namespaced',
  protobuf: false,
  schema: {
    type: 'object',
    properties: {
      spec: { type: 'object', properties: { pvcName: { type: 'string' } }, required: ['pvcName'], keepZero: true },
      status: { type: 'object', properties: { token: { type: 'string' } } },
    },
    required: ['spec'],
  },
  types,
  virtual: true,
  verbs: ['create'],
  columns: [],
  example: {
    apiVersion: 'upload.cdi.kubevirt.io/v1beta1',
    kind: 'UploadTokenRequest',
    metadata: { name: 'disk', namespace: 'default' },
    spec: { pvcName: 'disk' },
  },
})
