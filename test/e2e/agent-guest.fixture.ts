// The minimal VM with a guest agent of a few lines, built for a test.

import assert from 'node:assert/strict'
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { home, type TestTandem } from './tandem.fixture.ts'

export const agentGuest = 'test.dev/agent-vm:1'

/** Perl as Debian has it everywhere: a program that can ask the kernel for what no shell can. */
const libraries = '/lib/x86_64-linux-gnu'
const perlFiles = [
  '{path: /bin/perl, package: perl-base, from: /usr/bin/perl}',
  `{path: /lib64/ld-linux-x86-64.so.2, package: libc6, from: ${libraries}/ld-linux-x86-64.so.2}`,
  ...['libc.so.6', 'libm.so.6'].map((name) => `{path: ${libraries}/${name}, package: libc6}`),
  `{path: ${libraries}/libcrypt.so.1, package: libcrypt1, from: ${libraries}/libcrypt.so.1.*}`,
]

/** @param more further files of its initramfs, as a recipe has them. */
export async function buildAgentGuest(
  tandem: TestTandem,
  { perl = false, more = [] }: { perl?: boolean; more?: object[] } = {},
): Promise<void> {
  const recipe = join(tandem.stateDir, 'agent-vm')
  cpSync(join(home, 'images/minimal-vm'), recipe, { recursive: true })
  copyFileSync(join(home, 'test/e2e/guest-agent.sh'), join(recipe, 'agent'))
  const change = (file: string, from: string, to: string) => {
    const text = readFileSync(join(recipe, file), 'utf8')
    assert.ok(text.includes(from), `${file} has no ${from}`)
    writeFileSync(join(recipe, file), text.replace(from, to))
  }
  change('recipe.yaml', 'tandem.dev/minimal-vm:1', agentGuest)
  change('recipe.yaml', 'isofs]', 'isofs, virtio_console]')
  const init = "      - {path: /init, source: init, mode: '0755'}\n"
  const files = [
    "{path: /agent, source: agent, mode: '0755'}",
    ...(perl ? perlFiles : []),
    ...more.map((file) => JSON.stringify(file)),
  ]
  change('recipe.yaml', init, init + files.map((file) => `      - ${file}\n`).join(''))
  change('init', 'ip link set lo up', '/agent &\nip link set lo up')
  const built = await tandem.tandem('image', 'build', recipe)
  assert.equal(built.code, 0, built.stderr)
}
