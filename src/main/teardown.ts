// `tandem down --all`: what a stopped Tandem left running is stopped, and everything outside its state directory goes.

import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { silentLogger } from '../base/log.ts'
import type { Config } from '../config.ts'
import { removeAllMachines } from '../host/machines/teardown.ts'
import { removeNetwork } from '../host/network/teardown.ts'
import { statePaths } from '../host/state.ts'
import { removeAllVolumes } from '../host/volumes/teardown.ts'
import { openEngine } from './engine.ts'

export async function removeEverything(config: Config, onStep: (step: string) => void): Promise<void> {
  const paths = statePaths(config.stateDir, config.instance)
  const machines = await removeAllMachines({ paths, instance: config.instance })
  onStep(`stopped ${machines} virtual machines`)
  const { containerd } = openEngine(paths, config.instance)
  await containerd.destroy()
  onStep('stopped containerd and its containers')
  await removeAllVolumes(paths)
  await removeNetwork({ paths, instance: config.instance, log: silentLogger })
  onStep('removed interfaces, namespaces and the nftables table')
  rmSync(dirname(paths.pid), { recursive: true, force: true })
}
