// One QEMU option as values: "driver,key=value,…" where a comma inside a value is doubled (QEMU's own escape), so that
// no name or path from a manifest can add a key of its own.

/** A value that QEMU's command line cannot carry, or a setting that contradicts itself. */
export class Inexpressible extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Inexpressible'
  }
}

export type OptionValues = Record<string, string | number | boolean | undefined>

/** option('virtio-blk-pci', {drive: 'a', serial: 'x,y'}) → 'virtio-blk-pci,drive=a,serial=x,,y' */
export function option(first: string, values: OptionValues = {}): string {
  const parts = first ? [escaped(first, 'type')] : []
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) continue
    const text = typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)
    parts.push(`${key}=${escaped(text, key)}`)
  }
  return parts.join(',')
}

function escaped(value: string, key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  if (/[\u0000-\u001f\u007f]/.test(value))
    throw new Inexpressible(`${key}: control characters cannot be given to QEMU: ${JSON.stringify(value)}`)
  return value.replaceAll(',', ',,')
}

/** A name that stands bare in an option (CPU model, feature): refused unless it is a plain word. */
export function word(value: string, what: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value))
    throw new Inexpressible(`${what}: ${JSON.stringify(value)} is not a name that QEMU can have`)
  return value
}
