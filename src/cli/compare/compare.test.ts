// The pure parts of a comparison: choice, parsing, table.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { CommandError } from '../output.ts'
import { lacksShell } from './compare.ts'
import { execUrl, exitCodeOf } from './exec.ts'
import { breakOut, isolationsOf } from './isolations.ts'
import { measuring, parseMeasures, scratch } from './measures.ts'
import { parseStat, processesOf } from './pod-memory.ts'
import { problemOf } from './pods.ts'
import { amount, median, reportData, reportText } from './report.ts'

const runtimeClass = (name: string, handler: string, ready?: string, reason = '') =>
  ({
    kind: 'RuntimeClass',
    handler,
    metadata: { name, annotations: ready ? { 'tandem.dev/ready': ready, 'tandem.dev/reason': reason } : {} },
  }) as unknown as StoredObject

const classes = [
  runtimeClass('crun', 'crun', 'True'),
  runtimeClass('gvisor', 'runsc', 'OnDemand', 'is fetched'),
  runtimeClass('kata', 'kata', 'False', 'containerd-shim-kata-v2 is missing'),
  runtimeClass('microvm', 'microvm', 'True'),
  runtimeClass('other', 'other'),
  runtimeClass('runc', 'runc', 'True'),
]

test('all that is ready is compared, the weakest first; of the others the reason is told', () => {
  const { isolations, notReady } = isolationsOf(classes)
  assert.deepEqual(
    isolations.map(({ name, level, fetches }) => [name, level, fetches]),
    [
      ['runc', 'container', false],
      ['crun', 'container', false],
      ['gvisor', 'sandboxed', true],
      ['microvm', 'microvm', false],
    ],
  )
  assert.deepEqual(notReady, [
    { name: 'kata', reason: 'containerd-shim-kata-v2 is missing' },
    { name: 'other', reason: 'its handler is not known here' },
  ])
  assert.deepEqual(
    isolationsOf(classes, ['microvm', 'runc']).isolations.map(({ name }) => name),
    ['runc', 'microvm'],
  )
})

test('a choice that cannot be is told', () => {
  assert.throws(
    () => isolationsOf(classes, ['runc', 'none']),
    (error) =>
      error instanceof CommandError && error.exitCode === 2 && /no RuntimeClass none: choose/.test(error.message),
  )
  assert.throws(
    () => isolationsOf(classes, ['kata']),
    /no isolation is ready \(kata: containerd-shim-kata-v2 is missing\)/,
  )
})

const said = `@ calls 2000 0
8.10 8.104 8.104
@ write 1024 0
0.90 0.95194 0.96194
@ read 1024 0
0.90 0.904194 0.904194
@ open 1000 0
9.98 10.23 10.28
`

test('what the clock showed, without what the shell itself takes', () => {
  const { problems, systemCallNs, writeBytesPerSecond, readBytesPerSecond, openNs } = parseMeasures(said)
  assert.deepEqual(problems, {})
  assert.equal(Math.round(systemCallNs!), 1000)
  assert.equal(Math.round(writeBytesPerSecond! / 1e6), 100)
  assert.equal(Math.round(readBytesPerSecond! / 1e6), 1000)
  assert.equal(Math.round(openNs!), 200_000)
})

test('what could not be measured says why', () => {
  const { problems, systemCallNs } = parseMeasures(
    '@ calls 0 127\nsh: dd: not found\n@ write 0 1\n1+0 records in\ndd: writing: No space left on device\n@ read 9 0\n1.20 1.20 1.20\n',
  )
  assert.equal(systemCallNs, undefined)
  assert.deepEqual(problems, {
    calls: 'the image has no dd',
    write: 'dd: writing: No space left on device',
    read: 'too fast to be measured',
    open: 'no answer',
  })
})

