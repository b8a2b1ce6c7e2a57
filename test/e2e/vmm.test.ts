// The VMMs of this machine keep their contract; of one that is not ready it is checked that the reason is the true one.

import assert from 'node:assert/strict'
import { accessSync, chmodSync, constants, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { run } from '../../src/host/exec.ts'
import { proveAccelerator, provingArgs } from '../../src/host/machines/accelerator.ts'
import { provingDisk, provingExitCode } from '../../src/host/machines/proving-guest.ts'
import { vmmContract } from '../../src/host/vmm/driver.contract.ts'
import { vmmDrivers } from '../../src/host/vmm/drivers.ts'
import { qemu } from '../../src/host/vmm/qemu/qemu.ts'
import { findVmm, vmmVerdict } from '../../src/host/vmm/readiness.ts'
import { buildVmmGuest, openVmm } from './vmm.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'vmm-guest-'))
// A VMM is nobody, and reads its kernel there.
chmodSync(folder, 0o755)
after(() => rmSync(folder, { recursive: true, force: true }))

const emulator = await findVmm(qemu)
assert.ok(emulator, 'QEMU is installed')
const proved = await proveAccelerator({
  emulator: emulator.path,
  version: emulator.version,
  cacheFile: join(folder, 'accelerator.json'),
})
const guest = await buildVmmGuest(folder)
// All is known before the first test is named: hooks of a file run when its tests known by then are over.
const drivers = await Promise.all(vmmDrivers.map(async (driver) => ({ driver, found: await findVmm(driver) })))

test('the guest that proves KVM comes to its end where it is emulated', async () => {
  const disk = join(folder, 'proving.img')
  writeFileSync(disk, provingDisk())
  const { code } = await run(provingArgs(emulator.path, disk, 'tcg'), { timeoutMs: 120_000, allowFailure: true })
  assert.equal(code, provingExitCode)
})

test('what is said of KVM is so', (t) => {
  t.diagnostic(`${proved.kind}: ${proved.message}`)
  const usable = () => accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  if (proved.reason === 'KVMNotAvailable') assert.throws(usable)
  else assert.doesNotThrow(usable)
})

for (const { driver, found } of drivers) {
  const verdict = vmmVerdict(driver, found, proved)
  const { accelerator } = verdict
  if (found && accelerator)
    vmmContract(`${driver.title} ${found.version} with ${accelerator}`, () =>
      openVmm({ driver, program: found.path, accelerator, guest }),
    )
  else
    test(`${driver.title} is not ready, and says why`, (t) => {
      t.diagnostic(verdict.reason)
      const installed = ['/usr/local/bin', '/usr/bin'].some((at) =>
        driver.programs.some((name) => existsSync(join(at, name))),
      )
      if (!installed) assert.equal(verdict.reason, `${driver.programs[0]} is missing: ${driver.remedy}`)
      else if (proved.kind !== 'kvm') assert.ok(verdict.reason.endsWith(proved.message), verdict.reason)
      else assert.match(verdict.reason, /oldest that is used/)
    })
}
