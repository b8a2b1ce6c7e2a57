// A guest of 246 bytes that proves an accelerator: a boot sector which the firmware loads, which goes through protected
// mode into 64-bit mode with its own page tables, writes and reads back 12 MiB page by page with a TLB flush between,
// leaves to QEMU ten thousand times, and then ends it through the isa-debug-exit port. A kernel's first steps, in a few
// milliseconds; where each way out of the guest costs as much as a millisecond, a kernel would never come up.

/** isa-debug-exit turns the value v into the exit code 2v+1. */
const exitValue = 0x2a
export const provingExitCode = exitValue * 2 + 1

/** x86 machine code at 0x7c00; what each line does stands behind it. */
const code = [
  'fa31c08ed88ec08ed0bc007c', // cli; ds = es = ss = 0; stack below the code
  'e4920c02e692', // A20 on
  'bf00106631c0b9001066f3ab', // clear 0x1000..0x4fff for the page tables
  'c70600100320c70600200330', // PML4[0] → 0x2000, PDPT[0] → 0x3000
  'bf003066b883000000b90800', // eight entries of 2 MiB:
  '66890566050000200083c708e2f2', // identity map of 16 MiB
  '66b8001000000f22d8', // cr3 = 0x1000
  '0f20e00c200f22e0', // cr4.PAE
  '66b9800000c00f320d00010f30', // EFER.LME
  '660f0116f07c', // lgdt
  '0f20c0660d010000800f22c0', // cr0.PE, cr0.PG
  'ea797c0800', // far jump into 64-bit code
  'b8100000008ed88ec08ed0', // data segments
  '48c7c700002000', // rdi = 2 MiB
  '48893f4881c7001000004881ff0000e00072ed', // each page: write its own address
  '0f20d80f22d8', // flush the TLB
  '48c7c700002000', // rdi = 2 MiB
  '48393f75224881c7001000004881ff0000e00072eb', // each page: is it still there?
  'b910270000e480ffc975fa', // in from 0x80, 10,000 times
  'b02a66baf400ee', // out 0xf4, 0x2a: done
  'f4ebfd', // failed: halt for ever
  '0f1f00', // padding
  '00000000000000000000000000', // GDT: null,
  '9a20000000000000920000', // 64-bit code, data
  '1700d87c0000', // its size and address
]

/** A raw disk image: the boot sector, and room. SeaBIOS (1.16) boots from no disk of less than one cylinder, 504 KiB. */
export function provingDisk(): Buffer {
  const disk = Buffer.alloc(1024 * 1024)
  Buffer.from(code.join(''), 'hex').copy(disk)
  disk.writeUInt16LE(0xaa55, 510)
  return disk
}
