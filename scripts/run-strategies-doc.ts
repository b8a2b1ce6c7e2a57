// Writes docs/run-strategies.md: what each run strategy makes of what happens to a VirtualMachine.
//
//   node scripts/run-strategies-doc.ts

import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { runStrategiesDocument } from './run-strategies-document.ts'

writeFileSync(resolve(import.meta.dirname, '../docs/run-strategies.md'), runStrategiesDocument())
