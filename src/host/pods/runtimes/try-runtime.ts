// Whether a runtime can really run something here: a program of a few bytes in a bundle of its own, with a control group,
// as a container has them. Programs that are installed and do not work on this kernel are found out before a Pod is.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../exec.ts'
import { staticProgram } from '../../images/build/pause-program.ts'
import { removeCgroups } from '../cgroups.ts'

const exitCode = 42
const timeoutMs = 60_000

// biome-ignore format: one instruction per line
const exits = [
  0x6a, exitCode, 0x5f, // push 42; pop rdi
  0x6a, 0x3c, 0x58,     // push 60; pop rax    exit
  0x0f, 0x05,           // syscall
]

const bundle = (cgroup: string) => ({
  ociVersion: '1.0.2',
  process: { args: ['/check'], cwd: '/', env: [], user: { uid: 65534, gid: 65534 }, noNewPrivileges: true },
  root: { path: 'rootfs', readonly: true },
  hostname: 'check',
  mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
  linux: {
    cgroupsPath: cgroup,
    namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })),
  },
})

/** Undefined when it works; else what it said. `program`: what containerd's runc shim would call. */
export async function tryRuntime(program: string, directory: string, cgroup: string): Promise<string | undefined> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const folder = await mkdtemp(join(directory, 'try-'))
  const root = join(folder, 'rootfs')
  const id = folder.split('/').at(-1)!
  try {
    for (const name of ['proc', 'dev', 'sys']) await mkdir(join(root, name), { recursive: true, mode: 0o755 })
    await writeFile(join(root, 'check'), staticProgram(exits), { mode: 0o755 })
    await writeFile(join(folder, 'config.json'), JSON.stringify(bundle(`${cgroup}/${id}`)))
    const state = ['--root', join(folder, 'state'), '--log', join(folder, 'log')]
    const argv = [program, ...state, 'run', '--bundle', folder, id]
    const { code, stderr, stdout } = await run(argv, { allowFailure: true, timeoutMs })
    if (code === exitCode) return undefined
    await run([program, ...state, 'delete', '--force', id], { allowFailure: true, timeoutMs }).catch(() => {})
    return `${stderr}${stdout}`.trim().split('\n').at(-1) || `it ended with code ${code} instead of ${exitCode}`
  } catch (error) {
    return (error as Error).message
  } finally {
    await removeCgroups(`${cgroup}/${id}`)
    await rm(folder, { recursive: true, force: true })
  }
}
