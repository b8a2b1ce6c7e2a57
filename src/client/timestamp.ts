// Timestamps as Kubernetes writes them: RFC 3339 in UTC with seconds (metav1.Time) or microseconds (metav1.MicroTime).

/** '2026-01-01T00:00:00Z' */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`

/** '2026-01-01T00:00:00.123000Z' */
export const microTimestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, -1)}000Z`

/** Milliseconds since 1970; NaN when unset, so that every comparison with it is false. */
export const millis = (text: string | null | undefined): number => (text ? Date.parse(text) : Number.NaN)
