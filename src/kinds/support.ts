// Fields that upstream's types have and Tandem refuses, or takes without effect: by type and field, so that one line holds
// for Pods, templates and whatever else has the type. docs/kinds.md shows them. A field that is not here does what
// upstream's documentation says, or its kind's own rules refuse it.

import type { SupportTable } from '../api/support.ts'
import { podSupport } from './core/pod-support.ts'
import { deviceSupport, storageSupport } from './storage/support.ts'

export const support: SupportTable = { ...podSupport, ...storageSupport, ...deviceSupport }
