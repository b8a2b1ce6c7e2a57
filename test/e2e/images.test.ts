// Images for real: recipes built twice, archives loaded into a containerd of our own, hostile disks refused, a private
// registry on loopback, and the minimal VM booted by both firmwares.
// Needs root, the network for packages the first time, and about two minutes. Run it with:
//   node --test test/e2e/images.test.ts

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { instanceOf } from '../../src/config.ts'
import { run } from '../../src/host/exec.ts'
import { buildImage } from '../../src/host/images/build/build-image.ts'
import { writeOciArchive } from '../../src/host/images/build/oci-archive.ts'
import { createImages, type ManagedImages } from '../../src/host/images/containerd-images.ts'
import { type Containerd, createContainerd } from '../../src/host/pods/containerd.ts'
import { statePaths } from '../../src/host/state.ts'

const root = mkdtempSync(join(tmpdir(), 'tandem-images-'))
const paths = statePaths(join(root, 'state'), instanceOf(root))
const recipes = resolve(import.meta.dirname, '../../images')
/** The packages that `tandem image build` keeps, too. */
const cacheDir = resolve(import.meta.dirname, '../../.cache/images')
const children: ChildProcess[] = []
let containerd: Containerd
let images: ManagedImages

before(async () => {
  mkdirSync(paths.root)
  containerd = createContainerd({ paths, sandboxImage: 'tandem.dev/pause:1' })
  await containerd.start()
  images = createImages({ cri: containerd.cri, socket: containerd.socket, paths })
  await images.start()
})

after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await containerd?.destroy()
  rmSync(root, { recursive: true, force: true })
  rmSync(dirname(paths.pid), { recursive: true, force: true })
})

const build = (recipe: string, output: string) =>
  buildImage(join(recipes, recipe, 'recipe.yaml'), {
    output: join(root, output),
    cacheDir,
    scratchDir: join(root, 'scratch'),
  })

/** An image with these files in /disk, loaded. */
async function diskImage(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const scratch = mkdtempSync(join(root, 'disk-'))
  const tree = join(scratch, 'tree')
  mkdirSync(join(tree, 'disk'), { recursive: true })
  await fill(join(tree, 'disk'))
  const full = `tandem.dev/e2e/${name}:1`
  const output = join(scratch, 'image.tar')
  await writeOciArchive({
    ...{ tree, scratch, output, names: [full], epoch: 1_700_000_000, architecture: 'amd64', compress: true },
    config: { env: {}, exposedPorts: [], labels: {} },
  })
  await images.load(output)
  return full
}

for (const recipe of ['pause', 'busybox', 'minimal-vm']) {
  test(`${recipe}: two builds are the same bytes, and nothing is left of them`, async () => {
    const first = await build(recipe, `${recipe}.tar`)
    await sleep(1100) // another second on the clock
    const second = await build(recipe, `${recipe}-again.tar`)
    assert.equal(second.digest, first.digest)
    await run(['cmp', first.path, second.path])
    assert.deepEqual(readdirSync(join(root, 'scratch')), [])
    const [loaded] = await images.load(first.path)
    assert.deepEqual(loaded?.repoTags, first.names)
  })
}

test('a build that fails says why and leaves nothing', async () => {
  const recipe = join(root, 'bad.yaml')
  const files = '[{path: /x, package: busybox-static, from: /no/such/file}]'
  writeFileSync(recipe, `{kind: container, names: ['tandem.dev/bad:1'], files: ${files}}`)
  const building = buildImage(recipe, { output: join(root, 'bad.tar'), cacheDir, scratchDir: join(root, 'scratch') })
  await assert.rejects(building, /cannot add \/x: package busybox-static has no file \/no\/such\/file/)
  assert.deepEqual(readdirSync(join(root, 'scratch')), [])
  assert.ok(!existsSync(join(root, 'bad.tar')))
})

