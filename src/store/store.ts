// The store as everyone above sees it: bytes by key, one revision counter, one history, watches that replay from it.
// etcd's model (MVCC, compare-and-swap on the mod revision, compaction) in an embedded form. Knows no kind.

/** The newest durable state of one key. */
export interface Entry {
  key: string
  value: string
  /** Revision of the last write to this key. */
  revision: number
  /** Revision of the write that created it. */
  created: number
}

export interface StoreEvent {
  type: 'put' | 'delete'
  key: string
  revision: number
  /** What was written; for a delete, the last value. */
  value: string
  /** Present on an update and a delete. */
  previous?: Entry
}

export interface Write {
  key: string
  /**
   * The revision that the key must have now: 0 = it must not exist, undefined = whatever it has.
   */
  expected?: number
  /** The value to store, made from the revision that the write will get; null deletes. */
  value: ((revision: number) => string) | null
  /** For a delete: the final value to tell watchers, with the revision of the delete (default: the last stored one). */
  last?: (revision: number) => string
}

export interface Watch {
  /** Stops the watch; no event is delivered after it. */
  close(): void
}

/** Thrown by `write` when `expected` does not hold. `current` is the durable revision of the key (0: it does not exist). */
export class RevisionMismatch extends Error {
  readonly current: number
  constructor(key: string, current: number) {
    super(`key ${key} is at revision ${current}`)
    this.name = 'RevisionMismatch'
    this.current = current
  }
}

/** Thrown when history before `compacted` was asked for. */
export class Compacted extends Error {
  readonly compacted: number
  constructor(compacted: number) {
    super(`required revision has been compacted (oldest is ${compacted})`)
    this.name = 'Compacted'
    this.compacted = compacted
  }
}

/** Thrown by `write` when the medium refuses (disk full, read-only): nothing was written and the store goes on. */
export class StoreUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreUnavailable'
  }
}

export interface Store {
  /** The newest durable revision. */
  revision(): number
  /** History up to and including this revision is gone. */
  compacted(): number
  /** Newest durable value. Never waits. */
  get(key: string): Entry | undefined
  /** Newest durable entries whose key starts with `prefix`, in key order, from the key after `after`. Never waits. */
  list(prefix: string, options?: { after?: string; limit?: number }): Entry[]
  count(prefix: string): number
  /** Entries as they were at `revision`. @throws Compacted */
  listAt(prefix: string, revision: number, options?: { after?: string; limit?: number }): Promise<Entry[]>
  /**
   * Durable when it resolves. Writes are applied in the order of the calls; one call is one revision.
   * Resolves with the entry written (for a delete: the last entry, with the revision of the delete).
   * @throws RevisionMismatch @throws StoreUnavailable
   */
  write(write: Write): Promise<Entry>
  /**
   * Every durable event of keys under `prefix` with a revision greater than `after`, in order, each once; history first,
   * then as it happens. `listener` gets the events of one commit together.
   * @throws Compacted when `after` is older than the history.
   */
  watch(prefix: string, after: number, listener: (events: StoreEvent[]) => void): Watch
  /** Forgets history up to and including `revision` (never the newest value of a live key). */
  compact(revision: number): Promise<void>
  close(): Promise<void>
}
