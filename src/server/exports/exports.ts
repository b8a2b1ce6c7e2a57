// The door through which exported disks leave: on the API's own addresses, beside the API. Who comes has no identity,
// only the export's token (KubeVirt 1.9, pkg/storage/export/virt-exportserver).

import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ClaimFile, OpenClaim, OpenFile } from '../../api/claim-file.ts'
import { isApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { Logger } from '../../base/log.ts'
import type { Lookup } from '../admission/lookup.ts'
import type { Outgoing } from '../send.ts'
import { yaml } from '../yaml.ts'
import { type ExportAddress, exportAddress, namelessPath } from './address.ts'
import { machineManifests, tokenManifest } from './manifests.ts'

export interface ExportsOptions {
  lookup: Pick<Lookup, 'get' | 'list'>
  open: OpenClaim
  /** A machine with its instance type written out. */
  expand(machine: StoredObject): StoredObject
  log: Logger
}

type Incoming = IncomingMessage | Http2ServerRequest

const group = 'export.kubevirt.io'
const plural = 'virtualmachineexports'
const tokenHeader = 'x-kubevirt-export-token'
/** How often a download looks whether its export still stands. */
const lookMs = 500

/** Answers requests for exports; false for every other one. */
export function createExports(options: ExportsOptions): (request: Incoming, response: Outgoing) => boolean {
  return (request, response) => {
    const address = exportAddress(request.url ?? '', hostOf(request)) ?? addressByToken(options, request)
    if (!address) return false
    response.on('error', () => {})
    answer(options, address, request, response).catch((error: unknown) => {
      if (!isApiError(error)) options.log.warn('an export ended early', { ...address, error })
      if (response.headersSent) response.destroy()
      else end(response, isApiError(error) ? error.code : 500)
    })
    return true
  }
}

const hostOf = (request: Incoming): string => String(request.headers[':authority'] ?? request.headers.host ?? '')

function end(response: Outgoing, status: number): void {
  response.writeHead(status, { 'content-length': '0' })
  response.end()
}

/** As virtctl comes through a forwarded port, or with a --service-url of one's own. */
function addressByToken(options: ExportsOptions, request: Incoming): ExportAddress | undefined {
  const path = namelessPath(request.url ?? '')
  const tokens = path ? given(request) : []
  if (!path || tokens.length === 0) return undefined
  const holds = options.lookup.list(group, plural).filter((owner) => {
    const token = tokenOf(options, owner)
    return token !== undefined && tokens.some((one) => isSame(one, token))
  })
  // Whoever gives several exports one token means the one that has what is asked for.
  const found = holds.find((owner) => offered(owner).some((one) => one === path || isBelow(path, one))) ?? holds[0]
  return found && { namespace: found.metadata.namespace!, name: found.metadata.name, by: 'name', path }
}

/** The paths of an export's own links. */
function offered({ status }: StoredObject): string[] {
  const { volumes = [], manifests = [] } = status?.links?.internal ?? {}
  const links: { url: string }[] = [...volumes.flatMap((volume: any) => volume.formats), ...manifests]
  return links.map(({ url }) => new URL(url).pathname)
}

const isBelow = (path: string, directory: string): boolean => directory.endsWith('/') && path.startsWith(directory)

export function findExport(lookup: Pick<Lookup, 'get' | 'list'>, at: Omit<ExportAddress, 'path'>) {
  if (at.by === 'name') return lookup.get(group, plural, at.namespace, at.name)
  return lookup.list(group, plural, at.namespace).find(({ status }) => status?.serviceName === at.name)
}

async function answer(
  options: ExportsOptions,
  address: ExportAddress,
  request: Incoming,
  response: Outgoing,
): Promise<void> {
  const owner = findExport(options.lookup, address)
  const token = owner && tokenOf(options, owner)
  // Whoever has no token learns nothing, not even which exports there are.
  if (!owner || !token || !given(request).some((one) => isSame(one, token))) {
    end(response, 401)
    return
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    end(response, 400)
    return
  }
  if (owner.status?.phase !== 'Ready') {
    end(response, 503)
    return
  }
  const [, first = '', second = '', ...rest] = decodeURIComponent(address.path).split('/')
  if (second === 'manifests')
    return manifest(options, { owner, token, side: first, what: rest[0] ?? '' }, request, response)
  const file = first === 'volumes' ? fileOf(owner, second, rest) : undefined
  if (!file) {
    end(response, 404)
    return
  }
  const opened = await options.open({ namespace: owner.metadata.namespace!, name: second }, file)
  if (opened.kind === 'directory') return listing(opened.names, request, response)
  const stands = () => findExport(options.lookup, address)?.status?.phase === 'Ready'
  await send(opened, file.form, request, response, stands)
}

function tokenOf({ lookup }: ExportsOptions, owner: StoredObject): string | undefined {
  const name = owner.status?.tokenSecretRef
  const coded = name && lookup.get('', 'secrets', owner.metadata.namespace!, name)?.data?.token
  return typeof coded === 'string' ? Buffer.from(coded, 'base64').toString() || undefined : undefined
}

function given(request: Incoming): string[] {
  const url = request.url ?? ''
  const mark = url.indexOf('?')
  const query = mark < 0 ? null : new URLSearchParams(url.slice(mark + 1)).get(tokenHeader)
  return [request.headers[tokenHeader], query].filter((one) => typeof one === 'string')
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Only what the export's own links name. */
function fileOf(owner: StoredObject, claim: string, rest: string[]): ClaimFile | undefined {
  const volumes: any[] = owner.status?.links?.internal?.volumes ?? []
  const offers = (end: string) =>
    volumes.some(({ formats }) => formats.some(({ url }: any) => url.endsWith(`/volumes/${claim}/${end}`)))
  const [name = ''] = rest
  if (name === 'disk.img' && offers(name)) return { form: 'disk' }
  if (name === 'disk.img.gz' && offers(name)) return { form: 'disk.gz' }
  if (name === 'disk.tar.gz' && offers(name)) return { form: 'tar.gz' }
  if (name === 'dir' && offers('dir/')) return { form: 'file', path: rest.slice(1).join('/') }
  return undefined
}

interface ManifestRequest {
  owner: StoredObject
  token: string
  side: string
  what: string
}

function manifest(
  { lookup, expand }: ExportsOptions,
  { owner, token, side, what }: ManifestRequest,
  request: Incoming,
  response: Outgoing,
): void {
  if (side !== 'internal' && side !== 'external') {
    end(response, 404)
    return
  }
  const namespace = owner.metadata.namespace!
  let items: object[]
  if (what === 'secret') items = [tokenManifest(owner, token)]
  else {
    const name = owner.status?.virtualMachineName
    const found = what === 'all' && name ? machineOf(lookup, owner, namespace, name) : undefined
    if (!found) {
      end(response, 404)
      return
    }
    const claims = new Map(
      lookup.list('', 'persistentvolumeclaims', namespace).map((claim) => [claim.metadata.name, claim]),
    )
    items = machineManifests({ owner, machine: expand(found), claims, side })
  }
  const asYaml = request.headers.accept === 'application/yaml'
  const text = asYaml
    ? items.map((item) => `${yaml().stringify(item)}---\n`).join('')
    : JSON.stringify({ kind: 'List', apiVersion: 'v1', metadata: {}, items }, null, 4)
  response.writeHead(200, {
    'content-type': asYaml ? 'application/yaml' : 'application/json',
    'content-length': String(Buffer.byteLength(text)),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}

/** As it is, or as it was when the snapshot was taken. */
function machineOf(lookup: ExportsOptions['lookup'], owner: StoredObject, namespace: string, name: string) {
  const { source } = owner.spec
  if (source.kind !== 'VirtualMachineSnapshot') return lookup.get('kubevirt.io', 'virtualmachines', namespace, name)
  const snapshot = lookup.get('snapshot.kubevirt.io', 'virtualmachinesnapshots', namespace, source.name)
  const contentName = snapshot?.status?.virtualMachineSnapshotContentName
  const content =
    contentName && lookup.get('snapshot.kubevirt.io', 'virtualmachinesnapshotcontents', namespace, contentName)
  return content ? (content.spec.source.virtualMachine as StoredObject) : undefined
}

function listing(names: string[], request: Incoming, response: Outgoing): void {
  const escaped = (text: string) =>
    text.replace(/[&<>"]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;' })[letter]!)
  const lines = names.map((name) => `<a href="${encodeURIComponent(name).replace('%2F', '/')}">${escaped(name)}</a>\n`)
  const text = `<!doctype html>\n<pre>\n${lines.join('')}</pre>\n`
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}

async function send(
  opened: OpenFile,
  form: ClaimFile['form'],
  request: Incoming,
  response: Outgoing,
  stands: () => boolean,
): Promise<void> {
  const type = form === 'disk' || form === 'file' ? 'application/octet-stream' : 'application/gzip'
  try {
    const headers: Record<string, string> = { 'content-type': type }
    let range: { start: number; end: number } | undefined
    if (opened.size !== undefined) {
      headers['accept-ranges'] = 'bytes'
      const asked = rangeOf(request.headers.range, opened.size)
      if (asked === 'unsatisfiable') {
        response.writeHead(416, { 'content-range': `bytes */${opened.size}` })
        response.end()
        return
      }
      range = asked
      headers['content-length'] = String(range ? range.end - range.start + 1 : opened.size)
      if (range) headers['content-range'] = `bytes ${range.start}-${range.end}/${opened.size}`
    }
    response.writeHead(range ? 206 : 200, headers)
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    const gone = new AbortController()
    const look = setInterval(() => {
      if (!stands()) gone.abort(new Error('the export ended, or its disks are in use again'))
    }, lookMs)
    try {
      await pipeline(Readable.from(opened.read(range?.start, range?.end), { objectMode: false }), response, {
        signal: gone.signal,
      })
    } finally {
      clearInterval(look)
    }
  } finally {
    await opened.close()
  }
}

/** One range, as downloads that are resumed ask for; anything else gets the whole. */
export function rangeOf(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (!match || (!match[1] && !match[2])) return undefined
  if (!match[1]) {
    const length = Math.min(Number(match[2]), size)
    return length > 0 ? { start: size - length, end: size - 1 } : 'unsatisfiable'
  }
  const start = Number(match[1])
  const last = match[2] ? Math.min(Number(match[2]), size - 1) : size - 1
  return start < size && start <= last ? { start, end: last } : 'unsatisfiable'
}
