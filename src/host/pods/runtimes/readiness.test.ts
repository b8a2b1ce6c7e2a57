import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createReadiness } from './readiness.ts'

test('a gVisor that nobody has tried yet refuses no Pod, be it fetched already or not', () => {
  const directory = join(tmpdir(), 'never-made')
  const readiness = createReadiness({ file: join(directory, 'runtimes.json'), directory, cgroup: '/never-made' })
  assert.match(readiness.look('runsc')!.ready, /^(True|OnDemand)$/)
})
