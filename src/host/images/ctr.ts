// What CRI cannot do goes through containerd's own client program: reading content, importing archives.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { run } from '../exec.ts'
import {
  type Descriptor,
  forThisMachine,
  type Manifest,
  ManifestError,
  manifestSizeLimit,
  parseManifest,
} from './manifest.ts'

export interface Ctr {
  /** The image's manifest digest; undefined when there is no image of exactly this name. */
  target(name: string): Promise<string | undefined>
  manifest(digest: string): Promise<Manifest>
  /** The bytes of one blob. Ends with an error when containerd has not got it. */
  blob(descriptor: Descriptor): Readable
  /** @param archive an uncompressed OCI layout or docker-archive tar */
  import(archive: AsyncIterable<Uint8Array>, options: { unpack: boolean }): Promise<void>
  removeName(name: string): Promise<void>
  /** Frees what belongs to no image, now: by itself containerd waits for a hundred changes. */
  collectGarbage(): Promise<void>
}

const namespace = 'k8s.io'

export function createCtr(socket: string): Ctr {
  const argv = (...args: string[]) => ['ctr', '--address', socket, '--namespace', namespace, ...args]

  async function readAll(digest: string): Promise<Buffer> {
    const { stdout } = await run(argv('content', 'get', digest))
    if (stdout.length > manifestSizeLimit) throw new ManifestError(`${digest} is too large for a manifest`)
    return Buffer.from(stdout)
  }

  async function manifest(digest: string, mediaType?: string, depth = 0): Promise<Manifest> {
    const parsed = parseManifest(await readAll(digest), mediaType)
    if ('manifest' in parsed) return parsed.manifest
    const fitting = forThisMachine(parsed.index)
    if (!fitting || depth > 1) throw new ManifestError('the image has no variant for this machine’s architecture')
    return manifest(fitting.digest, fitting.mediaType, depth + 1)
  }

  return {
    async target(name) {
      const { stdout } = await run(argv('images', 'list', `name==${name}`))
      return stdout
        .split('\n')
        .slice(1)
        .map((line) => line.split(/\s+/))
        .find(([reference]) => reference === name)?.[2]
    },
    manifest: (digest) => manifest(digest),
    blob: ({ digest }) => outputOf(argv('content', 'get', digest)),
    async import(archive, { unpack }) {
      const platform = ['--platform', `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`]
      await inputTo(argv('images', 'import', ...(unpack ? platform : ['--no-unpack', ...platform]), '-'), archive)
    },
    async removeName(name) {
      await run(argv('images', 'remove', '--sync', name))
    },
    async collectGarbage() {
      const lease = `tandem-${randomUUID()}`
      await run(argv('leases', 'create', '--id', lease))
      await run(argv('leases', 'delete', '--sync', lease))
    },
  }
}

/** Standard output as a stream that fails when the program does; ending the stream early ends the program. */
function outputOf(argv: string[]): Readable {
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  const complaint = collectErrors(child)
  const output = new PassThrough()
  // The end of the output is no proof that all of it came: only the exit code is.
  child.stdout.pipe(output, { end: false })
  child.on('error', (error) => output.destroy(error))
  child.on('close', (code) => {
    if (code === 0) output.end()
    else output.destroy(new Error(complaint() || `${argv[0]} ended with ${code}`))
  })
  output.on('close', () => child.kill())
  return output
}

async function inputTo(argv: string[], input: AsyncIterable<Uint8Array>): Promise<void> {
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'ignore', 'pipe'] })
  const complaint = collectErrors(child)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const [sent, code] = await Promise.allSettled([pipeline(input, child.stdin as Writable), ended])
  if (code.status === 'rejected') throw code.reason
  if (code.value !== 0) throw new Error(complaint() || `${argv[0]} ended with ${code.value}`)
  if (sent.status === 'rejected') throw sent.reason
}

function collectErrors(child: ChildProcessByStdio<Writable | null, Readable | null, Readable>): () => string {
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-4096)
  })
  return () =>
    text
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^ctr: /, '') ?? ''
}
