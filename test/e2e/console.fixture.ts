// The serial console of a virtual machine for a test: through the API's WebSocket, as virtctl does. On it, a shell.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'

/** Software emulation on a machine that has other work, too. */
const bootMs = 600_000
/** Then ever more seldom: a guest that is only slow has to obey each time it was asked. */
const askAgainMs = 1_000

export interface GuestConsole {
  /** What came since the last `send` is forgotten. */
  send(text: string): void
  /** Waits until the console has shown this since the last `send`; `again` is sent from time to time meanwhile. */
  expect(pattern: RegExp, options?: { timeoutMs?: number; again?: string }): Promise<RegExpExecArray>
  close(): void
}

export interface GuestShell extends GuestConsole {
  /** What the command printed, without the line ends around it; fails the test when its exit code is not 0. */
  run(command: string, timeoutMs?: number): Promise<string>
  /** Types a line and does not wait: for commands that end the guest. */
  type(line: string): void
}

export interface ShellOptions {
  namespace?: string
  /** For a guest that asks who it is. */
  login?: { user: string; password: string }
}

export async function openConsole(kubeconfig: string, machine: string, namespace = 'default'): Promise<GuestConsole> {
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

  return {
    send(text) {
      seen = ''
      socket.send(text)
    },
    async expect(pattern, { timeoutMs = bootMs, again } = {}) {
      const end = Date.now() + timeoutMs
      let asked = Date.now()
      let wait = askAgainMs
      for (;;) {
        const found = pattern.exec(seen)
        if (found) return found
        assert.ok(Date.now() < end, `${machine}: not within ${timeoutMs / 1000} s on the console: ${pattern}\n${seen}`)
        assert.equal(socket.readyState, WebSocket.OPEN, `${machine}: the console is closed\n${seen}`)
        if (again && Date.now() - asked > wait) {
          asked = Date.now()
          wait *= 1.5
          socket.send(again)
        }
        await sleep(20)
      }
    },
    close: () => socket.terminate(),
  }
}

/** Resolves when the guest's shell answers. */
export async function openShell(
  kubeconfig: string,
  machine: string,
  { namespace, login }: ShellOptions = {},
): Promise<GuestShell> {
  const opened = await openConsole(kubeconfig, machine, namespace)
  const type = (line: string) => opened.send(`${line}\r`)
  try {
    type('')
    if (login) {
      await opened.expect(/login: .{0,4}$/, { again: '\r' })
      type(login.user)
      await opened.expect(/Password: /)
      type(login.password)
    }
    // The shell's line editor may ask the terminal for its position behind the prompt.
    await opened.expect(/[#$] .{0,4}$/, { again: '\r' })
  } catch (error) {
    opened.close()
    throw error
  }
  let count = 0
  return {
    ...opened,
    type,
    async run(command, timeoutMs = 300_000) {
      count++
      // The echo of this line holds no number that the shell has computed: only its output matches.
      type(`echo "<<$((${count}+0))"; ${command}; echo ">>$((${count}+0)):$?"`)
      const pattern = new RegExp(`<<${count}\\r?\\n([\\s\\S]*?)\\r?\\n?>>${count}:(\\d+)\\r?\\n`)
      const [, output = '', code] = await opened.expect(pattern, { timeoutMs })
      assert.equal(code, '0', `${machine}: ${command}: exit code ${code}: ${output}`)
      return output.replaceAll('\r', '').trim()
    },
  }
}
