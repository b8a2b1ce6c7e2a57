// Writes docs/kinds.md: which kinds Tandem serves, and what it refuses or takes without effect, from the same data that
// the server checks requests with.
//
//   node scripts/kinds-doc.ts

import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { kindsDocument } from './kinds-document.ts'

writeFileSync(resolve(import.meta.dirname, '../docs/kinds.md'), kindsDocument())
