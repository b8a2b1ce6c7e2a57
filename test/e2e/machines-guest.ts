// A guest of 146 bytes for tests of the machine driver: a boot sector that says "guest is up" on the serial console, turns
// itself off when the ACPI power button is pressed, and obeys single letters from the console. Boots in a blink, needs no
// kernel, no package and no boot loader.

/** Letters that the guest obeys; every other one is echoed. */
export const guestKeys = { powerOff: 'p', reset: 'r', panic: 'k', ignoreButton: 'i' } as const

export const guestGreeting = 'guest is up\r\n'

/** x86 real-mode code at 0x7c00. Ports are those of q35: ACPI at 0x600, reset at 0xcf9, pvpanic at 0x505. */
const code = [
  'fa31c08ed88ed0bc007c', // cli; ds = ss = 0; stack below the code
  'ba0206b80001ef', // enable the power button (PM1 enable)
  'e4a10c02e6a1', // mask its interrupt: it is polled
  '30db', // bl = 0: the button works
  'be857cac84c07405e85000ebf6', // print the greeting
  'fbf4', // wait for a timer tick
  '84db7509ba0006edf6c4017523', // button pressed (PM1 status), and not ignored: off
  'bafd03eca80174e9', // nothing on the line: wait again
  'baf803ec', // read a letter
  '3c707413', // p: off
  '3c727418', // r: reset
  '3c6b741f', // k: panic
  '3c697502fec3', // i: ignore the button
  'e81e00ebd0', // echo; again
  'ba0406b80020efebc5', // off: PM1 control, sleep type 0, sleep enable
  'baf90cb002eeb006eeebba', // reset
  'ba0505b001eeebb2', // panic
  '88c4bafd03eca82074fb88e0baf803eec3', // print al
].join('')

/** A raw disk image of one MiB that boots into the guest. */
export function guestDisk(): Buffer {
  const disk = Buffer.alloc(1024 * 1024)
  Buffer.concat([Buffer.from(code, 'hex'), Buffer.from(`${guestGreeting}\0`)]).copy(disk)
  disk.writeUInt16LE(0xaa55, 510)
  return disk
}
