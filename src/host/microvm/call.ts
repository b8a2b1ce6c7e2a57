// What containerd's shim asks of a runtime: `runc <options> create|exec <options> <id>`, taken apart and put together again.

export interface Call {
  command: string
  id: string
  bundle?: string
  process?: string
  pidFile?: string
  /** Where the shim looks for what went wrong: one JSON object for each line. */
  log?: string
}

const withValue = new Set([
  ...['--root', '--log', '--log-format', '--bundle', '-b', '--pid-file', '--console-socket', '--process', '-p'],
  ...['--criu', '--preserve-fds', '--rootless', '--format', '--resources', '--interval', '--signal'],
])

export function parseCall(argv: string[]): Call {
  const words: string[] = []
  const options = new Map<string, string>()
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!
    const [name, value] = word.split(/=(.*)/s) as [string, string | undefined]
    if (!word.startsWith('-')) words.push(word)
    else if (value !== undefined) options.set(name, value)
    else if (withValue.has(word)) options.set(word, argv[++at] ?? '')
  }
  const [command = '', id = ''] = words
  const of = (...names: string[]) => names.map((name) => options.get(name)).find((value) => value !== undefined)
  return {
    command,
    id,
    bundle: of('--bundle', '-b'),
    process: of('--process', '-p'),
    pidFile: of('--pid-file'),
    log: of('--log'),
  }
}
