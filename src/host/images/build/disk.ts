// A bootable disk image from a directory tree, without loop devices or mounts: GPT, a BIOS boot partition and an EFI
// system partition with GRUB in each, and an ext4 root that is last, so that cloud-init can grow it.

import { createHash } from 'node:crypto'
import { mkdir, open, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../exec.ts'
import { installBiosCore, makeEfiCore } from './boot-loader.ts'
import { settleTimes } from './ext4-times.ts'
import { settleFatTimes } from './fat-times.ts'

const sectorSize = 512
const mebibyte = 1024 * 1024
const biosPartition = { firstSector: 2048, sectors: 2048 }
const efiPartition = { firstSector: 4096, sectors: 4 * 2048 }
const rootFirstSector = efiPartition.firstSector + efiPartition.sectors
/** The backup partition table takes the end of the disk. */
const tailSectors = 2048

export interface DiskOptions {
  /** Directory that becomes the root file system; /boot/grub/grub.cfg is in it already. */
  tree: string
  scratch: string
  output: string
  sizeBytes: number
  format: 'qcow2' | 'raw'
  compress: boolean
  epoch: number
  /** What the UUIDs are made from: the same image has the same. */
  identity: string
  onProgress: (line: string) => void
}

/** A UUID that is always the same for the same text (RFC 9562 version 8). */
export function stableUuid(text: string): string {
  const hash = createHash('sha256').update(text).digest()
  hash[6] = (hash[6]! & 0x0f) | 0x80
  hash[8] = (hash[8]! & 0x3f) | 0x80
  const hex = hash.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}

export const rootUuidOf = (identity: string) => stableUuid(`${identity}/root`)

export async function makeDisk(options: DiskOptions): Promise<void> {
  const { scratch, identity, onProgress } = options
  const raw = join(scratch, 'disk.raw')
  await mkdir(scratch, { recursive: true })
  await (await open(raw, 'w')).close()
  await truncate(raw, options.sizeBytes)
  await partition(raw, identity)
  onProgress('making the root file system')
  await makeRoot(raw, options)
  await makeEfi(raw, options)
  await installBiosCore(raw, scratch, rootUuidOf(identity), biosPartition)
  onProgress(`writing the ${options.format} file`)
  await convert(raw, options)
  await rm(raw)
}

async function partition(disk: string, identity: string): Promise<void> {
  const script = [
    'label: gpt',
    `label-id: ${stableUuid(`${identity}/disk`)}`,
    'unit: sectors',
    partitionLine(biosPartition, '21686148-6449-6E6F-744E-656564454649', stableUuid(`${identity}/bios`)),
    partitionLine(efiPartition, 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', stableUuid(`${identity}/efi`)),
    `start=${rootFirstSector}, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=${stableUuid(`${identity}/rootpart`)}`,
  ].join('\n')
  await run(['sfdisk', '--quiet', '--no-reread', '--no-tell-kernel', disk], { input: `${script}\n` })
}

const partitionLine = (at: { firstSector: number; sectors: number }, type: string, uuid: string) =>
  `start=${at.firstSector}, size=${at.sectors}, type=${type}, uuid=${uuid}`

async function makeRoot(disk: string, options: DiskOptions): Promise<void> {
  const bytes = options.sizeBytes - (rootFirstSector + tailSectors) * sectorSize
  const kibibytes = Math.floor(bytes / mebibyte) * 1024
  const offset = rootFirstSector * sectorSize
  const uuid = rootUuidOf(options.identity)
  await run(
    [
      'mke2fs',
      '-q',
      '-F',
      ...['-t', 'ext4', '-b', '4096', '-L', 'root', '-U', uuid, '-m', '0'],
      // Without checksums the times can be settled afterwards by plain writes.
      ...['-O', '^metadata_csum'],
      ...['-E', `offset=${offset},hash_seed=${uuid},lazy_itable_init=1,nodiscard`],
      ...['-d', options.tree, disk, `${kibibytes}k`],
    ],
    { env: { E2FSPROGS_FAKE_TIME: String(options.epoch) }, timeoutMs: 600_000 },
  )
  await settleTimes(disk, offset, options.epoch)
}

async function makeEfi(disk: string, options: DiskOptions): Promise<void> {
  const core = await makeEfiCore(options.scratch, rootUuidOf(options.identity))
  const at = `${disk}@@${efiPartition.firstSector * sectorSize}`
  const serial = stableUuid(`${options.identity}/fat`).slice(0, 8)
  // SOURCE_DATE_EPOCH gives mtools its clock; it must not be before 1980, where FAT begins.
  const env = { SOURCE_DATE_EPOCH: String(options.epoch), MTOOLS_SKIP_CHECK: '1', TZ: 'UTC' }
  await run(['mformat', '-i', at, '-N', serial, '-T', String(efiPartition.sectors), '-h', '64', '-s', '32', '::'], {
    env,
  })
  await run(['mmd', '-i', at, '::EFI', '::EFI/BOOT'], { env })
  await run(['mcopy', '-m', '-i', at, core, '::EFI/BOOT/BOOTX64.EFI'], { env })
  const names = ['EFI', 'BOOT', '.', '..'].map((name) => name.padEnd(11))
  await settleFatTimes(disk, efiPartition.firstSector * sectorSize, [...names, 'BOOTX64 EFI'])
}

async function convert(raw: string, options: DiskOptions): Promise<void> {
  const compress = options.format === 'qcow2' && options.compress ? ['-c', '-o', 'compression_type=zstd'] : []
  await run(['qemu-img', 'convert', '-f', 'raw', '-O', options.format, ...compress, raw, options.output], {
    timeoutMs: 900_000,
  })
}