test('one unpacking for all who ask at once; gone with the image, but not under a VM', async () => {
  const name = 'tandem.dev/minimal-vm:1'
  const [one, two] = await Promise.all([images.containerDisk(name), images.containerDisk(name)])
  assert.equal(one, two)
  assert.equal(one.format, 'qcow2')
  assert.equal(one.virtualSize, 64 * 2 ** 20)
  assert.equal(statSync(one.path).mode & 0o444, 0o444, 'QEMU runs as another user')
  const held = openSync(one.path, 'r')
  // As if Tandem had been started anew: nobody remembers that the disk was handed out.
  const other = createImages({ cri: containerd.cri, socket: containerd.socket, paths })
  await other.remove(name)
  assert.equal(await other.find(name), undefined)
  assert.ok(existsSync(one.path), 'a process has it open')
  closeSync(held)
  await other.sweep()
  assert.ok(!existsSync(dirname(one.path)))
  await images.load(join(root, 'minimal-vm.tar'))
})

test('hostile and useless disks are refused with a reason', async () => {
  const secret = join(root, 'secret.raw')
  writeFileSync(secret, 'secret')
  truncateSync(secret, 1024 * 1024)
  const qemuImg = (...args: string[]) => run(['qemu-img', ...args])
  const cases: [name: string, message: RegExp, fill: (folder: string) => Promise<unknown>][] = [
    [
      'backing',
      /has a backing file/,
      (at) => qemuImg('create', '-f', 'qcow2', '-b', secret, '-F', 'raw', join(at, 'd')),
    ],
    [
      'json',
      /has a backing file/,
      (at) =>
        qemuImg(
          'create',
          '-u',
          '-f',
          'qcow2',
          '-F',
          'raw',
          '-b',
          `json:{"file.filename":"${secret}"}`,
          join(at, 'd'),
          '1M',
        ),
    ],
    [
      'data',
      /data/,
      (at) => qemuImg('create', '-f', 'qcow2', '-o', `data_file=${join(root, 'ext.raw')}`, join(at, 'd'), '1M'),
    ],
    ['vmdk', /VMDK/, (at) => qemuImg('create', '-f', 'vmdk', join(at, 'd'), '1M')],
    ['vdi', /VDI/, (at) => qemuImg('create', '-f', 'vdi', join(at, 'd'), '1M')],
    ['text', /not a disk image/, async (at) => writeFileSync(join(at, 'd'), 'hello\n')],
    ['none', /no file in \/disk/, async () => {}],
    [
      'two',
      /more than one file/,
      async (at) => ['a', 'b'].map((name) => writeFileSync(join(at, name), Buffer.alloc(512))),
    ],
  ]
  for (const [name, message, fill] of cases) {
    const image = await diskImage(name, async (folder) => void (await fill(folder)))
    await assert.rejects(images.containerDisk(image), message, name)
  }
  assert.deepEqual(
    readdirSync(paths.images).filter((name) => name.startsWith('.')),
    [],
  )
})

test('a qcow2 whose tables lie is stopped by the limits', async () => {
  const image = await diskImage('corrupt', async (folder) => {
    const file = join(folder, 'd.qcow2')
    await run(['qemu-img', 'create', '-f', 'qcow2', file, '1G'])
    await run(['dd', `of=${file}`, 'bs=1', 'seek=40', 'conv=notrunc'], { input: Buffer.alloc(8, 0xff) })
  })
  const start = Date.now()
  await assert.rejects(images.containerDisk(image), /not a usable qcow2 file/)
  assert.ok(Date.now() - start < 60_000)
})

test('a raw disk keeps its holes', async () => {
  const image = await diskImage('raw', async (folder) => {
    writeFileSync(join(folder, 'disk.img'), 'boot')
    truncateSync(join(folder, 'disk.img'), 300 * 2 ** 20)
  })
  const disk = await images.containerDisk(image)
  assert.deepEqual([disk.format, disk.virtualSize], ['raw', 300 * 2 ** 20])
  const { stdout } = await run(['du', '--block-size=1', disk.path])
  assert.ok(Number(stdout.split('\t')[0]) < 2 ** 20, stdout)
})

test('another image under a name that was there before is the one that is used', async () => {
  const sized = (mebibytes: number) =>
    diskImage('again', async (folder) => {
      writeFileSync(join(folder, 'disk.img'), `${mebibytes}`)
      truncateSync(join(folder, 'disk.img'), mebibytes * 2 ** 20)
    })
  for (const mebibytes of [1, 2, 3]) {
    const disk = await images.containerDisk(await sized(mebibytes))
    assert.equal(disk.virtualSize, mebibytes * 2 ** 20)
  }
})

