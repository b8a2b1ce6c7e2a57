// The text of docs/kinds.md; test/kinds-document.test.ts compares it with the file.

import type { KindDefinition } from '../src/api/kind.ts'
import { groupVersion } from '../src/api/meta.ts'
import { type FieldSupport, supportEntries } from '../src/api/support.ts'
import { kinds } from '../src/kinds/index.ts'
import { refusedInstanceFields } from '../src/kinds/kubevirt/supported.ts'
import { support } from '../src/kinds/support.ts'
import { subresourceTable } from '../src/server/subresources/table.ts'

const introduction = `# Kinds and fields

Made by \`node scripts/kinds-doc.ts\` from the data that the server itself checks requests with; a test compares them.

Every field of the kinds below does what the documentation of Kubernetes 1.36 or KubeVirt 1.7 says, but for those listed
here. A **refused** field is an error that names it (422, \`spec.x: Forbidden: …\`). A field **without effect** is taken and
kept, and the answer carries a \`Warning\` header. Unknown fields follow \`fieldValidation\`, as in Kubernetes.`

export function kindsDocument(): string {
  return `${[introduction, kindTable(), wholeKinds(), fieldTable(), machineFields()].join('\n\n')}\n`
}

const byName = (a: string, b: string): number => (a < b ? -1 : 1)
const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |`).join('\n')
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

function subresourcesOf(kind: KindDefinition): string[] {
  const { status, scale } = kind.subresources ?? {}
  const key = kind.group ? `${kind.plural}.${kind.group}` : kind.plural
  const others = (subresourceTable[key] ?? []).map((info) => info.subresource)
  return [...new Set([...(status ? ['status'] : []), ...(scale ? ['scale'] : []), ...others])].sort(byName)
}

function kindTable(): string {
  const rows = kinds
    .map((kind) => [
      `\`${groupVersion(kind.group, kind.version)}\``,
      kind.kind,
      [kind.plural, ...(kind.shortNames ?? [])].join(', '),
      kind.scope === 'Namespaced' ? 'namespace' : 'cluster',
      subresourcesOf(kind).join(', '),
    ])
    .sort((a, b) => byName(`${a[0]} ${a[1]}`, `${b[0]} ${b[1]}`))
  return `## Kinds\n\n${table(['group and version', 'kind', 'names', 'scope', 'subresources'], rows)}`
}

/** Kinds that warn whatever is in them. */
function wholeKinds(): string {
  const rows = kinds
    .flatMap((kind) => (kind.warnings?.(structuredClone(kind.example)) ?? []).map((text) => [kind.kind, text]))
    .filter(([, text]) => text?.includes('nothing in this Tandem acts on it'))
    .sort((a, b) => byName(a[0]!, b[0]!))
  return `## Kinds that are kept and served, and that nothing acts on\n\n${table(['kind', 'warning'], rows)}`
}

function fieldTable(): string {
  const users = new Map<string, Set<string>>()
  for (const kind of kinds)
    for (const { type, field } of supportEntries(kind, support)) {
      const key = `${type}.${field}`
      users.set(key, (users.get(key) ?? new Set()).add(kind.kind))
    }
  const rows = Object.entries(support)
    .sort(([a], [b]) => byName(a, b))
    .map(([key, entry]) => [`\`${key}\``, has(entry), entry.why, [...(users.get(key) ?? [])].sort(byName).join(', ')])
  return `## Fields\n\n${table(['type and field', '', 'why', 'in'], rows)}`
}

const has = ({ has, values }: FieldSupport): string => (values ? `${has}: ${values}` : has)

function machineFields(): string {
  const rows = refusedInstanceFields().map((field) => [`\`${field}\``])
  return `## Fields of VirtualMachineInstances that are refused\n\n${table(['below spec'], rows)}`
}
