// Whether a text is a regular expression that validation can use.

/** What is wrong with the pattern; undefined when it can be used. */
export function patternProblem(pattern: string): string | undefined {
  const spelled = pattern.replaceAll('\\A', '^').replaceAll('\\z', '$').replaceAll('(?P<', '(?<')
  const flags = /^\(\?([ims]+)\)/.exec(spelled)
  const body = flags ? spelled.slice(flags[0].length) : spelled
  // Go's engine has neither: they are what makes a pattern take exponential time.
  if (/\(\?<?[=!]/.test(body)) return 'error parsing regexp: invalid or unsupported Perl syntax: `(?`'
  try {
    new RegExp(body, flags?.[1] ?? '')
    return undefined
  } catch (error) {
    return `error parsing regexp: ${(error as Error).message}`
  }
}
