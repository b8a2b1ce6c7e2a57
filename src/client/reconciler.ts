// The loop of every controller and of the host: a key whose object changed is reconciled; one key never twice at once;
// an error is tried again with back-off.

export interface ReconcileResult {
  /** Come back after this many milliseconds even if nothing changes. */
  requeueAfter?: number
}

// biome-ignore lint/suspicious/noConfusingVoidType: a reconcile that has nothing to say returns nothing
export type Reconcile = (key: string) => Promise<ReconcileResult | void>

export interface Reconciler {
  enqueue(key: string, afterMs?: number): void
  start(): void
  /** Resolves when the running reconciles have ended. */
  stop(): Promise<void>
}
