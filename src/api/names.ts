// Rules for names, label keys, label values and the like. Each returns what is wrong, in upstream's words, or nothing
// (apimachinery util/validation and api/validation, 1.32).

const label1123 = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const subdomain1123 = `${label1123}(\\.${label1123})*`
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const qualifiedPart = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const labelValue = `(${qualifiedPart})?`
const envName = '[-._a-zA-Z][-._a-zA-Z0-9]*'
const configKey = '[-._a-zA-Z0-9]+'
const portName = '[-a-z0-9]+'

const whole = (pattern: string): RegExp => new RegExp(`^${pattern}$`)
// One run of the characters and a look at both ends: the upstream pattern would backtrack on long hostile text.
const isLabel1123 = (text: string) => /^[a-z0-9-]+$/.test(text) && !text.startsWith('-') && !text.endsWith('-')
const isSubdomain1123 = (text: string) => text.split('.').every(isLabel1123)
const isLabel1035 = (text: string) => isLabel1123(text) && /^[a-z]/.test(text)
const isQualifiedPart = (text: string) =>
  /^[-A-Za-z0-9_.]+$/.test(text) && /^[A-Za-z0-9]/.test(text) && /[A-Za-z0-9]$/.test(text)

const mustConsist =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"

function patternText(message: string, pattern: string, ...examples: string[]): string {
  const given = examples.map((example) => `'${example}', `).join(' or ')
  return examples.length
    ? `${message} (e.g. ${given}regex used for validation is '${pattern}')`
    : `${message} (regex used for validation is '${pattern}')`
}

const tooLongText = (limit: number): string => `must be no more than ${limit} characters`

/** Every rule sees at most this much of a text, so that a hostile one costs nothing. */
const bytes = (text: string): number => (text.length > 4096 ? text.length : new TextEncoder().encode(text).length)

export function dnsLabelProblems(value: string): string[] {
  const problems: string[] = []
  if (value.length > 63) problems.push(tooLongText(63))
  if (isLabel1123(value)) return problems
  problems.push(
    isSubdomain1123(value)
      ? 'must not contain dots'
      : patternText(
          "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
          label1123,
          'my-name',
          '123-abc',
        ),
  )
  return problems
}

export function dnsSubdomainProblems(value: string): string[] {
  const problems: string[] = []
  if (value.length > 253) problems.push(tooLongText(253))
  if (!isSubdomain1123(value))
    problems.push(
      patternText(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        subdomain1123,
        'example.com',
      ),
    )
  return problems
}

export function dns1035LabelProblems(value: string): string[] {
  const problems: string[] = []
  if (value.length > 63) problems.push(tooLongText(63))
  if (!isLabel1035(value))
    problems.push(
      patternText(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        label1035,
        'my-name',
        'abc-123',
      ),
    )
  return problems
}

export function wildcardSubdomainProblems(value: string): string[] {
  const problems: string[] = []
  if (value.length > 253) problems.push(tooLongText(253))
  if (!value.startsWith('*.') || !isSubdomain1123(value.slice(2)))
    problems.push(
      patternText(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        `\\*\\.${subdomain1123}`,
        '*.example.com',
      ),
    )
  return problems
}

/** Names that only have to fit into a URL path (RBAC roles and bindings …); `prefix`: something will be appended. */
export function pathSegmentProblems(value: string, prefix = false): string[] {
  if (!prefix && (value === '.' || value === '..')) return [`may not be '${value}'`]
  return ['/', '%'].filter((part) => value.includes(part)).map((part) => `may not contain '${part}'`)
}

