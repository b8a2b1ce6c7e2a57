// A private image registry for a test: Debian's docker-registry on the loopback address, behind a password.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { home, run, start, type TestTandem, until } from './tandem.fixture.ts'

export const registryUser = { name: 'puller', password: 'letmein' }
/** bcrypt of the password, at the least cost. */
const passwordHash = '$2b$05$abcdefghijklmnopqrstuuKwWV7ESJpzKzf9FQg57dBvMuv92X9HS'

export interface Registry {
  /** 127.0.0.1:port */
  address: string
  /** Builds images/<recipe> and pushes it; returns its name in the registry. */
  push(recipe: string): Promise<string>
  close(): void
}

export async function startRegistry(tandem: TestTandem): Promise<Registry> {
  const directory = join(tandem.stateDir, 'registry')
  mkdirSync(directory)
  writeFileSync(join(directory, 'htpasswd'), `${registryUser.name}:${passwordHash}\n`)
  const config = join(directory, 'config.json')
  const settings = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    http: { addr: '127.0.0.1:0' },
    auth: { htpasswd: { realm: 'test', path: join(directory, 'htpasswd') } },
  }
  // JSON is YAML, too.
  writeFileSync(config, JSON.stringify(settings))
  const server = start('docker-registry', ['serve', config])
  const listening = /listening on (127\.0\.0\.1:\d+)/
  await until('the registry listens', () => listening.test(server.output) || server.ended)
  const address = listening.exec(server.output)?.[1]
  assert.ok(address, server.output)
  return {
    address,
    async push(recipe) {
      const built = await tandem.tandem('image', 'build', join(home, 'images', recipe), '--no-load')
      assert.equal(built.code, 0, built.stderr)
      // "names digest path"
      const archive = built.stdout.trim().split(' ').at(-1)
      const name = `${address}/team/${recipe}:1`
      const { name: user, password } = registryUser
      const credentials = ['--dest-tls-verify=false', '--dest-creds', `${user}:${password}`]
      const pushed = await run('skopeo', [
        'copy',
        '--quiet',
        ...credentials,
        `oci-archive:${archive}`,
        `docker://${name}`,
      ])
      assert.equal(pushed.code, 0, pushed.stderr)
      return name
    },
    close: () => server.child.kill(),
  }
}
