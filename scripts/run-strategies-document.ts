// The text of docs/run-strategies.md; test/run-strategies-document.test.ts compares it with the file.

import {
  type Happening,
  happenings,
  type Outcome,
  outcomes,
  type Strategy,
  strategies,
} from '../test/e2e/run-strategies.outcomes.ts'

const introduction = `# Run strategies

Made by \`node scripts/run-strategies-doc.ts\` from the outcomes to which \`test/e2e/run-strategies.test.ts\` holds a real
Tandem: what \`spec.runStrategy\` makes of everything that can happen to a VirtualMachine. They are KubeVirt's;
\`Hibernated\` is Tandem's own.

Each cell: the answer to a request; \`printableStatus\` of the VirtualMachine; phase of its instance; whether that is the
instance from before. *stop* and *start* come upon a VM as its strategy has it: running where it creates an instance.`

const notes = `## Crashes in a circle

An instance that ends without ever having run is a failure to start. With Always, RerunOnFailure and Once it is counted in
\`status.startFailure\`: \`consecutiveFailCount\`, \`lastFailedVMIUID\`, and \`retryAfterTimestamp\`, before which there is
no next attempt (Once makes none): 10 s, 40 s, 90 s … (ten seconds times the square of the count, and by chance up to half
as much again), at most 5 minutes. Meanwhile the VM says CrashLoopBackOff, and \`stop\` ends it.

## Where Tandem differs from KubeVirt

- With Always and RerunOnFailure an instance that fails less than ten seconds after it began to run counts as a failure to
  start, too. KubeVirt forgets the count as soon as an instance runs; there a launcher takes so long that nothing turns in a
  tight circle, here it would.
- \`stop\` of a VM with WaitAsReceiver is refused. KubeVirt answers 202 and does nothing.`

const instanceWords: Record<Outcome['instance'], string> = { none: '', same: 'same instance', new: 'new instance' }

function cell(strategy: Strategy, happening: Happening): string {
  const outcome = outcomes[strategy][happening]
  if (!outcome) return '–'
  const { answer, status, phase, instance, becomes } = outcome
  const parts = [
    answer,
    `**${status}**`,
    phase === 'none' ? 'no instance' : phase,
    instanceWords[instance],
    becomes && `becomes ${becomes}`,
  ]
  return parts.filter(Boolean).join('; ')
}

export function runStrategiesDocument(): string {
  const rows = [
    ['', ...happenings],
    ['', ...happenings].map(() => '---'),
    ...strategies.map((strategy) => [strategy, ...happenings.map((happening) => cell(strategy, happening))]),
  ]
  const table = rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return `${[introduction, table, notes].join('\n\n')}\n`
}
