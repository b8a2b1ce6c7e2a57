// Why a machine does not start yet: something outside is missing and may come. The driver says so and tries again.

/** reason goes into the Synchronized condition and the Event; a VM's printableStatus is derived from it. */
export class Waiting extends Error {
  readonly reason: string
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Waiting'
    this.reason = reason
  }
}
