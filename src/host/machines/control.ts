// What a client does with a running machine beside its object: console, VNC and port streams; pause, reset, reboot; a
// look inside through the guest agent. Error texts: KubeVirt 1.8 (pkg/virt-api/rest), they show in virtctl.

import { join } from 'node:path'
import { ApiError, isApiError } from '../../api/errors.ts'
import type { ByteChannel, ExecSession, NodeStreams, WorkloadRef } from '../../api/streams.ts'
import type { Logger } from '../../base/log.ts'
import { AgentRefusal } from './agent.ts'
import { execInGuest } from './agent-exec.ts'
import { connectTcp, connectUdp, connectUnix } from './channel.ts'
import { freeze, isFrozen, thaw } from './freeze.ts'
import { agentOf, consoleOf, isRunning, type Machine, type Observer, pausedBy, refresh } from './machine.ts'
import { machineFiles } from './plan.ts'
import type { Qmp } from './qmp.ts'
import { takeScreenshot } from './screenshot.ts'
import { serialLog } from './serial-log.ts'
import { withSocketPath } from './socket-path.ts'
import { createClientPorts } from './usb.ts'

export interface MachineControl extends Pick<NodeStreams, 'machineLogs' | 'machineExec' | 'machineAttach'> {
  machineConsole(machine: WorkloadRef): Promise<ByteChannel>
  machineVnc(machine: WorkloadRef): Promise<ByteChannel>
  /** A USB device of a client, at a free port of the guest. */
  machineUsb(machine: WorkloadRef): Promise<ByteChannel>
  machinePortForward(machine: WorkloadRef, port: number, protocol: 'tcp' | 'udp'): Promise<ByteChannel>
  pause(machine: WorkloadRef): Promise<void>
  unpause(machine: WorkloadRef): Promise<void>
  /** As the reset button. */
  reset(machine: WorkloadRef): Promise<void>
  /** Through the guest agent when there is one, else by the power button and a reset once the guest is off. */
  softReboot(machine: WorkloadRef): Promise<void>
  /** Holds the guest's file systems still, for at most that long; 0: until they are thawed. */
  freeze(machine: WorkloadRef, forMs: number): Promise<void>
  unfreeze(machine: WorkloadRef): Promise<void>
  isFrozen(machine: WorkloadRef): boolean
  /** A PNG file of what the guest shows. */
  screenshot(machine: WorkloadRef, moveCursor: boolean): Promise<Uint8Array>
  /** A command of the guest agent, e.g. guest-get-users, guest-get-fsinfo. */
  guestAgent<T = unknown>(machine: WorkloadRef, command: string, args?: object): Promise<T>
}

interface ControlOptions {
  machines: Map<string, Machine>
  observer: Observer
  log: Logger
}

const noAgent = 'VMI does not have guest agent connected'
const conflict = (message: string, cause?: unknown) => new ApiError('Conflict', message, undefined, { cause })

