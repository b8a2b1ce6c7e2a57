import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { conditionsOf } from './advisories.ts'
import { findingsOf, judge, versionIn } from './judge.ts'
import { guardedPrograms } from './table.ts'

const program = (name: string) => guardedPrograms.find((one) => one.program === name)!
const cvesOf = (name: string, output: string): string[] =>
  findingsOf(program(name), versionIn(output)!).map(({ hole }) => hole.cve)

describe('versions', () => {
  test('are read as the programs print them', () => {
    assert.deepEqual(versionIn('runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\n'), {
      text: '1.1.5+ds1',
      numbers: [1, 1, 5],
      debianUpdate: 1,
    })
    assert.deepEqual(versionIn('containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1\n'), {
      text: '1.6.20~ds1',
      numbers: [1, 6, 20],
      debianUpdate: 0,
    })
    assert.deepEqual(versionIn('containerd github.com/containerd/containerd/v2 v2.0.4 1a43cb6\n'), {
      text: '2.0.4',
      numbers: [2, 0, 4],
    })
    assert.equal(versionIn('QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)')?.text, '7.2.22')
    assert.equal(versionIn('no such program'), undefined)
  })

  test('of a release line are judged by that line, newer ones by the last', () => {
    const hole = { cve: 'CVE-1', means: '', refused: true, fixed: ['1.6.38', '1.7.27', '2.0.4'] }
    const judged = (text: string) => judge(hole, versionIn(`v${text}`)!)
    assert.equal(judged('1.6.37'), 'vulnerable')
    assert.equal(judged('1.6.38'), 'fixed')
    assert.equal(judged('1.7.26'), 'vulnerable')
    assert.equal(judged('2.0.4'), 'fixed')
    assert.equal(judged('2.1.0'), 'fixed')
    assert.equal(judged('1.5.99'), 'vulnerable')
  })

  test("of Debian are judged by its updates; a package that it patches and that is not listed is nobody's to judge", () => {
    const hole = { cve: 'CVE-1', means: '', refused: true, fixed: ['1.1.12'], debian: { '1.1.5+ds1': 1 } }
    const judged = (output: string) => judge(hole, versionIn(output)!)
    assert.equal(judged('1.1.5+ds1 1.1.5+ds1-1'), 'vulnerable')
    assert.equal(judged('1.1.5+ds1 1.1.5+ds1-1+deb12u1'), 'fixed')
    assert.equal(judged('1.1.9+ds1 1.1.9+ds1-3'), 'unknown')
  })
})

test("Debian 12's current packages may hold workloads; older ones may not", () => {
  assert.deepEqual(cvesOf('containerd', 'containerd x 1.6.20~ds1 1.6.20~ds1-1+deb12u3'), [])
  assert.deepEqual(cvesOf('qemu-system-x86_64', 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)'), [])
  const current = findingsOf(program('runc'), versionIn('runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1')!)
  assert.deepEqual(
    current.map(({ hole }) => hole.refused),
    [false],
  )
  assert.deepEqual(cvesOf('qemu-system-x86_64', 'QEMU emulator version 7.2.0 (Debian 1:7.2+dfsg-7)'), [
    'CVE-2024-3446',
    'CVE-2024-4467',
  ])
})

test('a hole that lets workloads out makes the node NotReady and says what to do; the others are told', () => {
  const old = findingsOf(program('runc'), versionIn('runc version 1.1.4')!)
  const [known, ready] = conditionsOf(old)
  assert.deepEqual(
    [known!.type, known!.status, ready!.type, ready!.status],
    ['KnownVulnerabilities', 'True', 'Ready', 'False'],
  )
  assert.match(ready!.message, /^runc 1\.1\.4 has CVE-2024-21626 \(.*\): update it \(apt-get install/)
  assert.doesNotMatch(ready!.message, /CVE-2025/)
  assert.match(known!.message, /CVE-2025/)
  assert.deepEqual(
    conditionsOf([]).map(({ type, status }) => [type, status]),
    [['KnownVulnerabilities', 'False']],
  )
})
