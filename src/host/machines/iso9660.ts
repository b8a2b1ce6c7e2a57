// Writes a small read-only ISO 9660 image with Joliet and Rock Ridge names, entirely in memory: the disk that cloud-init,
// and configMap and secret disks, are read from. Needs no mount, no program and no root. ECMA-119; RRIP 1.12 for names.

const sector = 2048

export interface IsoFile {
  /** "user-data" or "openstack/latest/meta_data.json" */
  path: string
  content: Uint8Array
}

interface Directory {
  name: string
  parent: Directory
  directories: Directory[]
  files: { name: string; content: Uint8Array; extent: number }[]
  /** Position in the path table, from 1. */
  number: number
  extent: number
  size: number
}

/** Names in one of the two trees: Rock Ridge beside 8.3 names, or Joliet's UCS-2. */
type Naming = 'rockridge' | 'joliet'

/** @throws Error for a volume name, path or size that the format cannot hold. */
export function isoImage(volume: string, files: IsoFile[], time = new Date(0)): Buffer {
  if (!/^[\x20-\x7e]{1,32}$/.test(volume) || volume.length > 16)
    throw new Error(`volume label ${JSON.stringify(volume)}: at most 16 printable ASCII characters`)
  const primary = tree(files)
  const joliet = tree(files)
  // 16 sectors of system area, three descriptors, four path tables, the directories of both trees, the contents.
  const tables = [tableSize(primary, 'rockridge'), tableSize(joliet, 'joliet')] as const
  let next = 19
  const tableAt = tables.flatMap((size) => [claim(size), claim(size)])
  for (const [all, naming] of [
    [primary, 'rockridge'],
    [joliet, 'joliet'],
  ] as const)
    for (const directory of all) {
      directory.size = sectors(records(directory, naming, time).length) * sector
      directory.extent = claim(directory.size)
    }
  for (const [index, directory] of primary.entries())
    for (const [position, file] of directory.files.entries()) {
      file.extent = file.content.length ? claim(file.content.length) : 0
      joliet[index]!.files[position]!.extent = file.extent
    }
  const image = Buffer.alloc(next * sector)
  const put = (at: number, bytes: Uint8Array) => image.set(bytes, at * sector)
  put(16, descriptor(1, volume, primary[0]!, next, tables[0], tableAt[0]!, tableAt[1]!, time))
  put(17, descriptor(2, volume, joliet[0]!, next, tables[1], tableAt[2]!, tableAt[3]!, time))
  put(18, Buffer.from('\xffCD001\x01', 'latin1'))
  for (const [index, [all, naming]] of (
    [
      [primary, 'rockridge'],
      [joliet, 'joliet'],
    ] as const
  ).entries()) {
    put(tableAt[index * 2]!, pathTable(all, naming, false))
    put(tableAt[index * 2 + 1]!, pathTable(all, naming, true))
    for (const directory of all) put(directory.extent, records(directory, naming, time))
  }
  for (const directory of primary) for (const file of directory.files) put(file.extent, file.content)
  return image

  function claim(bytes: number): number {
    const at = next
    next += sectors(bytes)
    return at
  }
}

const sectors = (bytes: number) => Math.ceil(bytes / sector)

/** The directories in path table order (breadth first), the root at the head. */
function tree(files: IsoFile[]): Directory[] {
  const root = directoryNamed('')
  for (const file of files) {
    const parts = file.path.split('/')
    const name = parts.pop()!
    let at = root
    for (const part of [...parts, name])
      if (!/^[A-Za-z0-9._-]{1,100}$/.test(part) || part === '.' || part === '..')
        throw new Error(`${JSON.stringify(file.path)} cannot be a file name on this disk`)
    for (const part of parts) {
      const known = at.directories.find((one) => one.name === part)
      const below = known ?? directoryNamed(part, at)
      if (!known) at.directories.push(below)
      at = below
    }
    at.files.push({ name, content: file.content, extent: 0 })
  }
  const all = [root]
  for (const directory of all) {
    directory.number = all.indexOf(directory) + 1
    directory.directories.sort((a, b) => (a.name < b.name ? -1 : 1))
    all.push(...directory.directories)
  }
  return all
}

function directoryNamed(name: string, parent?: Directory): Directory {
  const directory = { name, directories: [], files: [], number: 0, extent: 0, size: 0 } as unknown as Directory
  directory.parent = parent ?? directory
  return directory
}

/** "FILE0001.;1": the 8.3 name is for nobody; the real one stands in the NM entry beside it. */
const plainName = (index: number, isDirectory: boolean) =>
  Buffer.from(isDirectory ? `D${String(index).padStart(7, '0')}` : `F${String(index).padStart(7, '0')}.;1`, 'latin1')

const ucs2 = (text: string) => Buffer.from(text, 'utf16le').swap16()

function records(directory: Directory, naming: Naming, time: Date): Buffer {
  const self = Buffer.from([0])
  const up = Buffer.from([1])
  const rock = naming === 'rockridge'
  const out: Buffer[] = [
    record(self, directory.extent, directory.size, true, time, rock ? [...rockRidgeStart(directory), px(true)] : []),
    record(up, directory.parent.extent, directory.parent.size, true, time, rock ? [px(true)] : []),
  ]
  const entries = [
    ...directory.directories.map((one) => ({ ...one, isDirectory: true })),
    ...directory.files.map((one) => ({ ...one, size: one.content.length, isDirectory: false })),
  ]
  // Joliet orders by its names; the 8.3 names are ordered by how they are counted.
  if (!rock) entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const [index, entry] of entries.entries()) {
    const name = rock ? plainName(index, entry.isDirectory) : ucs2(entry.name)
    const extra = rock ? [px(entry.isDirectory), nm(entry.name)] : []
    out.push(record(name, entry.extent, entry.size, entry.isDirectory, time, extra))
  }
  return inSectors(out)
}