export function createControl({ machines, observer }: ControlOptions): MachineControl {
  const clientPort = createClientPorts()

  function running(ref: WorkloadRef): Machine {
    const machine = machines.get(ref.uid)
    if (!machine || !isRunning(machine)) throw conflict('VM is not running')
    return machine
  }

  function qmpOf(machine: Machine): Qmp {
    if (!machine.qmp)
      throw new ApiError('ServiceUnavailable', `the machine ${machine.record.name} does not answer; try again`)
    return machine.qmp
  }

  async function connecting(what: string, connect: () => Promise<ByteChannel>): Promise<ByteChannel> {
    try {
      return await connect()
    } catch (error) {
      if (isApiError(error)) throw error
      throw new ApiError('InternalError', `cannot connect to ${what}: ${(error as Error).message}`, undefined, {
        cause: error,
      })
    }
  }

  return {
    machineLogs(ref, options, signal) {
      const machine = machines.get(ref.uid)
      const path = join(machine?.directory ?? '', machineFiles.serialLog)
      return serialLog(path, ref.name, options, signal, () => machine !== undefined && isRunning(machine))
    },

    async machineExec(ref, options) {
      const machine = running(ref)
      if (!machine.agentOpen)
        throw conflict(`${noAgent}: commands run in the guest by qemu-guest-agent; attach reaches the serial console`)
      return await execInGuest(await agentOf(machine), options)
    },

    async machineAttach(ref) {
      const machine = running(ref)
      const console = await connecting('the serial console', async () => (await consoleOf(machine)).open())
      return attachTo(console)
    },

    async machineConsole(ref) {
      const machine = running(ref)
      return await connecting('the serial console', async () => (await consoleOf(machine)).open())
    },

    async machineVnc(ref) {
      const path = join(running(ref).directory, machineFiles.vnc)
      return await connecting('the VNC display', () => withSocketPath(path, connectUnix))
    },

    async machineUsb(ref) {
      const { directory } = running(ref)
      return await connecting('the USB port', () => clientPort(ref.uid, directory))
    },

    async machinePortForward(ref, port, protocol) {
      const { network } = running(ref).record.started ?? {}
      if (!network) throw conflict('the machine has no network interface')
      const what = `port ${port} of ${ref.name}`
      return await connecting(what, () =>
        protocol === 'udp' ? connectUdp(network.address, port) : connectTcp(network.address, port),
      )
    },

    async pause(ref) {
      const machine = running(ref)
      if (pausedBy(machine)) throw conflict('VMI is already paused')
      await qmpOf(machine).execute('stop')
      await refresh(machine, observer)
    },

    async unpause(ref) {
      const machine = running(ref)
      if (!pausedBy(machine)) throw conflict('VMI is not paused')
      await qmpOf(machine).execute('cont')
      await refresh(machine, observer)
    },

    async reset(ref) {
      await qmpOf(running(ref)).execute('system_reset')
    },

    async softReboot(ref) {
      const machine = running(ref)
      if (pausedBy(machine)) throw conflict('VMI is paused')
      if (machine.agentOpen && (await rebootsByAgent(machine))) return
      machine.rebooting = true
      await qmpOf(machine).execute('system_powerdown')
    },

    async freeze(ref, forMs) {
      const machine = running(ref)
      if (!machine.agentOpen) throw conflict(noAgent)
      await freeze(machine, observer, forMs, Date.now())
    },

    async unfreeze(ref) {
      const machine = running(ref)
      if (!machine.agentOpen) throw conflict(noAgent)
      await thaw(machine, observer)
    },

    isFrozen: (ref) => isFrozen(running(ref)),

    async screenshot(ref, moveCursor) {
      const machine = running(ref)
      return await takeScreenshot(machine, qmpOf(machine), moveCursor)
    },

    async guestAgent(ref, command, args) {
      const machine = running(ref)
      if (!machine.agentOpen) throw conflict(noAgent)
      return await (await agentOf(machine)).execute(command, args, 5_000)
    },
  }
}

/** False when the agent says no: then its power button is pressed (libvirt, qemuDomainReboot). */
async function rebootsByAgent(machine: Machine): Promise<boolean> {
  const agent = await agentOf(machine)
  try {
    await agent.execute('guest-shutdown', { mode: 'reboot' }, 2_000)
  } catch (error) {
    // The guest answers nothing when it does as it is told.
    return !(error instanceof AgentRefusal)
  }
  return true
}

/** The console has one stream out, no size, and no end of its own but the machine's. */
function attachTo(console: ByteChannel): ExecSession {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  async function* stdout() {
    try {
      yield* console.readable
    } finally {
      end()
    }
  }
  return {
    stdin: { write: (chunk) => console.write(chunk), end: () => {} },
    stdout: stdout(),
    resize() {},
    exit: ended.then(() => ({ kind: 'exited', code: 0 })),
    close: () => console.close(),
  }
}
