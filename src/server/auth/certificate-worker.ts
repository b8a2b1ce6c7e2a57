// Makes and reads certificates off the main thread: loading the library takes a sixth of a second and as much memory as
// the rest of the API server.

import { answerCalls } from '../side-thread.ts'
import { makeAuthority, makeClient, makeServing } from './certificates.ts'
import { requestFacts, requestProblem, signRequest } from './signing-requests.ts'

const work = { makeAuthority, makeClient, makeServing, requestFacts, requestProblem, signRequest }

export type CertificateWork = typeof work

answerCalls(work)
