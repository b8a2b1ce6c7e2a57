// What is measured inside a container with what its image has, and what the answers mean. Pure.

/** A container that is there until it is taken away. */
export const idle = ['sh', '-c', 'exec sleep 100000']

/** The first thing that a container is asked; only a shell is needed for an answer. */
export const question = ['sh', '-c', 'IFS= read -r version < /proc/version; echo "$version"; uname -r']

/** Where the Pod has a volume: an image's own file system may be read-only. */
export const scratch = '/tandem-compare'

/**
 * Each measure is repeated, longer, until it takes a tenth of a second or is as long as it may be. dd says its own time; of
 * a loop in the shell it is the difference to one without the opening. "1$number": what begins with 0 would be octal.
 */
const script = `
LC_ALL=C; export LC_ALL
file=${scratch}/measured
: > $file
dds() {
  name=$1 n=$2 most=$3; shift 3
  while :; do
    said=$(dd "$@" count=$n 2>&1); code=$?
    [ $code = 0 ] && [ $n -lt $most ] || break
    case $said in *'copied, 0.0'*|*'copied, '*e-*) n=$((n * 4)) ;; *) break ;; esac
  done
  echo "@ $name $n $code"; echo "$said"
}
dds calls 2000 40000000 if=/dev/zero of=/dev/null bs=1
dds write 1024 16384 if=/dev/zero of=$file bs=4k
dds read $n $n if=$file of=/dev/null bs=4k
n=100
while :; do
  read -r from rest < /proc/uptime
  i=0; while [ $i -lt $n ]; do i=$((i + 1)); : < $file; done
  read -r between rest < /proc/uptime
  i=0; while [ $i -lt $n ]; do i=$((i + 1)); : ; done
  read -r to rest < /proc/uptime
  [ $((1\${between%.*}\${between#*.} - 1\${from%.*}\${from#*.})) -lt 20 ] && [ $n -lt 200000 ] || break
  n=$((n * 4))
done
echo "@ open $n 0"; echo "$from $between $to"
`
export const measuring = ['sh', '-c', script]

export const measureNames = ['calls', 'write', 'read', 'open'] as const
type Name = (typeof measureNames)[number]

export interface Measures {
  systemCallNs?: number
  writeBytesPerSecond?: number
  readBytesPerSecond?: number
  openNs?: number
  /** Why one is not there. */
  problems: Partial<Record<Name, string>>
}

const block = 4096

export function parseMeasures(output: string): Measures {
  const sections = new Map<string, { count: number; code: number; said: string }>()
  const parts = output.split(/^@ (\w+) (\d+) (\d+)\n/m)
  for (let at = 1; at + 3 < parts.length; at += 4)
    sections.set(parts[at]!, { count: Number(parts[at + 1]), code: Number(parts[at + 2]), said: parts[at + 3]!.trim() })
  const measures: Measures = { problems: {} }
  const note = (name: Name, take: (count: number, said: string) => string | undefined) => {
    const section = sections.get(name)
    const problem = section ? (problemOf(section) ?? take(section.count, section.said)) : 'no answer'
    if (problem) measures.problems[name] = problem
  }
  const byDd = (name: Name, take: (count: number, seconds: number) => void) =>
    note(name, (count, said) => {
      const seconds = secondsOf(said)
      if (!seconds) return 'dd does not say its time'
      take(count, seconds)
      return undefined
    })
  byDd('calls', (count, seconds) => {
    // One to read and one to write.
    measures.systemCallNs = (seconds * 1e9) / (2 * count)
  })
  byDd('write', (count, seconds) => {
    measures.writeBytesPerSecond = (count * block) / seconds
  })
  byDd('read', (count, seconds) => {
    measures.readBytesPerSecond = (count * block) / seconds
  })
  note('open', (count, said) => {
    const [from = 0, between = 0, to = 0] = said.split(' ').map(Number)
    const took = between - from - (to - between)
    if (!(took > 0)) return 'too fast to be measured'
    measures.openNs = (took * 1e9) / count
    return undefined
  })
  return measures
}

/** "… copied, 0.25 s, 400 MB/s" of GNU, "… copied, 0.250000 seconds, 400.0MB/s" of busybox. */
const secondsOf = (said: string): number => Number(/copied, ([\d.e+-]+) s/.exec(said)?.[1] ?? 0)

function problemOf({ code, said }: { code: number; said: string }): string | undefined {
  if (code === 0) return undefined
  if (code === 127) return 'the image has no dd'
  return said.split('\n').at(-1) || `dd ended with code ${code}`
}