/** A record may not cross a sector's end. */
function inSectors(all: Buffer[]): Buffer {
  const parts: Buffer[] = []
  let used = 0
  for (const one of all) {
    const rest = sector - (used % sector)
    if (one.length > rest) {
      parts.push(Buffer.alloc(rest))
      used += rest
    }
    parts.push(one)
    used += one.length
  }
  return Buffer.concat(parts)
}

function record(name: Buffer, extent: number, size: number, isDirectory: boolean, time: Date, extra: Buffer[]): Buffer {
  const head = Buffer.alloc(33 + name.length + (name.length % 2 ? 0 : 1))
  both32(head, 2, extent)
  both32(head, 10, size)
  head.set(
    [time.getUTCFullYear() - 1900, time.getUTCMonth() + 1, time.getUTCDate(), time.getUTCHours(), time.getUTCMinutes()],
    18,
  )
  head[25] = isDirectory ? 2 : 0
  both16(head, 28, 1)
  head[32] = name.length
  head.set(name, 33)
  const whole = Buffer.concat([head, ...extra])
  const even = whole.length % 2 ? Buffer.concat([whole, Buffer.alloc(1)]) : whole
  even[0] = even.length
  return even
}

/** SP in the root's own record says that Rock Ridge follows; ER names the extension. */
function rockRidgeStart(directory: Directory): Buffer[] {
  if (directory.parent !== directory) return []
  const id = 'RRIP_1991A'
  const er = Buffer.concat([Buffer.from('ER'), Buffer.from([8 + id.length, 1, id.length, 0, 0, 1]), Buffer.from(id)])
  return [Buffer.from([0x53, 0x50, 7, 1, 0xbe, 0xef, 0]), er]
}

/** Mode and owner: root's, readable by all. */
function px(isDirectory: boolean): Buffer {
  const entry = Buffer.alloc(36)
  entry.set([0x50, 0x58, 36, 1])
  both32(entry, 4, isDirectory ? 0o040555 : 0o100444)
  both32(entry, 12, isDirectory ? 2 : 1)
  return entry
}

const nm = (name: string) =>
  Buffer.concat([Buffer.from([0x4e, 0x4d, 5 + name.length, 1, 0]), Buffer.from(name, 'latin1')])

function descriptor(
  type: 1 | 2,
  volume: string,
  root: Directory,
  size: number,
  tableBytes: number,
  little: number,
  big: number,
  time: Date,
): Buffer {
  const out = Buffer.alloc(sector)
  out[0] = type
  out.write('CD001\x01', 1, 'latin1')
  const text = (at: number, length: number, value: string) => {
    const space = type === 2 ? ucs2(' '.repeat(length / 2)) : Buffer.alloc(length, ' ')
    out.set(space, at)
    out.set((type === 2 ? ucs2(value) : Buffer.from(value, 'latin1')).subarray(0, length), at)
  }
  text(8, 32, '')
  text(40, 32, volume)
  both32(out, 80, size)
  // UCS-2 level 3: what makes a supplementary descriptor Joliet.
  if (type === 2) out.write('%/E', 88, 'latin1')
  both16(out, 120, 1)
  both16(out, 124, 1)
  both16(out, 128, sector)
  both32(out, 132, tableBytes)
  out.writeUInt32LE(little, 140)
  out.writeUInt32BE(big, 148)
  out.set(record(Buffer.from([0]), root.extent, root.size, true, time, []), 156)
  for (const at of [190, 318, 446, 574]) text(at, 128, '')
  for (const at of [702, 739, 776]) text(at, 37, '')
  const stamp = `${time.toISOString().replace(/\D/g, '').slice(0, 14)}00`
  for (const at of [813, 830, 847, 864]) out.write(at === 847 ? '0'.repeat(16) : stamp, at, 'latin1')
  out[881] = 1
  return out
}

function pathTable(all: Directory[], naming: Naming, bigEndian: boolean): Buffer {
  return Buffer.concat(
    all.map((directory) => {
      const name = tableName(directory, naming)
      const entry = Buffer.alloc(8 + name.length + (name.length % 2))
      entry[0] = name.length
      if (bigEndian) {
        entry.writeUInt32BE(directory.extent, 2)
        entry.writeUInt16BE(directory.parent.number, 6)
      } else {
        entry.writeUInt32LE(directory.extent, 2)
        entry.writeUInt16LE(directory.parent.number, 6)
      }
      entry.set(name, 8)
      return entry
    }),
  )
}

function tableName(directory: Directory, naming: Naming): Buffer {
  if (directory.parent === directory) return Buffer.from([0])
  return naming === 'joliet' ? ucs2(directory.name) : plainName(directory.parent.directories.indexOf(directory), true)
}

const tableSize = (all: Directory[], naming: Naming) => pathTable(all, naming, false).length

/** Both byte orders, one after the other, as ISO 9660 stores its numbers. */
function both32(out: Buffer, at: number, value: number): void {
  out.writeUInt32LE(value, at)
  out.writeUInt32BE(value, at + 4)
}

function both16(out: Buffer, at: number, value: number): void {
  out.writeUInt16LE(value, at)
  out.writeUInt16BE(value, at + 2)
}
