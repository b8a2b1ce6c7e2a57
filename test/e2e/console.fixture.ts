// A shell in a virtual machine for a test: typed on its serial console, through the API's WebSocket as virtctl does.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'

/** Software emulation on a machine that has other work, too. */
const bootMs = 180_000

export interface GuestShell {
  /** What the command printed, without the line ends around it; fails the test when its exit code is not 0. */
  run(command: string, timeoutMs?: number): Promise<string>
  /** Types a line and does not wait: for commands that end the guest. */
  type(line: string): void
  /** Waits until the console shows this, after what was typed last. */
  expect(pattern: RegExp, timeoutMs?: number): Promise<void>
  close(): void
}

export interface ShellOptions {
  namespace?: string
  /** For a guest that asks who it is. */
  login?: { user: string; password: string }
}

/** Resolves when the guest's shell answers. */
export async function openShell(
  kubeconfig: string,
  machine: string,
  { namespace = 'default', login }: ShellOptions = {},
): Promise<GuestShell> {
  const access = accessFromKubeconfig(readFileSync(kubeconfig, 'utf8'))
  const path = `/apis/subresources.kubevirt.io/v1/namespaces/${namespace}/virtualmachineinstances/${machine}/console`
  const socket = new WebSocket(`${access.server.replace(/^http/, 'ws')}${path}`, 'plain.kubevirt.io', {
    ca: access.ca,
    cert: access.clientCertificate,
    key: access.clientKey,
  })
  let seen = ''
  let failure: Error | undefined
  socket.on('message', (data) => {
    seen += data.toString()
  })
  socket.on('error', (error) => {
    failure = error
  })
  await new Promise((resolve) => socket.once('open', resolve).once('close', resolve))
  if (failure) throw failure
  assert.equal(socket.protocol, 'plain.kubevirt.io')

  async function waitFor(pattern: RegExp, timeoutMs: number, again?: () => void): Promise<RegExpExecArray> {
    const end = Date.now() + timeoutMs
    for (let round = 1; ; round++) {
      const found = pattern.exec(seen)
      if (found) return found
      assert.ok(Date.now() < end, `${machine}: not within ${timeoutMs / 1000} s on the console: ${pattern}\n${seen}`)
      assert.equal(socket.readyState, WebSocket.OPEN, `${machine}: the console is closed\n${seen}`)
      if (again && round % 50 === 0) again()
      await sleep(20)
    }
  }

  let count = 0
  const shell: GuestShell = {
    async run(command, timeoutMs = 20_000) {
      count++
      seen = ''
      // The echo of this line holds no number that the shell has computed: only its output matches.
      socket.send(`echo "<<$((${count}+0))"; ${command}; echo ">>$((${count}+0)):$?"\r`)
      const [all] = await waitFor(new RegExp(`<<${count}\\r?\\n[\\s\\S]*?>>${count}:\\d+\\r?\\n`), timeoutMs)
      const [, output = '', code] = /^<<\d+\r?\n([\s\S]*?)\r?\n?>>\d+:(\d+)/.exec(all!)!
      assert.equal(code, '0', `${machine}: ${command}: exit code ${code}: ${output}`)
      return output.replaceAll('\r', '').trim()
    },
    type(line) {
      seen = ''
      socket.send(`${line}\r`)
    },
    async expect(pattern, timeoutMs = bootMs) {
      await waitFor(pattern, timeoutMs)
    },
    close: () => socket.terminate(),
  }
  socket.send('\r')
  if (login) {
    await waitFor(/login: .{0,4}$/, bootMs, () => socket.send('\r'))
    shell.type(login.user)
    await shell.expect(/Password: /)
    shell.type(login.password)
  }
  // The shell's line editor may ask the terminal for its position behind the prompt.
  await waitFor(/[#$] .{0,4}$/, bootMs, () => socket.send('\r')).catch((error) => {
    shell.close()
    throw error
  })
  return shell
}
