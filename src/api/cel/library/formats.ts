// Named formats in CEL: format.dns1123Label().validate(text) (Kubernetes' format library, 1.36).

import {
  dns1035LabelProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  labelValueProblems,
  qualifiedNameProblems,
} from '../../names.ts'
import { declare, type Library, nameType } from '../declarations.ts'
import { structType } from '../types.ts'
import { CelObject, Optional } from '../values.ts'
import { readTimestamp } from './time-text.ts'

const formatType = nameType('format', structType('kubernetes.NamedFormat'))
type Check = (text: string) => string[]

class Format extends CelObject {
  readonly type = formatType
  readonly name: string
  readonly check: Check
  readonly maxRegexSize: number
  constructor(name: string, check: Check, maxRegexSize: number) {
    super()
    this.name = name
    this.check = check
    this.maxRegexSize = maxRegexSize
  }
  override equals(other: CelObject): boolean {
    return other instanceof Format && this.name === other.name
  }
}

/** A prefix of a name may end in a dash: what is generated follows it. */
const prefix =
  (check: Check): Check =>
  (text) =>
    check(text.replace(/-$/, 'a'))
const when =
  (message: string, right: (text: string) => boolean): Check =>
  (text) =>
    right(text) ? [] : [message]

const uuidPattern = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const isDate = (text: string): boolean =>
  /^\d{4}-\d\d-\d\d$/.test(text) && readTimestamp(`${text}T00:00:00Z`) !== undefined
const uri: Check = (text) => {
  const right = /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?\//.test(text) && !/[\s]/.test(text)
  return right ? [] : [`parse ${JSON.stringify(text)}: ${text === '' ? 'empty url' : 'invalid URI for request'}`]
}

const formats: Record<string, Format> = {
  __proto__: null as never,
  dns1123Label: new Format('DNS1123Label', dnsLabelProblems, 30),
  dns1123Subdomain: new Format('DNS1123Subdomain', dnsSubdomainProblems, 60),
  dns1035Label: new Format('DNS1035Label', dns1035LabelProblems, 30),
  qualifiedName: new Format('QualifiedName', qualifiedNameProblems, 60),
  dns1123LabelPrefix: new Format('DNS1123LabelPrefix', prefix(dnsLabelProblems), 30),
  dns1123SubdomainPrefix: new Format('DNS1123SubdomainPrefix', prefix(dnsSubdomainProblems), 60),
  dns1035LabelPrefix: new Format('DNS1035LabelPrefix', prefix(dns1035LabelProblems), 30),
  labelValue: new Format('LabelValue', labelValueProblems, 40),
  uri: new Format('URI', uri, 1100),
  uuid: new Format(
    'uuid',
    when('does not match the UUID format', (text) => uuidPattern.test(text)),
    83,
  ),
  byte: new Format(
    'byte',
    when('invalid base64', (text) => text.length > 0 && base64Pattern.test(text)),
    84,
  ),
  date: new Format('date', when('invalid date', isDate), 103),
  datetime: new Format(
    'datetime',
    when('invalid datetime', (text) => readTimestamp(text) !== undefined),
    103,
  ),
}

export const namedFormats: Library = [
  ...Object.keys(formats).map((name) => declare(`format.${name}`, `format.${name}`, '() format', () => formats[name])),
  declare('format.named', 'format-named', '(string) optional(format)', (name: string) =>
    formats[name] ? Optional.of(formats[name]) : Optional.none,
  ),
  declare('validate', 'format-validate', 'format.(string) optional(list(string))', (format: Format, text: string) => {
    const problems = format.check(text)
    return problems.length === 0 ? Optional.none : Optional.of(problems)
  }),
]
