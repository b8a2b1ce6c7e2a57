// Addresses that Tandem gives itself within the ranges of its settings.

/** The port at which workloads reach the API, at the ClusterIP of the `kubernetes` Service. */
export const servicePort = 443

/** The n-th address of a range. */
export function addressIn(cidr: string, n: number): string {
  const parts = cidr.split('/')[0]!.split('.').map(Number)
  const number = parts.reduce((sum, part) => sum * 256 + part, 0) + n
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
}
