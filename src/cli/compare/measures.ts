// What is measured inside a container with what its image has, and what the answers mean. Pure.

/** A container that is there until it is taken away. */
export const idle = ['sh', '-c', 'exec sleep 100000']

/** The first thing that a container is asked; only a shell is needed for an answer. */
export const question = ['sh', '-c', 'IFS= read -r version < /proc/version; echo "$version"; uname -r']

/** Where the Pod has a volume: an image's own file system may be read-only. */
export const scratch = '/tandem-compare'

/**
 * Each measure is repeated, longer, until it takes a third of a second or is as long as it may be; then the same is done
 * with nothing to do, for what the shell and the start of dd take. The clock is /proc/uptime: not every dd tells its time.
 * "1$number": what begins with 0 would be octal.
 */
const script = `
LC_ALL=C; export LC_ALL
file=${scratch}/measured
: > $file
clock() { read -r now rest < /proc/uptime; }
soon() { [ $((1\${now%.*}\${now#*.} - 1\${from%.*}\${from#*.})) -lt 30 ]; }
dds() {
  name=$1 n=$2 most=$3 turns=1; shift 3
  while :; do
    clock; from=$now i=0
    while [ $i -lt $turns ]; do
      i=$((i + 1))
      said=$(dd "$@" count=$n 2>&1) || { echo "@ $name 0 $?"; echo "$said"; return; }
    done
    clock
    soon || break
    if [ $n -lt $most ]; then n=$((n * 4)); elif [ $turns -lt 16 ]; then turns=$((turns * 2)); else break; fi
  done
  between=$now i=0
  while [ $i -lt $turns ]; do i=$((i + 1)); said=$(dd "$@" count=0 2>&1); done
  clock
  echo "@ $name $((n * turns)) 0"; echo "$from $between $now"
}
dds calls 2000 30000000 if=/dev/zero of=/dev/null bs=1
dds write 1024 16384 if=/dev/zero of=$file bs=4k conv=notrunc
dds read 1024 $n if=$file of=/dev/null bs=4k
n=100
while :; do
  clock; from=$now i=0
  while [ $i -lt $n ]; do i=$((i + 1)); : < $file; done
  clock
  soon && [ $n -lt 200000 ] || break
  n=$((n * 4))
done
between=$now i=0
while [ $i -lt $n ]; do i=$((i + 1)); : ; done
clock
echo "@ open $n 0"; echo "$from $between $now"
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

/** By its name: what one of that many takes, in seconds. */
const meanings: Record<Name, (seconds: number) => Omit<Measures, 'problems'>> = {
  // One to read and one to write.
  calls: (seconds) => ({ systemCallNs: (seconds * 1e9) / 2 }),
  write: (seconds) => ({ writeBytesPerSecond: block / seconds }),
  read: (seconds) => ({ readBytesPerSecond: block / seconds }),
  open: (seconds) => ({ openNs: seconds * 1e9 }),
}

export function parseMeasures(output: string): Measures {
  const measures: Measures = { problems: {} }
  const parts = output.split(/^@ (\w+) (\d+) (\d+)\n/m)
  for (const name of measureNames) {
    const at = parts.indexOf(name)
    const [count, code, said = ''] = parts.slice(at + 1)
    const seconds = secondsOf(said) / Number(count)
    if (at < 0) measures.problems[name] = 'no answer'
    else if (code !== '0') measures.problems[name] = problemOf(Number(code), said.trim())
    else if (!(seconds > 0)) measures.problems[name] = 'too fast to be measured'
    else Object.assign(measures, meanings[name](seconds))
  }
  return measures
}

/** The first part, without what the second took. */
function secondsOf(said: string): number {
  const [from = 0, between = 0, to = 0] = said.split(' ').map(Number)
  return between - from - (to - between)
}

const problemOf = (code: number, said: string): string =>
  code === 127 ? 'the image has no dd' : said.split('\n').at(-1) || `dd ended with code ${code}`