/** A label key, an annotation key, a finalizer: [prefix/]name. */
export function qualifiedNameProblems(value: string): string[] {
  const parts = value.split('/')
  if (parts.length > 2)
    return [
      `${patternText(`a qualified name ${mustConsist}`, qualifiedPart, 'MyName', 'my.name', '123-abc')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ]
  const name = parts.at(-1)!
  const problems: string[] = []
  if (parts.length === 2) {
    if (parts[0] === '') problems.push('prefix part must be non-empty')
    else problems.push(...dnsSubdomainProblems(parts[0]!).map((problem) => `prefix part ${problem}`))
  }
  if (name === '') problems.push('name part must be non-empty')
  else if (name.length > 63) problems.push(`name part ${tooLongText(63)}`)
  if (!isQualifiedPart(name))
    problems.push(`name part ${patternText(mustConsist, qualifiedPart, 'MyName', 'my.name', '123-abc')}`)
  return problems
}

export function labelValueProblems(value: string): string[] {
  const problems: string[] = []
  if (value.length > 63) problems.push(tooLongText(63))
  if (value !== '' && !isQualifiedPart(value))
    problems.push(
      patternText(
        `a valid label must be an empty string or ${mustConsist.slice('must '.length)}`,
        labelValue,
        'MyValue',
        'my_value',
        '12345',
      ),
    )
  return problems
}

/** Key of a ConfigMap or Secret. */
export function configKeyProblems(value: string): string[] {
  const problems: string[] = []
  if (value.length > 253) problems.push(tooLongText(253))
  if (!whole(configKey).test(value))
    problems.push(
      patternText(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        configKey,
        'key.name',
        'KEY_NAME',
        'key-name',
      ),
    )
  return [...problems, ...parentDirectoryProblems(value)]
}

function parentDirectoryProblems(value: string): string[] {
  if (value === '.') return ["must not be '.'"]
  if (value === '..') return ["must not be '..'"]
  return value.startsWith('..') ? ["must not start with '..'"] : []
}

/** Name of an environment variable: any printable ASCII but '=' (RelaxedEnvironmentVariableValidation, on since 1.32). */
export function envVarNameProblems(value: string): string[] {
  if (value === '') return ['environment variable name must be non-empty']
  return /^[\x20-\x3c\x3e-\x7e]+$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
}

/** The older, stricter rule, which still holds for `envFrom.prefix`. */
export const strictEnvVarNameProblems = (value: string): string[] =>
  whole(envName).test(value)
    ? []
    : [
        patternText(
          "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
          envName,
          'my.env-name',
          'MY_ENV.NAME',
          'MyEnvName1',
        ),
      ]

/** Name of a container port (IANA service name). */
export function portNameProblems(value: string): string[] {
  const problems: string[] = []
  if (value.length > 15) problems.push(tooLongText(15))
  if (!whole(portName).test(value))
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)')
  if (value.includes('--')) problems.push('must not contain consecutive hyphens')
  if (value.startsWith('-') || value.endsWith('-')) problems.push('must not begin or end with a hyphen')
  return problems
}

export const portNumberProblems = (value: number): string[] =>
  Number.isInteger(value) && value >= 1 && value <= 65535 ? [] : ['must be between 1 and 65535, inclusive']

export type NameRule = 'dns-subdomain' | 'dns-label' | 'dns-1035-label' | 'path-segment'

/** The rule for metadata.name; `prefix`: the value is a generateName, so a dash may stand at its end. */
export function nameProblems(rule: NameRule, value: string, prefix = false): string[] {
  if (rule === 'path-segment') return pathSegmentProblems(value, prefix)
  const name = prefix && value.length > 1 && value.endsWith('-') ? `${value.slice(0, -2)}a` : value
  if (rule === 'dns-label') return dnsLabelProblems(name)
  return rule === 'dns-1035-label' ? dns1035LabelProblems(name) : dnsSubdomainProblems(name)
}

const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789'

/** generateName plus five letters that form no word; cut so that a DNS label holds it (apiserver storage/names). */
export function generatedName(prefix: string, random: () => number = Math.random): string {
  let suffix = ''
  for (let index = 0; index < 5; index++) suffix += suffixLetters[Math.floor(random() * suffixLetters.length)]
  return `${prefix.slice(0, 58)}${suffix}`
}

export { bytes as byteLength }
