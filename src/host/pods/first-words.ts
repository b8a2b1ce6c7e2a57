// A short command has often ended before its client is attached: `kubectl run -i --rm … -- echo hello`.

import type { ExecSession } from '../../api/streams.ts'

type Output = AsyncIterable<Uint8Array>

/**
 * A session in which the container said nothing before it ended gets what its log has of each stream: no client has
 * had that. An attach that failed gets nothing, because kubectl then reads the log itself.
 */
export function withFirstWords(session: ExecSession, logOf: (stream: 'stdout' | 'stderr') => Output): ExecSession {
  async function* orLog(output: Output, log: () => Output): AsyncGenerator<Uint8Array> {
    let isSilent = true
    for await (const chunk of output) {
      isSilent &&= chunk.length === 0
      yield chunk
    }
    if (isSilent && (await session.exit).kind === 'exited') yield* log()
  }
  const { stdout, stderr } = session
  return {
    ...session,
    ...(stdout && { stdout: orLog(stdout, () => logOf('stdout')) }),
    ...(stderr && { stderr: orLog(stderr, () => logOf('stderr')) }),
  }
}
