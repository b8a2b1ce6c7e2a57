// What the API asks of this node beside its objects: streams, and calls to a running machine.

import type { Machines } from '../host/machines/machines.ts'
import type { Pods } from '../host/pods/pods.ts'
import type { NodeParts } from './platform.ts'

export const nodeParts = (pods: Pods, machines: Machines): NodeParts => ({
  podLogs: pods.podLogs,
  podExec: pods.podExec,
  podAttach: pods.podAttach,
  podPortForward: pods.podPortForward,
  machineLogs: machines.machineLogs,
  machineExec: machines.machineExec,
  machineAttach: machines.machineAttach,
  machineConsole: machines.machineConsole,
  machineVnc: machines.machineVnc,
  machineUsb: machines.machineUsb,
  machinePortForward: machines.machinePortForward,
  pause: machines.pause,
  unpause: machines.unpause,
  reset: machines.reset,
  softReboot: machines.softReboot,
  guestAgent: machines.guestAgent,
  freeze: machines.freeze,
  unfreeze: machines.unfreeze,
  isFrozen: machines.isFrozen,
  screenshot: machines.screenshot,
})
