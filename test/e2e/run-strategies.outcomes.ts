// What follows for a VirtualMachine of each run strategy from what is done to it: KubeVirt's behaviour
// (pkg/virt-controller/watch/vm and pkg/virt-api/rest/lifecycle.go, 1.9). run-strategies.test.ts holds a real Tandem to it,
// scripts/run-strategies-doc.ts shows it. Data only.

export const strategies = [
  'Always',
  'RerunOnFailure',
  'Manual',
  'Halted',
  'Once',
  'WaitAsReceiver',
  'Hibernated',
] as const
export type Strategy = (typeof strategies)[number]

export const happenings = [
  'create',
  'Tandem killed',
  'QEMU killed',
  'guest crash',
  'guest poweroff',
  'stop',
  'start',
] as const
export type Happening = (typeof happenings)[number]

export interface Outcome {
  /** Of a request: code, and the text of a refusal. */
  answer?: string
  /** status.printableStatus of the VirtualMachine. */
  status: string
  /** status.phase of the instance; none: there is none. */
  phase: string
  /** Whether it is the instance (and the QEMU) from before. */
  instance: 'none' | 'same' | 'new'
  /** spec.runStrategy, where it changed. */
  becomes?: string
}

const runs = (instance: 'same' | 'new'): Outcome => ({ status: 'Running', phase: 'Running', instance })
const over = (phase: string): Outcome => ({ status: 'Stopped', phase, instance: 'same' })
const off: Outcome = { status: 'Stopped', phase: 'none', instance: 'none' }
const waits: Outcome = { status: 'WaitingForReceiver', phase: 'WaitingForSync', instance: 'same' }
const isRunning = '409 VM is already running'
const notRunning = '409 VM is not running'

/** `undefined`: there is no guest that it could happen to. */
export const outcomes: Record<Strategy, Record<Happening, Outcome | undefined>> = {
  Always: {
    create: runs('new'),
    'Tandem killed': runs('same'),
    'QEMU killed': runs('new'),
    'guest crash': runs('new'),
    'guest poweroff': runs('new'),
    stop: { answer: '202', ...off, becomes: 'Halted' },
    start: { answer: isRunning, ...runs('same') },
  },
  RerunOnFailure: {
    create: runs('new'),
    'Tandem killed': runs('same'),
    'QEMU killed': runs('new'),
    'guest crash': runs('new'),
    'guest poweroff': off,
    stop: { answer: '202', ...off },
    start: { answer: isRunning, ...runs('same') },
  },
  Manual: {
    create: off,
    'Tandem killed': runs('same'),
    'QEMU killed': over('Failed'),
    'guest crash': over('Failed'),
    'guest poweroff': over('Succeeded'),
    stop: { answer: '202', ...off },
    start: { answer: '202', ...runs('new') },
  },
  Halted: {
    create: off,
    'Tandem killed': off,
    'QEMU killed': undefined,
    'guest crash': undefined,
    'guest poweroff': undefined,
    stop: { answer: notRunning, ...off },
    start: { answer: '202', ...runs('new'), becomes: 'Always' },
  },
  Once: {
    create: runs('new'),
    'Tandem killed': runs('same'),
    'QEMU killed': over('Failed'),
    'guest crash': over('Failed'),
    'guest poweroff': over('Succeeded'),
    stop: { answer: '202', ...off, becomes: 'Halted' },
    start: { answer: isRunning, ...runs('same') },
  },
  WaitAsReceiver: {
    create: { ...waits, instance: 'new' },
    'Tandem killed': waits,
    'QEMU killed': undefined,
    'guest crash': undefined,
    'guest poweroff': undefined,
    stop: { answer: '409 WaitAsReceiver does not support manual stop requests', ...waits },
    start: { answer: isRunning, ...waits },
  },
  Hibernated: {
    create: off,
    'Tandem killed': off,
    'QEMU killed': undefined,
    'guest crash': undefined,
    'guest poweroff': undefined,
    stop: { answer: notRunning, ...off },
    start: { answer: '202', ...runs('new'), becomes: 'Always' },
  },
}
