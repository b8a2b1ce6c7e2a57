// Why an import did not come to its end, in words for the person who reads the DataVolume.

export class ImportError extends Error {
  /** No new try can mend it. */
  readonly fatal: boolean
  constructor(message: string, options: { fatal?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ImportError'
    this.fatal = options.fatal ?? false
  }
}

export const tooSmall = (size: number, room: number): ImportError =>
  new ImportError(
    `virtual image size ${size} is larger than the reported available storage ${room}. A larger PVC is required`,
  )
