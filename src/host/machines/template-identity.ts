// Who a copy of a template is: told to the guest by its agent, before the network is connected and before the machine
// counts as running. The random numbers of the kernel, which all copies share at first, are mixed anew.

import { randomBytes } from 'node:crypto'
import type { Agent } from './agent.ts'
import { agentOf, type Machine } from './machine.ts'

export interface Identity {
  hostname: string
  uuid: string
  /** The template's MAC addresses and this machine's, in the order of the cards. */
  macs: { from: string; to: string }[]
}

const agentTimeoutMs = 20_000
const scriptTimeoutMs = 60_000
const longestPauseMs = 50

/** Plain sh, with what a guest has: a tool that is not there is no error, but a wrong host name is. */
const script = `
umask 022
printf '%s' "$TANDEM_SEED" > /dev/urandom
# What was written counts from the kernel's next reseed on, which may be a minute away: RNDRESEEDCRNG asks for it now.
if command -v perl > /dev/null; then perl -e 'open(F, ">", "/dev/urandom"); ioctl(F, 0x5207, 0)'
elif command -v python3 > /dev/null; then python3 -c 'import fcntl; fcntl.ioctl(open("/dev/urandom", "wb"), 0x5207)'
fi 2> /dev/null
date -u -s "@$TANDEM_NOW" > /dev/null 2>&1
for file in /etc/machine-id /var/lib/dbus/machine-id; do
  [ ! -f $file ] || [ -L $file ] || printf '%s\\n' "$TANDEM_MACHINE_ID" > $file
done
[ ! -f /etc/hostname ] || printf '%s\\n' "$TANDEM_HOSTNAME" > /etc/hostname
for pair in $TANDEM_MACS; do
  for card in /sys/class/net/*; do
    address=
    read -r address 2> /dev/null < "$card/address"
    [ "$address" = "\${pair%=*}" ] || continue
    ip link set dev "\${card##*/}" address "\${pair#*=}"
  done
done
for key in /etc/ssh/ssh_host_*_key; do
  [ -f "$key" ] || continue
  rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
  ssh-keygen -A > /dev/null 2>&1
  break
done
for hook in /etc/tandem/identity.d/*; do
  [ ! -x "$hook" ] || "$hook"
done
name=/proc/sys/kernel/hostname
printf '%s\\n' "$TANDEM_HOSTNAME" 2> /dev/null > $name || hostname "$TANDEM_HOSTNAME"
read -r now < $name && [ "$now" = "$TANDEM_HOSTNAME" ]
`

export async function giveIdentity(machine: Machine, identity: Identity): Promise<void> {
  // A copy does not hear its agent's port being opened: that was long ago.
  machine.agentOpen = true
  const deadline = Date.now() + agentTimeoutMs
  for (;;) {
    try {
      await becomes(await agentOf(machine), identity)
      return
    } catch (error) {
      if (error instanceof Refused || Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** The guest answered, and it cannot be done. */
class Refused extends Error {}

async function becomes(agent: Agent, { hostname, uuid, macs }: Identity): Promise<void> {
  const env = [
    `TANDEM_HOSTNAME=${hostname}`,
    `TANDEM_MACHINE_ID=${uuid.replaceAll('-', '')}`,
    `TANDEM_MACS=${macs.map(({ from, to }) => `${from}=${to}`).join(' ')}`,
    `TANDEM_SEED=${randomBytes(64).toString('base64')}`,
    // The clock stood still while the template lay on disk. (guest-set-time sets the hardware's too, which QEMU keeps right,
    // and that may take a second.)
    `TANDEM_NOW=${Math.round(Date.now() / 1000)}`,
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
  ]
  const { pid } = await agent.execute<{ pid: number }>(
    'guest-exec',
    { path: '/bin/sh', arg: ['-c', script], env, 'capture-output': true },
    scriptTimeoutMs,
  )
  const deadline = Date.now() + scriptTimeoutMs
  for (let pause = 5; ; pause = Math.min(pause * 1.5, longestPauseMs)) {
    const status = await agent.execute<any>('guest-exec-status', { pid }, scriptTimeoutMs)
    if (status.exited) {
      if (status.exitcode === 0) return
      const said = Buffer.from(String(status['err-data'] ?? ''), 'base64')
        .toString()
        .trim()
        .slice(0, 300)
      throw new Refused(`the guest could not become ${hostname}: ${said || `exit code ${status.exitcode}`}`)
    }
    if (Date.now() > deadline) throw new Refused(`the guest did not become ${hostname} in time`)
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}
