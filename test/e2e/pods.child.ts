// The Pod driver as a process of its own, to be killed: reads a state directory and Pods (JSON) from its arguments,
// drives the Pods, and prints each status that it reports as one line.

import { readFileSync } from 'node:fs'
import type { StoredObject } from '../../src/api/meta.ts'
import { createPods } from '../../src/host/pods/pods.ts'
import { drive } from './pods.driving.ts'
import { openMachine } from './pods.fixture.ts'

const [root = '', file = ''] = process.argv.slice(2)
const machine = await openMachine(root)
const pods = createPods(machine.options())
await pods.start()
const driving = drive(pods, (uid, status) => process.stdout.write(`${JSON.stringify({ uid, status })}\n`))
for (const pod of JSON.parse(readFileSync(file, 'utf8')) as StoredObject[]) driving.add(pod)
