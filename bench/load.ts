// A load: N clients, each with one request under way, for a time or a count; throughput and latency of what happened.

export interface LoadResult {
  perSecond: number
  p50: number
  p99: number
  count: number
}

export async function load(
  clients: number,
  durationMs: number,
  request: (client: number, index: number) => Promise<unknown>,
): Promise<LoadResult> {
  const latencies: number[] = []
  let index = 0
  const started = performance.now()
  const end = started + durationMs
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      while (performance.now() < end) {
        const sent = performance.now()
        await request(client, index++)
        latencies.push(performance.now() - sent)
      }
    }),
  )
  return summary(latencies, performance.now() - started)
}

export function summary(latencies: number[], elapsedMs: number): LoadResult {
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    perSecond: Math.round((latencies.length / elapsedMs) * 1000),
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    count: latencies.length,
  }
}

export function quantile(sorted: number[], q: number): number {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
  return Math.round(value * 10) / 10
}

export const median = (values: number[]): number =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )

export function row(...cells: (string | number)[]): void {
  console.log(`| ${cells.join(' | ')} |`)
}

export function heading(...cells: string[]): void {
  row(...cells)
  row(...cells.map(() => '---'))
}
