// The formats that schemas of custom resources know; others are ignored (apiextensions pkg/apiserver/validation/formats.go, 1.36).

const textFormats = new Set([
  ...['bsonobjectid', 'uri', 'email', 'hostname', 'ipv4', 'ipv6', 'cidr', 'mac', 'uuid', 'uuid3', 'uuid4', 'uuid5'],
  ...['isbn', 'isbn10', 'isbn13', 'creditcard', 'ssn', 'hexcolor', 'rgbcolor', 'byte', 'password', 'date', 'duration'],
  ...['datetime', 'k8sshortname', 'k8slongname'],
])

/** Dashes do not count: 'date-time' is 'datetime'. */
const normalized = (format: string): string => format.replaceAll('-', '')

/** The format as validation knows it; undefined when it has no meaning for the type. */
export function knownFormat(format: string | undefined, type: string | undefined): string | undefined {
  if (!format) return undefined
  if (type === 'integer') return format === 'int32' || format === 'int64' ? format : undefined
  if (type === 'number') return format === 'float' || format === 'double' ? format : undefined
  if (type && type !== 'string') return undefined
  const name = normalized(format)
  if (!textFormats.has(name)) return undefined
  return name === 'datetime' ? 'date-time' : name
}
