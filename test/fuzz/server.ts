// The server that is attacked, in a process of its own: everything but a real host, over the durable store. Tells its
// parent how it is.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../src/base/log.ts'
import { startDev } from '../../src/main/dev.ts'

export interface Health {
  /** Longest time that one turn of the event loop kept the processor to itself, ms, since it was last asked. */
  stallMs: number
  rssMB: number
  polluted: boolean
}

const tickMs = 20
let stallMs = 0
let before = { at: performance.now(), cpu: threadCpu() }

/** A late timer is only a stall when this thread was working meanwhile: on a busy machine others may have been. */
setInterval(() => {
  const now = { at: performance.now(), cpu: threadCpu() }
  stallMs = Math.max(stallMs, Math.min(now.at - before.at - tickMs, now.cpu - before.cpu))
  before = now
}, tickMs)

function threadCpu(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

const folderOfProfiles = process.env.FUZZ_PROFILES
const longMs = 150
const profiler = folderOfProfiles ? new Session() : undefined
if (profiler) {
  profiler.connect()
  await profiler.post('Profiler.enable')
  await profiler.post('Profiler.setSamplingInterval', { interval: 2_000 })
  await profiler.post('Profiler.start')
}

async function nextProfile(worstMs: number): Promise<void> {
  const { profile } = await profiler!.post('Profiler.stop')
  await profiler!.post('Profiler.start')
  if (worstMs > longMs)
    writeFileSync(join(folderOfProfiles!, `${Date.now()}-${worstMs}ms.cpuprofile`), JSON.stringify(profile))
  // The profiler's own work is no turn of the server's.
  stallMs = 0
  before = { at: performance.now(), cpu: threadCpu() }
}

process.on('message', () => {
  const polluted = Object.keys(Object.prototype).length > 0 || 'polluted' in {}
  const health: Health = {
    stallMs: Math.round(stallMs),
    rssMB: Math.round(process.memoryUsage().rss / 2 ** 20),
    polluted,
  }
  stallMs = 0
  process.send!(health)
  if (profiler) void nextProfile(health.stallMs)
})

const port = Number(process.argv[2])
const log = createLogger(
  (record) => process.stderr.write(`${record.component}: ${record.message} ${JSON.stringify(record.fields)}\n`),
  { level: 'error' },
)
const folder = mkdtempSync(join(tmpdir(), 'tandem-fuzz-'))
const dev = await startDev({ listen: { host: '127.0.0.1', port }, store: join(folder, 'store.db') }, log)
// Nobody has asked anything yet: what the start took is no stall.
stallMs = 0
before = { at: performance.now(), cpu: threadCpu() }
process.send!({ kubeconfig: dev.kubeconfig })
process.once('disconnect', async () => {
  await dev.stop()
  rmSync(folder, { recursive: true, force: true })
  process.exit(0)
})
