// Every path below the state directory, in one place; docs/internals.md explains them.

import { join } from 'node:path'
import { settingsPath } from '../config.ts'

export interface StatePaths {
  root: string
  /** Choices that later starts keep, JSON. */
  settings: string
  store: string
  pki: string
  auditLog: string
  kubeconfig: string
  log: string
  pid: string
  containerd: { root: string; run: string; socket: string; config: string; log: string; pid: string }
  cni: { conf: string; podConfList: string; machineConfList: string; data: string }
  /** pods/<uid>/ : volumes, etc-hosts, logs live in podLogs */
  pods: string
  podLogs: string
  /** Static Pods: each file here is one Pod that this node runs by itself. */
  manifests: string
  /** machines/<uid>/ : qmp.sock, console.sock, serial.log, disks, seed.iso */
  machines: string
  /** saved/<uid of a VirtualMachine>/ : machines that are suspended to disk. */
  saved: string
  /** snapshots/<uid of a VirtualMachineSnapshotContent>/ : what snapshots of machines hold. */
  snapshots: string
  /** volume-snapshots/<handle of a VolumeSnapshotContent>/ : what snapshots of volumes hold. */
  volumeSnapshots: string
  /** persistent/<uid of a VirtualMachine>/ : UEFI variables and TPM state of machines that keep them. */
  persistent: string
  /** Disks unpacked from containerDisk images, by image digest. */
  images: string
  /** imports/<uid of a claim or volume>/ : what is on its way into a claim. */
  imports: string
  /** Local PersistentVolumes: volumes/<pv name>/ */
  volumes: string
  netns: string
  /** Pods in micro-VMs: what their QEMUs share with their guests. */
  microvm: string
}

export function statePaths(root: string, instance: string): StatePaths {
  const at = (...parts: string[]) => join(root, ...parts)
  // Sockets and pid files live under /run: they must not survive a reboot, and a socket path has at most 107 bytes.
  const run = `/run/tandem-${instance}`
  return {
    root,
    settings: settingsPath(root),
    store: at('store.db'),
    pki: at('pki'),
    auditLog: at('audit.log'),
    kubeconfig: at('kubeconfig'),
    log: at('tandem.log'),
    pid: join(run, 'tandem.pid'),
    containerd: {
      root: at('containerd'),
      run: join(run, 'containerd'),
      socket: join(run, 'containerd.sock'),
      config: at('containerd.toml'),
      log: at('containerd.log'),
      pid: join(run, 'containerd.pid'),
    },
    cni: {
      conf: at('cni'),
      podConfList: at('cni', '10-tandem.conflist'),
      machineConfList: at('cni-machines', '10-tandem.conflist'),
      data: at('cni-data'),
    },
    pods: at('pods'),
    podLogs: at('pod-logs'),
    manifests: at('manifests'),
    machines: at('machines'),
    saved: at('saved'),
    snapshots: at('snapshots'),
    volumeSnapshots: at('volume-snapshots'),
    persistent: at('persistent'),
    images: at('images'),
    imports: at('imports'),
    volumes: at('volumes'),
    netns: '/run/netns',
    microvm: join(run, 'microvm'),
  }
}
