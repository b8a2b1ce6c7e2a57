// How much processor time a control group gets beside others when there is too little: shares in cgroup v1, a weight in v2.
// Formulas mirrored from the kubelet (pkg/kubelet/cm/helpers_linux.go, cgroup_v2_manager_linux.go, 1.36).

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = '/sys/fs/cgroup'
const [minShares, maxShares] = [2, 262_144]
const [minWeight, maxWeight] = [1, 10_000]

export const isUnified = (): boolean => existsSync(join(root, 'cgroup.controllers'))

export function cpuShares(milliCpu: number): number {
  if (milliCpu === 0) return minShares
  return Math.min(Math.max(Math.floor((milliCpu * 1024) / 1000), minShares), maxShares)
}

export const cpuWeight = (shares: number): number =>
  minWeight + Math.floor(((shares - minShares) * (maxWeight - minWeight)) / (maxShares - minShares))

/** The file of a group, and what stands in it for so many shares. */
export const weightFile = (shares: number, unified = isUnified()): { file: string; value: number } =>
  unified ? { file: 'cpu.weight', value: cpuWeight(shares) } : { file: 'cpu.shares', value: shares }

/** Makes the group where it is missing. @throws Error where the kernel has no such controller. */
export function weigh(group: string, shares: number): void {
  const unified = isUnified()
  const path = join(root, unified ? '' : 'cpu', group)
  makeGroup(unified ? root : join(root, 'cpu'), path, unified)
  const { file, value } = weightFile(shares, unified)
  writeFileSync(join(path, file), `${value}`)
}

/** A group weighs what those directly below it weigh together. Nothing happens when it is gone. */
export function weighAsParts(path: string): void {
  const file = existsSync(join(path, 'cpu.weight')) ? 'cpu.weight' : 'cpu.shares'
  if (!existsSync(join(path, file))) return
  const parts = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const sum = parts.reduce((total, { name }) => total + weightIn(join(path, name, file)), 0)
  const [min, max] = file === 'cpu.weight' ? [minWeight, maxWeight] : [minShares, maxShares]
  writeFileSync(join(path, file), `${Math.min(Math.max(sum, min), max)}`)
}

function weightIn(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    // It went in this moment.
    return 0
  }
}

/** In v2 each parent must hand its controllers down. */
export function makeGroup(base: string, path: string, unified: boolean): void {
  mkdirSync(path, { recursive: true })
  if (!unified) return
  let at = base
  for (const part of path.slice(base.length).split('/').filter(Boolean)) {
    try {
      writeFileSync(join(at, 'cgroup.subtree_control'), '+memory +pids +cpu')
    } catch {
      // A controller is missing: its limit is reported as not set.
    }
    at = join(at, part)
  }
}
