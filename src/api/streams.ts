// Byte streams between a client and a running workload (exec, attach, logs, port-forward, console), as the API server
// and the node speak of them. Web-standard types only, so that this floor stays pure.

/** Both directions of one connection. */
export interface ByteChannel {
  /** Bytes from the other side; ends when it closes. */
  readable: AsyncIterable<Uint8Array>
  /** Resolves when the other side can take more. */
  write(chunk: Uint8Array): Promise<void>
  /** Half-close: nothing more will be written. */
  end(): void
  /** Close both ways at once. */
  close(): void
}

export type ExitStatus =
  | { kind: 'exited'; code: number }
  /** The command could not be run at all. */
  | { kind: 'failed'; message: string }

/** A running exec or attach. */
export interface ExecSession {
  stdin?: { write(chunk: Uint8Array): Promise<void>; end(): void }
  stdout?: AsyncIterable<Uint8Array>
  /** Absent with a tty: everything comes on stdout. */
  stderr?: AsyncIterable<Uint8Array>
  resize(width: number, height: number): void
  /** Settles after stdout and stderr ended. */
  exit: Promise<ExitStatus>
  close(): void
}

export interface ExecOptions {
  container?: string
  command: string[]
  stdin: boolean
  stdout: boolean
  stderr: boolean
  tty: boolean
}

export interface LogOptions {
  container?: string
  follow?: boolean
  previous?: boolean
  timestamps?: boolean
  tailLines?: number
  limitBytes?: number
  sinceSeconds?: number
  sinceTime?: string
  /** Only what was written to one of them. */
  stream?: 'stdout' | 'stderr'
}

export interface WorkloadRef {
  namespace: string
  name: string
  uid: string
}

/** What a node serves beside the objects. The API server is given one by main.ts; errors are ApiErrors. */
export interface NodeStreams {
  podLogs(pod: WorkloadRef, options: LogOptions, signal: AbortSignal): AsyncIterable<Uint8Array>
  podExec(pod: WorkloadRef, options: ExecOptions): Promise<ExecSession>
  podAttach(pod: WorkloadRef, options: Omit<ExecOptions, 'command'>): Promise<ExecSession>
  podPortForward(pod: WorkloadRef, port: number): Promise<ByteChannel>
  /** What the serial console said. */
  machineLogs(machine: WorkloadRef, options: LogOptions, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Through the guest agent. */
  machineExec(machine: WorkloadRef, options: ExecOptions): Promise<ExecSession>
  /** To the serial console. */
  machineAttach(machine: WorkloadRef, options: Omit<ExecOptions, 'command'>): Promise<ExecSession>
  machineConsole(machine: WorkloadRef): Promise<ByteChannel>
  machineVnc(machine: WorkloadRef): Promise<ByteChannel>
  /** For a USB device of the client, in the usbredir protocol. */
  machineUsb(machine: WorkloadRef): Promise<ByteChannel>
  machinePortForward(machine: WorkloadRef, port: number, protocol: 'tcp' | 'udp'): Promise<ByteChannel>
}
