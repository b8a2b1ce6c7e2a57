// status.volumeStatus of the volumes that come and go. Pure; phases, reasons and texts of KubeVirt 1.9 (virt-handler, and
// virt-controller/watch/vmi/storage.go).

import { claimOfVolume, hotVolumes } from '../../kinds/kubevirt/live-changes.ts'
import type { PlugProblems } from './hotplug.ts'
import { nothingPlugged, type Plugged, type PluggedDisk } from './hotplug-plan.ts'
import type { VmiSpec } from './vmi.ts'

export function plugStatus(
  spec: VmiSpec,
  { disks }: Plugged = nothingPlugged,
  problems: PlugProblems = new Map(),
): object[] {
  const statuses: object[] = disks.map((disk) => ({
    name: disk.name,
    target: disk.target,
    ...phaseOf(disk, problems),
    persistentVolumeClaimInfo: disk.claimInfo,
    hotplugVolume: {},
  }))
  for (const [name, volume] of hotVolumes(spec)) {
    if (disks.some((disk) => disk.name === name)) continue
    const problem = problems.get(name)
    statuses.push({
      name,
      target: '',
      ...(problem ? pendingPhase(problem, claimOfVolume(volume)!) : bound),
      hotplugVolume: {},
    })
  }
  return statuses
}

const bound = { phase: 'Bound', reason: 'PVCNotReady', message: 'PVC is in phase Bound' }

function phaseOf({ name, state }: PluggedDisk, problems: PlugProblems) {
  const problem = problems.get(name)
  switch (state) {
    case 'ready':
      return {
        phase: 'Ready',
        reason: 'VolumeReady',
        message: `Successfully attach hotplugged volume ${name} to VM`,
      }
    case 'coming':
      return {
        phase: 'AttachedToNode',
        reason: 'SuccessfulCreate',
        message: `Volume ${name} is being handed to the machine`,
      }
    case 'leaving':
      return {
        phase: 'Detaching',
        reason: problem?.reason ?? 'VolumeDetaching',
        message: problem?.message ?? `Volume ${name} is being taken out of the machine`,
      }
  }
}

/** What a claim waits for, in KubeVirt's words where it has some. */
function pendingPhase({ reason, message }: { reason: string; message: string }, claim: string) {
  if (/persistentvolumeclaim ".*" not found/.test(message))
    return { phase: 'Pending', reason: 'FailedPvcNotFound', message: `PVC ${claim} not found` }
  if (/PVC is not bound/.test(message))
    return { phase: 'Pending', reason: 'PVCNotReady', message: 'PVC is in phase ClaimPending' }
  return { phase: reason === 'FailedHotplug' ? 'Bound' : 'Pending', reason, message }
}
