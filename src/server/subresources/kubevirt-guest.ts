// What the guest agent says, in KubeVirt's words: guestosinfo, userlist and filesystemlist. The guest may say anything, so
// every value has a type and a limit here. Names of fields: kubevirt.io/api/core/v1 (1.9); of answers: qga/qapi-schema.json.

/** guestosinfo shows the first of them, the lists show all. */
const shownInOverview = 10
const mostEntries = 1_000
const longestText = 4_096

/** What the agent answered to each command; absent where it did not. */
export interface GuestAnswers {
  info?: any
  os?: any
  hostname?: any
  timezone?: any
  users?: any
  filesystems?: any
  isFrozen?: boolean
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, longestText) : undefined

const list = (value: unknown): any[] =>
  Array.isArray(value) ? value.filter((one) => one && typeof one === 'object').slice(0, mostEntries) : []

/** A count of bytes; what is none, is 0. */
const bytes = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0

/** Without the fields that say nothing. */
const compact = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== 0))

export const guestUsers = (answer: unknown): object[] =>
  list(answer).map((user) => ({
    userName: text(user.user) ?? '',
    ...compact({
      domain: text(user.domain),
      loginTime: Number.isFinite(user['login-time']) ? user['login-time'] : undefined,
    }),
  }))

export const guestFilesystems = (answer: unknown): object[] =>
  list(answer).map((system) => {
    const disk = list(system.disk).map((one) => ({
      ...compact({ serial: text(one.serial) }),
      busType: text(one['bus-type']) ?? '',
    }))
    return {
      diskName: text(system.name) ?? '',
      mountPoint: text(system.mountpoint) ?? '',
      fileSystemType: text(system.type) ?? '',
      usedBytes: bytes(system['used-bytes']),
      totalBytes: bytes(system['total-bytes']),
      ...(disk.length && { disk }),
    }
  })

const osFields: Record<string, string> = {
  name: 'name',
  kernelRelease: 'kernel-release',
  version: 'version',
  prettyName: 'pretty-name',
  versionId: 'version-id',
  kernelVersion: 'kernel-version',
  machine: 'machine',
  id: 'id',
}

export function guestInfo(answers: GuestAnswers): object {
  const { info, os, hostname, timezone, users, filesystems, isFrozen } = answers
  const commands = list(info?.supported_commands).map((one) => ({
    name: text(one.name) ?? '',
    ...(one.enabled === true && { enabled: true }),
  }))
  const known = Object.entries(osFields).map(([name, from]) => [name, text(os?.[from])])
  const seen = guestUsers(users).slice(0, shownInOverview)
  return {
    kind: 'VirtualMachineInstanceGuestAgentInfo',
    apiVersion: 'kubevirt.io/v1',
    ...compact({
      guestAgentVersion: text(info?.version),
      supportedCommands: commands.length ? commands : undefined,
      hostname: text(hostname?.['host-name']),
    }),
    os: compact(Object.fromEntries(known)),
    ...compact({ timezone: zoneText(timezone), userList: seen.length ? seen : undefined }),
    fsInfo: { disks: guestFilesystems(filesystems).slice(0, shownInOverview) },
    ...(isFrozen && { fsFreezeStatus: 'frozen' }),
  }
}

/** 'UTC, 0' */
function zoneText(answer: any): string | undefined {
  if (!answer || typeof answer !== 'object') return undefined
  return `${text(answer.zone) ?? ''}, ${Number.isInteger(answer.offset) ? answer.offset : 0}`
}

export const guestList = (kind: string, items: object[]): object => ({
  kind,
  apiVersion: 'kubevirt.io/v1',
  metadata: {},
  items,
})