test('a bad archive imports nothing', async () => {
  const listed = async () => (await images.list()).map(({ id }) => id).sort()
  const before = await listed()
  const path = join(root, 'broken.tar')
  copyFileSync(join(root, 'busybox.tar'), path)
  await run(['dd', `of=${path}`, 'bs=1', 'seek=9000', 'conv=notrunc'], { input: 'damage' })
  await assert.rejects(images.load(path), { name: 'ImageError', reason: 'InvalidImage' })
  truncateSync(path, 20_000)
  await assert.rejects(images.load(path), /ends early|damaged|has other content/)
  assert.deepEqual(await listed(), before)
})

test('pull from a private registry on loopback, with the right credentials only', async () => {
  const folder = join(root, 'registry')
  mkdirSync(folder)
  // user "puller", password "letmein", bcrypt at the least cost
  writeFileSync(join(folder, 'htpasswd'), 'puller:$2b$05$abcdefghijklmnopqrstuuKwWV7ESJpzKzf9FQg57dBvMuv92X9HS\n')
  const settings = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { addr: '127.0.0.1:0' },
    auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } },
  }
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(settings))
  const server = spawn('docker-registry', ['serve', join(folder, 'config.yml')])
  children.push(server)
  const output = collect(server)
  const address = await waitFor(() => /listening on (127\.0\.0\.1:\d+)/.exec(output())?.[1], output)
  const name = `${address}/team/busybox:1`
  const copy = ['skopeo', 'copy', '--quiet', '--dest-tls-verify=false', '--dest-creds', 'puller:letmein']
  await run([...copy, `docker-archive:${join(root, 'busybox.tar')}`, `docker://${name}`])
  await assert.rejects(images.pull(name, []), { name: 'ImageError', reason: 'ErrImagePull' })
  const wrong = { serverAddress: address, username: 'puller', password: 'canary-password' }
  await assert.rejects(images.pull(name, [wrong]), (error: Error) => !error.message.includes('canary'))
  const elsewhere = { serverAddress: 'registry.example.com', username: 'puller', password: 'letmein' }
  await assert.rejects(images.pull(name, [elsewhere]), { name: 'ImageError' })
  const image = await images.pull(name, [wrong, { serverAddress: address, username: 'puller', password: 'letmein' }])
  assert.deepEqual(image.repoDigests.length, 1)
  assert.equal((await images.find(name))?.id, image.id)
  await assert.rejects(images.pull(`${address}/team/nothing:1`, []), { name: 'ImageError', reason: 'ErrImagePull' })
})

for (const firmware of ['SeaBIOS', 'OVMF']) {
  test(`the minimal VM boots by ${firmware}`, async () => {
    const { path } = await images.containerDisk('tandem.dev/minimal-vm:1')
    const vars = join(root, 'vars.fd')
    copyFileSync('/usr/share/OVMF/OVMF_VARS.fd', vars)
    const flash = [
      'if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd',
      `if=pflash,format=raw,unit=1,file=${vars}`,
    ]
    const machine = spawn('qemu-system-x86_64', [
      ...['-machine', 'q35,accel=tcg', '-cpu', 'max', '-m', '256', '-nodefaults', '-display', 'none'],
      ...(firmware === 'OVMF' ? flash.flatMap((drive) => ['-drive', drive]) : []),
      ...['-serial', 'stdio', '-drive', `file=${path},format=qcow2,if=virtio,snapshot=on`],
    ])
    children.push(machine)
    const output = collect(machine)
    await waitFor(() => /tandem-minimal: ready at \S+ address none/.exec(output())?.[0], output)
    machine.stdin.write('poweroff -f\n')
    await waitFor(() => (machine.exitCode === 0 ? 'off' : undefined), output)
  })
}

function collect(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk))
  return () => text
}

async function waitFor<T>(look: () => T | undefined, output: () => string, patienceMs = 300_000): Promise<T> {
  for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(100)) {
    const found = look()
    if (found !== undefined) return found
  }
  throw new Error(`it did not happen in time; last output: ${output().slice(-500)}`)
}
