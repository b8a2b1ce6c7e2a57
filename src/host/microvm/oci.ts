// What is used here of the OCI runtime specification (1.0.2): the bundle's config.json that containerd writes.

export interface OciMount {
  destination: string
  type?: string
  source?: string
  options?: string[]
}

export interface OciProcess {
  terminal?: boolean
  user: { uid: number; gid: number; additionalGids?: number[]; umask?: number }
  args: string[]
  env?: string[]
  cwd: string
  capabilities?: Record<string, string[]>
  rlimits?: object[]
  noNewPrivileges?: boolean
  oomScoreAdj?: number
  apparmorProfile?: string
  selinuxLabel?: string
}

export interface OciNamespace {
  type: string
  path?: string
}

export interface OciSpec {
  ociVersion: string
  process: OciProcess
  root: { path: string; readonly?: boolean }
  hostname?: string
  mounts?: OciMount[]
  hooks?: object
  annotations?: Record<string, string>
  linux: {
    namespaces: OciNamespace[]
    sysctl?: Record<string, string>
    resources?: Record<string, any>
    cgroupsPath?: string
    devices?: object[]
    seccomp?: object
    maskedPaths?: string[]
    readonlyPaths?: string[]
    mountLabel?: string
    rootfsPropagation?: string
    [field: string]: unknown
  }
}

const cri = 'io.kubernetes.cri.'

export const isSandbox = (spec: OciSpec): boolean => spec.annotations?.[`${cri}container-type`] === 'sandbox'
export const sandboxIdOf = (spec: OciSpec): string | undefined => spec.annotations?.[`${cri}sandbox-id`]
export const annotationOf = (spec: OciSpec, name: string): string | undefined => spec.annotations?.[`${cri}${name}`]

export const networkOf = (spec: OciSpec): string | undefined =>
  spec.linux.namespaces.find(({ type }) => type === 'network')?.path
