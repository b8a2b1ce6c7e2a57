// Which version of a group clients should prefer: stable before beta before alpha, then the greater number
// (apimachinery pkg/version/helpers.go CompareKubeAwareVersionStrings, 1.36).

const pattern = /^v(\d+)(?:(alpha|beta)(\d+))?$/

/** For `sort`: the preferred version first. */
export function byPreference(a: string, b: string): number {
  const [left, right] = [pattern.exec(a), pattern.exec(b)]
  if (!left || !right) return left ? -1 : right ? 1 : a < b ? -1 : 1
  const level = (stage: string | undefined) => (stage ? ['alpha', 'beta'].indexOf(stage) : 2)
  return (
    level(right[2]) - level(left[2]) ||
    Number(right[1]) - Number(left[1]) ||
    Number(right[3] ?? 0) - Number(left[3] ?? 0)
  )
}
