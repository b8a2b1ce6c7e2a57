// SSH keys and passwords that a running guest gets through its agent, and gets anew when their Secrets change. Names, texts
// and the times of a new attempt: KubeVirt 1.9 (pkg/virt-launcher/virtwrap/access-credentials, pkg/virt-handler/vm.go).

import type { StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { readCredentials, type SecretCredentials } from './credential-secrets.ts'
import { isFrozen } from './freeze.ts'
import { agentOf, type Machine, type Observer, pausedBy } from './machine.ts'
import { specOf } from './vmi.ts'

const conditionType = 'AccessCredentialsSynchronized'

/** Where a machine's credentials stand. */
export interface Credentials {
  working?: boolean
  lookAt: number
  /** An agent that is not there by then is missed. */
  missedAt: number
  /** Digest of what the guest has; absent until it took everything. */
  digest?: string
  /** When it took it. */
  takenAt: number
  told?: Outcome
}

export interface Outcome {
  ok: boolean
  message: string
}

export interface CredentialRooms {
  client: Client
  observer: Observer
  now: () => number
  record(object: StoredObject, type: 'Normal' | 'Warning', reason: string, message: string): void
}

/** How often the Secrets are looked at. */
const lookMs = 5_000
const retryMs = 15_000
/** The guest is told again what it should have: somebody inside may have changed it. */
const againMs = 300_000
/** To hash a password takes a guest long on purpose, and longer under software emulation. */
const answerMs = 30_000

/** Looks at the Secrets when that is due, and tells the guest what is new. */
export function keepCredentials(rooms: CredentialRooms, machine: Machine, object: StoredObject): void {
  const wanted = throughAgent(object)
  if (wanted.length === 0) return
  const now = rooms.now()
  machine.credentials ??= { lookAt: now, missedAt: now + retryMs, takenAt: 0, told: toldBefore(object) }
  const state = machine.credentials
  if (state.working || !isListening(machine)) return
  if (!machine.agentOpen) {
    state.digest = undefined
    state.lookAt = now
    if (now >= state.missedAt) tell(rooms, object, state, { ok: false, message: 'Guest agent is offline' })
    return
  }
  state.missedAt = now + retryMs
  if (now < state.lookAt) return
  state.working = true
  void give(rooms.client, machine, object, state, now).then((outcome) => {
    state.working = false
    if (outcome) tell(rooms, object, state, outcome)
    state.lookAt = rooms.now() + (outcome?.ok === false ? retryMs : lookMs)
    rooms.observer.changed(machine.record.uid)
  })
}

/** When to look again, in ms from now; undefined when nothing is waited for. */
export function credentialsIn(machine: Machine, now: number): number | undefined {
  const state = machine.credentials
  if (!state || state.working || machine.record.result || !isListening(machine)) return undefined
  if (machine.agentOpen) return Math.max(100, state.lookAt - now)
  return now < state.missedAt ? state.missedAt - now : undefined
}

export function credentialsCondition(told: Outcome | undefined) {
  if (!told) return undefined
  const { ok, message } = told
  return { type: conditionType, status: ok ? ('True' as const) : ('False' as const), ...(message && { message }) }
}

const throughAgent = (object: StoredObject) =>
  (specOf(object).accessCredentials ?? []).filter(
    ({ sshPublicKey, userPassword }) => (sshPublicKey ?? userPassword)?.propagationMethod?.qemuGuestAgent,
  )

/** A guest that is held still answers nothing; it is asked once it runs again. */
const isListening = (machine: Machine): boolean =>
  !pausedBy(machine) && !isFrozen(machine) && !machine.saving && machine.migration?.isOver !== false

/** What a former Tandem told is no news. */
function toldBefore(object: StoredObject): Outcome | undefined {
  const found = object.status?.conditions?.find((one: { type: string }) => one.type === conditionType)
  return found && { ok: found.status === 'True', message: found.message ?? '' }
}

function tell(rooms: CredentialRooms, object: StoredObject, state: Credentials, outcome: Outcome): void {
  const before = state.told
  state.told = outcome
  if (before?.ok === outcome.ok && before.message === outcome.message) return
  if (outcome.ok) rooms.record(object, 'Normal', 'AccessCredentialsSyncSuccess', 'Access credentials sync successful.')
  else
    rooms.record(object, 'Warning', 'AccessCredentialsSyncFailed', `Access credentials sync failed: ${outcome.message}`)
}

/** undefined when the guest had everything already. */
async function give(
  client: Client,
  machine: Machine,
  object: StoredObject,
  state: Credentials,
  now: number,
): Promise<Outcome | undefined> {
  const wanted = await readCredentials(client, object.metadata.namespace!, throughAgent(object))
  const isNew = wanted.digest !== state.digest || now >= state.takenAt + againMs
  if (!isNew && wanted.problems.length === 0) return undefined
  const problems = [...wanted.problems, ...(isNew ? await tellGuest(machine, wanted) : [])]
  state.digest = problems.length ? undefined : wanted.digest
  state.takenAt = now
  return problems.length ? { ok: false, message: problems.join('; ') } : { ok: true, message: '' }
}

/** What went wrong; one user's trouble keeps nothing from the others. */
async function tellGuest(machine: Machine, wanted: SecretCredentials): Promise<string[]> {
  const problems: string[] = []
  const ask = async (what: string, command: string, args: object) => {
    try {
      await (await agentOf(machine)).execute(command, args, answerMs)
    } catch (error) {
      problems.push(`Error encountered ${what}: ${(error as Error).message}`)
    }
  }
  for (const [username, keys] of wanted.keys) {
    const what = `writing ssh pub key access credentials for user [${username}]`
    await ask(what, 'guest-ssh-add-authorized-keys', { username, keys, reset: true })
  }
  for (const [username, text] of wanted.passwords) {
    const password = Buffer.from(text).toString('base64')
    const what = `setting password for user [${username}]`
    await ask(what, 'guest-set-user-password', { username, password, crypted: false })
  }
  return problems
}
