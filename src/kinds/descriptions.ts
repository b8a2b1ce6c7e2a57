// Short explanations of the fields that people meet most, for `kubectl explain`. By type, then by field; '' is the type.

import apps from './apps/apps.descriptions.json' with { type: 'json' }
import core from './core/core.descriptions.json' with { type: 'json' }
import kubevirt from './kubevirt/kubevirt.descriptions.json' with { type: 'json' }
import meta from './meta/meta.descriptions.json' with { type: 'json' }

export const descriptions: Record<string, Record<string, string>> = { ...meta, ...core, ...apps, ...kubevirt }
