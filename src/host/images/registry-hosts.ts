// containerd's settings per registry (hosts.toml): a registry on this machine's loopback is spoken to without TLS, as
// Docker does; all others need TLS, and what an administrator wrote is left alone.

import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** "127.0.0.1:5000/team/app:1" → "127.0.0.1:5000" */
export const registryOf = (imageName: string): string => imageName.slice(0, imageName.indexOf('/'))

export function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '')
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** @param directory the first of containerd's registry config_path directories */
export async function allowPlainHttp(directory: string, registry: string): Promise<void> {
  if (!isLoopback(registry)) return
  // containerd's name of the folder: "127.0.0.1_5000_"
  const folder = join(directory, registry.replace(/:(\d+)$/, '_$1_'))
  const file = join(folder, 'hosts.toml')
  if (await stat(file).catch(() => undefined)) return
  await mkdir(folder, { recursive: true })
  const url = `http://${registry}`
  await writeFile(file, `server = "${url}"\n\n[host."${url}"]\n  capabilities = ["pull", "resolve"]\n`)
}
