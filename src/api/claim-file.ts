// The bytes of a claim's volume, as the API server asks the node for them when they are exported.

export interface ClaimRef {
  namespace: string
  name: string
}

/** One of the forms in which a claim can be taken. `path` is relative to the root of the volume. */
export type ClaimFile = { form: 'disk' } | { form: 'disk.gz' } | { form: 'tar.gz' } | { form: 'file'; path: string }

export interface OpenFile {
  kind: 'bytes'
  /** Absent: nobody knows before the end. */
  size?: number
  /** From `start` up to and with `end`; once. */
  read(start?: number, end?: number): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** Names of what lies in a directory; those of directories end in '/'. */
export interface OpenDirectory {
  kind: 'directory'
  names: string[]
}

/** @throws ApiError NotFound where there is no such file; Error with why it cannot be read. */
export type OpenClaim = (claim: ClaimRef, file: ClaimFile) => Promise<OpenFile | OpenDirectory>
