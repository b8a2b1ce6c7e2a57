// A journal that a guest keeps on its disk: numbered records, each written through to the disk before the guest says so on
// its serial console. What it said must be there, whatever was killed since. Guest: images/minimal-vm, disk /dev/vdb.

import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { type GuestConsole, openConsole } from './console.fixture.ts'

const recordBytes = 512
const device = '/dev/vdb'
/** Long enough for a boot beside nineteen others. */
const answerMs = 300_000

/** n counts up; the guest says "ack n n" once the record is on its disk: a serial line may repeat or lose a byte. */
const keeper =
  `j() { n=$1; while printf 'rec %-507s\\n' $n | dd of=${device} bs=${recordBytes} seek=$n conv=fsync,notrunc 2>/dev/null; ` +
  'do echo "ack $n $n"; n=$((n+1)); usleep 20000; done; echo "journal ends"; }'

/** The highest record that was acknowledged, as far as this log tells; -1 for none. */
export function acknowledged(serialLog: string): number {
  let highest = -1
  for (const [, number] of serialLog.matchAll(/^ack (\d+) \1\r*$/gm)) highest = Math.max(highest, Number(number))
  return highest
}

export function acknowledgedIn(path: string): number {
  try {
    return acknowledged(readFileSync(path, 'latin1'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return -1
    throw error
  }
}

/** The first record that is not there, read on the host. */
export function firstMissing(diskImage: string, upTo: number): number {
  const file = openSync(diskImage, 'r')
  try {
    const record = Buffer.alloc(recordBytes)
    for (let number = 0; number <= upTo; number++) {
      readSync(file, record, 0, recordBytes, number * recordBytes)
      if (record.toString('latin1') !== `rec ${String(number).padEnd(recordBytes - 5)}\n`) return number
    }
    return upTo + 1
  } finally {
    closeSync(file)
  }
}

/**
 * Ends the journal that may be kept already, looks through what is there, and keeps it from there on (when `goesOn`).
 * Resolves with the first record that the guest itself does not find.
 */
export async function keepJournal(
  kubeconfig: string,
  machine: string,
  lastAcknowledged: () => number,
  goesOn: boolean,
): Promise<number> {
  const console = await openConsole(kubeconfig, machine)
  try {
    const stop = 'kill $(cat /tmp/j) 2>/dev/null; rm -f /tmp/j; echo "<<$((7*6))>>"\r'
    console.send(stop)
    await console.expect(/<<42>>/, { timeoutMs: answerMs, again: stop })
    const next = await lookThrough(console, machine, lastAcknowledged())
    if (goesOn) {
      console.send(`${keeper}; j ${next} & echo $! >/tmp/j; echo "<<$((6*7+1))>>"\r`)
      await console.expect(/<<43>>/, { timeoutMs: answerMs })
    }
    return next
  } finally {
    console.close()
  }
}

/** The guest was told of one command at a time: what it echoes of a command is no answer. */
async function lookThrough(console: GuestConsole, machine: string, last: number): Promise<number> {
  // A record may have been written and not yet been acknowledged; no more than one.
  const count = last + 2
  const program = `'BEGIN {n=0} $1 != "rec" || $2 != n {exit} {n++} END {print "<<" "next " n ">>"}'`
  console.send(`dd if=${device} bs=${recordBytes} count=${count} 2>/dev/null | awk ${program}\r`)
  const [, found] = await console.expect(/<<next (\d+)>>/, { timeoutMs: answerMs })
  assert.ok(Number(found) > last, `${machine}: record ${last} was acknowledged, and record ${found} is not there`)
  return Number(found)
}
