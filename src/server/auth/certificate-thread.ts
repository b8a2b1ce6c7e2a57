// The thread in which certificates are made and requests for them are read.

import { sideThread } from '../side-thread.ts'
import type { CertificateWork } from './certificate-worker.ts'

const patienceMs = 60_000

export const certificateThread = sideThread<CertificateWork>(new URL('./certificate-worker.ts', import.meta.url), {
  patienceMs,
  tooLong: () => new Error(`a certificate took over ${patienceMs / 1000} s: the machine is too busy, try again`),
})
