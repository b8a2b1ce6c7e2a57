// Rules for spec.accessCredentials (pkg/virt-api/webhooks/validating-webhook/admitters/vmi-create-admitter.go, KubeVirt 1.9).

import type { FieldError } from '../../api/errors.ts'
import { invalidValue } from '../../api/walk/rules.ts'

/** The methods that write on a cloud-init volume, which must be there. */
const volumeOf: Record<string, string> = { noCloud: 'cloudInitNoCloud', configDrive: 'cloudInitConfigDrive' }

export function validateCredentials(spec: any, field: string): FieldError[] {
  const credentials: any[] = spec.accessCredentials ?? []
  return credentials.flatMap((credential, index) => validateCredential(credential, spec, `${field}[${index}]`))
}

function validateCredential(credential: any, spec: any, field: string): FieldError[] {
  const types = ['sshPublicKey', 'userPassword'].filter((type) => credential[type])
  if (types.length !== 1) return [invalidValue(field, '', `${field} must have exactly one access credential type set`)]
  const type = types[0]!
  const { source, propagationMethod = {} } = credential[type]
  const errors: FieldError[] = []
  const wrong = (path: string, text: string) =>
    errors.push(invalidValue(`${field}.${type}.${path}`, '', `${field} ${text}`))
  const methods = Object.keys(propagationMethod).filter((method) => propagationMethod[method])
  for (const method of methods) {
    const volume = volumeOf[method]
    if (volume && !(spec.volumes ?? []).some((one: any) => one[volume]))
      wrong('propagationMethod', `requires a ${method} volume to exist when the ${method} propagationMethod is in use.`)
  }
  if (type === 'sshPublicKey' && propagationMethod.qemuGuestAgent && !propagationMethod.qemuGuestAgent.users?.length)
    wrong('propagationMethod.qemuGuestAgent.users', 'requires at least one user to be present in the users list')
  if (!source?.secret) wrong('source', 'must have exactly one source set')
  if (methods.length !== 1) wrong('propagationMethod', 'must have exactly one propagationMethod set')
  return errors
}
