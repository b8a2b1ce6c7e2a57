// Who may come in beside our own certificates and tokens: an AuthenticationConfiguration as the API server of Kubernetes
// reads it (apiserver/pkg/apis/apiserver/v1, 1.36). Pure: what the file says, or what is wrong with it.

export interface JwtIssuer {
  url: string
  discoveryUrl?: string
  audiences: string[]
  /** PEM. */
  certificateAuthority?: string
  username: Mapping
  groups?: Mapping
  uid?: string
  /** Claims that must have these values. */
  required: Record<string, string>
}

export interface Mapping {
  claim: string
  prefix: string
}

export interface AuthenticationConfig {
  issuers: JwtIssuer[]
  /** Paths that nobody has to log in for; undefined means all of them, an empty list none. */
  anonymousPaths?: string[]
}

const known: Record<string, string[]> = {
  '': ['apiVersion', 'kind', 'jwt', 'anonymous'],
  jwt: ['issuer', 'claimMappings', 'claimValidationRules', 'userValidationRules'],
  issuer: ['url', 'discoveryURL', 'audiences', 'audienceMatchPolicy', 'certificateAuthority'],
  claimMappings: ['username', 'groups', 'uid', 'extra'],
  mapping: ['claim', 'prefix', 'expression'],
  rule: ['claim', 'requiredValue', 'expression', 'message'],
  anonymous: ['enabled', 'conditions'],
}

function check(object: any, part: string, at: string): any {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) throw new Error(`${at} must be an object`)
  const unknown = Object.keys(object).find((field) => !known[part]!.includes(field))
  if (unknown) throw new Error(`${at}: unknown field ${JSON.stringify(unknown)}`)
  if (object.expression !== undefined)
    throw new Error(`${at}.expression: CEL expressions are not supported here; use claim`)
  return object
}

function mapping(given: any, at: string): Mapping {
  const { claim, prefix } = check(given, 'mapping', at)
  if (typeof claim !== 'string' || claim === '') throw new Error(`${at}.claim is required`)
  if (typeof prefix !== 'string')
    throw new Error(`${at}.prefix is required when claim is set; it can be set to "" to explicitly disable prefixing`)
  return { claim, prefix }
}

function httpsUrl(text: unknown, at: string): string {
  if (typeof text !== 'string' || !URL.canParse(text) || new URL(text).protocol !== 'https:')
    throw new Error(`${at} must be an https URL`)
  return text
}

function readIssuer(given: any, at: string): JwtIssuer {
  const { issuer, claimMappings, claimValidationRules = [], userValidationRules } = check(given, 'jwt', at)
  const { url, discoveryURL, audiences, certificateAuthority } = check(issuer, 'issuer', `${at}.issuer`)
  if (!Array.isArray(audiences) || audiences.length === 0)
    throw new Error(`${at}.issuer.audiences: at least one is needed`)
  if (userValidationRules?.length)
    throw new Error(`${at}.userValidationRules: CEL expressions are not supported here; use claimValidationRules`)
  const { username, groups, uid, extra } = check(claimMappings, 'claimMappings', `${at}.claimMappings`)
  if (extra?.length) throw new Error(`${at}.claimMappings.extra: CEL expressions are not supported here`)
  const required: Record<string, string> = {}
  claimValidationRules.forEach((one: any, index: number) => {
    const rule = check(one, 'rule', `${at}.claimValidationRules[${index}]`)
    if (!rule.claim) throw new Error(`${at}.claimValidationRules[${index}].claim is required`)
    required[rule.claim] = String(rule.requiredValue ?? '')
  })
  return {
    url: httpsUrl(url, `${at}.issuer.url`),
    ...(discoveryURL && { discoveryUrl: httpsUrl(discoveryURL, `${at}.issuer.discoveryURL`) }),
    audiences,
    ...(certificateAuthority && { certificateAuthority }),
    username: mapping(username, `${at}.claimMappings.username`),
    ...(groups?.claim && { groups: mapping(groups, `${at}.claimMappings.groups`) }),
    ...(uid?.claim && { uid: check(uid, 'mapping', `${at}.claimMappings.uid`).claim }),
    required,
  }
}

/** @throws Error that says what to change in the file */
export function readAuthenticationConfig(document: unknown): AuthenticationConfig {
  const { apiVersion, kind, jwt = [], anonymous } = check(document, '', 'the authentication configuration')
  if (!/^apiserver\.(config\.)?k8s\.io\/v1(beta1)?$/.test(apiVersion) || kind !== 'AuthenticationConfiguration')
    throw new Error('the file must be an AuthenticationConfiguration of apiserver.config.k8s.io/v1')
  const issuers = (jwt as any[]).map((one, index) => readIssuer(one, `jwt[${index}]`))
  const urls = issuers.map((issuer) => issuer.url)
  const twice = urls.find((url, index) => urls.indexOf(url) < index)
  if (twice) throw new Error(`jwt: the issuer ${twice} stands there twice`)
  if (anonymous === undefined) return { issuers }
  const { enabled, conditions } = check(anonymous, 'anonymous', 'anonymous')
  if (!enabled) {
    if (conditions?.length)
      throw new Error('anonymous.conditions: enabled should be set to true when conditions are defined')
    return { issuers, anonymousPaths: [] }
  }
  return conditions?.length
    ? { issuers, anonymousPaths: conditions.map((one: { path: string }) => String(one.path)) }
    : { issuers }
}