test('the script is understood by the shell of this machine, and ends', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-compare-'))
  try {
    const [shell, ...args] = measuring.map((word) =>
      word
        .replaceAll(scratch, folder)
        .replaceAll(/30000000|16384|200000/g, '2000')
        .replaceAll('-lt 16', '-lt 2'),
    )
    const output = execFileSync(shell!, args, { encoding: 'utf8', timeout: 60_000 })
    // As short as here, the clock may have seen nothing of one; no other problem is to be.
    for (const problem of Object.values(parseMeasures(output).problems))
      assert.equal(problem, 'too fast to be measured')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('why a Pod will not run', () => {
  const pod = (state: object, phase = 'Pending') =>
    ({ status: { phase, containerStatuses: [{ state }] } }) as unknown as StoredObject
  assert.equal(problemOf(pod({ waiting: { reason: 'ContainerCreating' } })), undefined)
  assert.equal(problemOf(pod({ running: {} }, 'Running')), undefined)
  assert.equal(problemOf(pod({ waiting: { reason: 'ErrImageNeverPull', message: 'gone' } })), 'ErrImageNeverPull: gone')
  assert.equal(
    problemOf(pod({ terminated: { exitCode: 0, reason: 'Completed' } })),
    'it ended at once (Completed, code 0)',
  )
  assert.equal(lacksShell('exec: "sh": executable file not found in $PATH: unknown'), true)
  assert.equal(lacksShell('error finding executable "sh" in PATH [/bin]: no such file or directory'), true)
  assert.equal(lacksShell('ErrImageNeverPull: Container image "pushed" is not present'), false)
})

test('a command’s code and where it is asked for', () => {
  assert.equal(exitCodeOf({ status: 'Success' }), 0)
  assert.equal(exitCodeOf({ status: 'Failure', details: { causes: [{ reason: 'ExitCode', message: '7' }] } }), 7)
  assert.throws(() => exitCodeOf({ status: 'Failure', message: 'no such container' }), /no such container/)
  assert.equal(
    execUrl('https://127.0.0.1:6443', { namespace: 'n', pod: 'p', container: 'c' }, ['echo', 'a b']),
    'wss://127.0.0.1:6443/api/v1/namespaces/n/pods/p/exec?container=c&command=echo&command=a+b&stdout=true&stderr=true',
  )
})

test('a Pod’s processes are those of its groups, its shim, and what is below that', () => {
  assert.deepEqual(parseStat('12 (a (b) c) S 7 1 1'), { name: 'a (b) c', parent: 7 })
  const one = (pid: number, parent: number, name: string, groups = '0::/') => ({ pid, parent, name, groups })
  const all = [
    one(1, 0, 'init'),
    one(10, 1, 'containerd-shim'),
    one(11, 10, 'pause', '0::/tandem-0/podA/x'),
    one(12, 10, 'sh', '0::/tandem-0/podA/y'),
    one(13, 10, 'virtiofsd'),
    one(14, 13, 'virtiofsd'),
    one(20, 1, 'containerd-shim'),
    one(21, 20, 'pause', '0::/tandem-0/podB/x'),
  ]
  assert.deepEqual(
    processesOf('/podA', all)
      .map(({ pid }) => pid)
      .sort((a, b) => a - b),
    [10, 11, 12, 13, 14],
  )
})

test('numbers for a person', () => {
  const units: [number, string][] = [
    [1, 'ns'],
    [1e3, 'µs'],
  ]
  assert.deepEqual(
    [0.123, 5.678, 999, 1234, 123456].map((value) => amount(value, units)),
    ['0.12 ns', '5.68 ns', '999 ns', '1.23 µs', '123 µs'],
  )
  assert.deepEqual([median([]), median([3]), median([1, 9, 2]), median([1, 2])], [undefined, 3, 2, 1.5])
})

const report = () => {
  const { isolations, notReady } = isolationsOf(classes, ['runc', 'gvisor', 'kata'])
  const [runc, gvisor] = isolations
  return {
    image: 'tandem.dev/busybox:1',
    machine: '2 processors, Linux 6.1',
    notReady,
    rows: [
      {
        isolation: runc!,
        cold: { runningMs: 400, answerMs: 450 },
        warm: [
          { runningMs: 200, answerMs: 220 },
          { runningMs: 300, answerMs: 330 },
        ],
        memory: [{ name: 'sh', bytes: 1_000_000 }],
        release: '6.1.0',
        measures: parseMeasures(said),
      },
      { isolation: gvisor!, cold: { runningMs: 900 }, warm: [], problem: 'no answer within 60 s' },
    ],
  }
}

test('the table', () => {
  const text = reportText(report())
  assert.match(text, /^tandem\.dev\/busybox:1 on 2 processors, Linux 6\.1$/m)
  assert.match(text, /^ +runc +gvisor$/m)
  assert.match(text, /^cold start, until it runs +400 ms +900 ms$/m)
  assert.match(text, /^warm start, until it runs +250 ms +–$/m)
  assert.match(text, /^memory of the Pod +1 MB +–$/m)
  assert.match(text, /^a system call +1 µs +–$/m)
  assert.match(text, /^open and close a file +200 µs +–$/m)
  assert.match(text, /^ {2}gvisor +gVisor's kernel, .* then this machine's kernel$/m)
  assert.match(text, /^Not measured\n {2}gvisor +no answer within 60 s$/m)
  assert.match(text, /^Not ready\n {2}kata +containerd-shim-kata-v2 is missing$/m)
})

test('the same as data', () => {
  const { isolations, notReady } = JSON.parse(JSON.stringify(reportData(report())))
  assert.equal(isolations[0].memoryBytes, 1_000_000)
  assert.equal(isolations[0].kernel, '6.1.0')
  assert.equal(isolations[1].problem, 'no answer within 60 s')
  assert.equal(isolations[1].breakOut, breakOut('runsc', 'sandboxed'))
  assert.equal(notReady[0].name, 'kata')
})
