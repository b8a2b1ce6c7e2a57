// GRUB on a disk image for both firmwares, written as bytes into the file: no loop device, no mount, no grub-install.

import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../exec.ts'

const grubFolder = '/usr/lib/grub'
const sectorSize = 512

/** Modules that both core images carry, so that nothing is loaded one by one from the disk. */
const commonModules = ['part_gpt', 'ext2', 'normal', 'configfile', 'linux', 'search_fs_uuid', 'test']

/**
 * The configuration on the root file system: no menu, no wait. On a BIOS the 16-bit entry is taken, because GRUB 2.06
 * moves a kernel loaded the 32-bit way byte by byte to its place, which takes 2 s under software emulation.
 */
export function grubConfig(options: { kernel: string; initrd: string; kernelArguments: string }): string {
  const { kernel, initrd, kernelArguments } = options
  return [
    'if [ "$grub_platform" = pc ]; then',
    `  linux16 ${kernel} ${kernelArguments}`,
    `  initrd16 ${initrd}`,
    'else',
    `  linux ${kernel} ${kernelArguments}`,
    `  initrd ${initrd}`,
    'fi',
    'boot',
    '',
  ].join('\n')
}

/** Finds the root file system by its UUID, whatever the disk is called. */
const earlyConfig = (rootUuid: string) =>
  `search.fs_uuid ${rootUuid} root\nset prefix=($root)/boot/grub\nconfigfile ($root)/boot/grub/grub.cfg\n`

/** A core image with its configuration inside. */
async function makeCore(
  scratch: string,
  format: 'i386-pc' | 'x86_64-efi',
  rootUuid: string,
  modules: string[],
): Promise<string> {
  const config = join(scratch, `grub-${format}.cfg`)
  const output = join(scratch, format === 'i386-pc' ? 'core.img' : 'bootx64.efi')
  await writeFile(config, earlyConfig(rootUuid))
  await run([
    'grub-mkimage',
    '--format',
    format,
    '--directory',
    join(grubFolder, format),
    '--config',
    config,
    '--prefix',
    '/boot/grub',
    '--output',
    output,
    ...commonModules,
    ...modules,
  ])
  return output
}

export const makeEfiCore = (scratch: string, rootUuid: string): Promise<string> =>
  makeCore(scratch, 'x86_64-efi', rootUuid, ['fat', 'serial'])

/**
 * boot.img into the first sector (its partition table stays as it is) and the core image into the BIOS boot partition,
 * told each other's places. Offsets: grub 2.06, include/grub/i386/pc/boot.h and diskboot.S.
 */
export async function installBiosCore(
  disk: string,
  scratch: string,
  rootUuid: string,
  partition: { firstSector: number; sectors: number },
): Promise<void> {
  const corePath = await makeCore(scratch, 'i386-pc', rootUuid, ['biosdisk', 'serial', 'linux16'])
  const core = await readFile(corePath)
  if (core.length > partition.sectors * sectorSize) throw new Error('GRUB’s core image is larger than its partition')
  const boot = await readFile(join(grubFolder, 'i386-pc', 'boot.img'))
  const file = await open(disk, 'r+')
  try {
    await writeBootSector(file, boot, partition.firstSector)
    placeCore(core, partition.firstSector)
    await file.write(core, 0, core.length, partition.firstSector * sectorSize)
  } finally {
    await file.close()
  }
}

async function writeBootSector(file: FileHandle, boot: Buffer, coreSector: number): Promise<void> {
  boot.writeBigUInt64LE(BigInt(coreSector), 0x5c)
  boot.writeUInt16LE(0x9090, 0x66) // boots from the drive that the BIOS names, also when it is a hard disk
  await file.write(boot, 0, 440, 0)
}

/** The first sector of the core loads the rest: one block list entry at its end (start, length, segment). */
export function placeCore(core: Buffer, firstSector: number): void {
  const rest = Math.ceil(core.length / sectorSize) - 1
  core.writeBigUInt64LE(BigInt(firstSector + 1), 0x1f4)
  core.writeUInt16LE(rest, 0x1fc)
  core.writeUInt16LE(0x820, 0x1fe)
}
