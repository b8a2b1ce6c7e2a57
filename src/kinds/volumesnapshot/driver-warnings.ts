// What is told to who names a driver that is not here.

import { localProvisioner } from '../storage/local-provisioner.ts'

export const driverWarnings = (field: string, driver: unknown): string[] =>
  driver === localProvisioner
    ? []
    : [`${field} ${driver}: no such driver takes snapshots here, only ${localProvisioner} does`]
