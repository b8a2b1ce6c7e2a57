// The program: builds the rooms, ties them, starts them. Commands load only what they need, so that asking is fast.

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createLogger, type Logger, textLine } from './base/log.ts'
import { runCli } from './cli/cli.ts'
import type { Tools } from './cli/tools.ts'

const home = resolve(import.meta.dirname, '..')
const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string }

function logger(): Logger {
  // A log on a full disk loses lines; Tandem goes on.
  process.stderr.on('error', () => {})
  return createLogger((record) => void process.stderr.write(`${textLine(record)}\n`), {
    level: process.env.TANDEM_DEBUG ? 'debug' : 'info',
  })
}

const tools: Tools = {
  home,
  version,
  async serve(config) {
    const { startDaemon } = await import('./main/daemon.ts')
    const daemon = await startDaemon(config, logger())
    // `up` waits for this word.
    if (process.connected) process.send?.('ready', () => {})
    await untilAskedToStop()
    await daemon.stop()
    process.exit(0)
  },
  async dev(options) {
    const { startDev } = await import('./main/dev.ts')
    const dev = await startDev(options, logger())
    process.stdout.write(`export KUBECONFIG=${dev.kubeconfig}\n`)
    await untilAskedToStop()
    await dev.stop()
    process.exit(0)
  },
  async removeEverything(config, onStep) {
    const { removeEverything } = await import('./main/teardown.ts')
    await removeEverything(config, onStep)
  },
  async openImages(config) {
    const { openImages } = await import('./main/image-tools.ts')
    return await openImages(config)
  },
  async buildImage(recipe, output, onProgress) {
    const { buildOnce } = await import('./main/image-tools.ts')
    return await buildOnce(recipe, output, onProgress)
  },
}

const untilAskedToStop = (): Promise<unknown> =>
  new Promise((done) => {
    process.once('SIGTERM', done)
    process.once('SIGINT', done)
  })

await runCli(process.argv.slice(2), tools)
