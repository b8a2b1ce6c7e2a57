// What is told on a claim of the work at it. Pure; keys and words as CDI writes them from its Pods (1.65).

import {
  fatalError,
  podPhase,
  podReady,
  podRestarts,
  populatorProgress,
  preallocationApplied,
  runningCondition,
  runningMessage,
  runningReason,
} from '../../kinds/cdi/annotations.ts'

export type Notes = Record<string, string>

const running = (isRunning: boolean, reason: string, message = ''): Notes => ({
  [runningCondition]: String(isRunning),
  [runningReason]: reason,
  [runningMessage]: message,
})

export const percentText = (percent: number): string => `${Math.min(100, percent).toFixed(2)}%`

/** It waits for its turn, or for something that may still come. */
export const pendingNotes = (message = ''): Notes => ({
  [podPhase]: 'Pending',
  ...(message && running(false, 'Pending', message)),
})

export const startedNotes = (): Notes => ({ [podPhase]: 'Running', ...running(true, 'Pod is running') })

export const readyNotes = (): Notes => ({ ...startedNotes(), [podReady]: 'true' })

export const progressNotes = (percent: number): Notes => ({ [populatorProgress]: percentText(percent) })

export const doneNotes = (what: string, preallocated: boolean): Notes => ({
  [podPhase]: 'Succeeded',
  [podReady]: 'false',
  [populatorProgress]: '100.0%',
  ...(preallocated && { [preallocationApplied]: 'true' }),
  ...running(false, 'Completed', what),
})

/** A new try comes, but for a fatal one. An upload is open again at once. */
export function failedNotes(message: string, failures: number, fatal: boolean, again: 'later' | 'upload'): Notes {
  const text = message.slice(0, 1000)
  if (fatal) return { [podPhase]: 'Failed', [fatalError]: 'true', ...running(false, 'ChecksumError', text) }
  return {
    [podPhase]: 'Running',
    [podRestarts]: String(failures),
    [podReady]: String(again === 'upload'),
    ...running(false, 'Error', text),
  }
}
