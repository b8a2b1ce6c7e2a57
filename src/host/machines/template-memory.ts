// The memory of a template, once for all machines that are copies of it: an anonymous file in memory that nobody can
// write to any more (sealed). Each QEMU maps it privately, so a page is copied when its guest writes to it.

import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

export interface TemplateMemory {
  /** An open file with the memory of the template `name`, read from `path` the first time; it stays open. */
  open(name: string, path: string): Promise<number>
  /** Lets go of what no template in `known` is. */
  keepOnly(known: (name: string) => boolean): void
  close(): void
}

/** Node cannot make such a file; perl is there on every Debian (perl-base is essential). Holes stay holes. */
const program = `
my ($number, $path) = @ARGV;
my $name = "template";
my $file = syscall($number, $name, 3);
die "memfd_create: $!" if $file < 0;
open(my $to, "+<&=", $file) or die "memfd: $!";
open(my $from, "<:raw", $path) or die "$path: $!";
truncate($to, -s $from) or die "truncate: $!";
my ($at, $part, $zero) = (0, "", "\\0" x 65536);
while ((my $got = sysread($from, $part, 65536))) {
  if ($part ne substr($zero, 0, $got)) {
    sysseek($to, $at, 0);
    syswrite($to, $part) == $got or die "write: $!";
  }
  $at += $got;
}
fcntl($to, 1033, 15) or die "seal: $!";
$| = 1;
print "$file\\n";
<STDIN>;
`

const systemCall: Record<string, number> = { x64: 319, arm64: 279 }

async function sealed(path: string): Promise<number> {
  const number = systemCall[process.arch]
  if (number === undefined) throw new Error(`templates of machines are not supported on ${process.arch}`)
  const child = spawn('perl', ['-e', program, String(number), path], { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  try {
    const file = await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.stdout.once('data', (chunk) => resolve(Number(chunk)))
      child.once('close', () => reject(new Error(`cannot keep a template in memory: ${said.trim()}`)))
    })
    return openSync(`/proc/${child.pid}/fd/${file}`, 'r+')
  } finally {
    child.stdin.end()
  }
}

export function createTemplateMemory(): TemplateMemory {
  const open = new Map<string, Promise<number>>()
  const letGo = (name: string) => {
    open.get(name)?.then(closeSync, () => {})
    open.delete(name)
  }
  return {
    open(name, path) {
      let file = open.get(name)
      if (!file) {
        file = sealed(path)
        open.set(name, file)
        file.catch(() => open.delete(name))
      }
      return file
    },
    keepOnly(known) {
      for (const name of open.keys()) if (!known(name)) letGo(name)
    },
    close() {
      for (const name of [...open.keys()]) letGo(name)
    },
  }
}
